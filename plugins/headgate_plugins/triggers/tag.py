"""`tag`: a tag was created or moved; not a release, which a provider makes of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api
from headgate_plugins.triggers.filters import NameFilter, globs, globs_schema

RULE = "triggers.tag"

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"tags": globs_schema("Only these tags; all when absent.", ["v*"])},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTrigger:
    """One compiled `tag:` block."""

    tags: NameFilter
    needs_paths: bool = False

    def match(self, subject: api.Subject) -> api.Verdict | None:
        """Tags only. A deletion builds nothing, nor does a tag that was there before we first looked."""
        event = subject.event
        if not isinstance(event, api.Tag):
            return None
        compared = {"tag": event.tag, "before": event.before, "after": event.after}
        if event.after is None:
            reason = f"tag `{event.tag}` was deleted, and a deletion builds nothing"
            return api.Verdict(passed=False, rule=RULE, reason=reason, compared=compared)
        if subject.first_seen:
            reason = f"tag `{event.tag}` was there before the repository was first looked at: nobody pushed it"
            return api.Verdict(passed=False, rule=RULE, reason=reason, compared=compared | {"first_seen": True})
        return self.tags.judge(event.tag)


def compile_tag(options: Mapping[str, Any]) -> TagTrigger:
    """A block that fits the schema; `ValueError` names a bad pattern."""
    return TagTrigger(tags=NameFilter(rule=RULE, noun="tag", key="tags", only=globs(options, "tags")))


KIND = api.TriggerKind(name="tag", summary="Builds when a tag is created or moved", schema=SCHEMA, compile=compile_tag)
