"""`push`: a branch moved; not whether a webhook or a poll saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api
from headgate_plugins.triggers.filters import PATHS_SCHEMA, NameFilter, PathFilter, all_of, globs, globs_schema

RULE = "triggers.push"

SCHEMA = {
    "type": "object",
    "description": "Builds when a branch moves, whoever observed it. A `poll` of this job asks for the default branch "
    "alone unless its own `branches` name more; what it does not ask for is seen only when a webhook tells of it.",
    "additionalProperties": False,
    "properties": {
        "branches": globs_schema("Only these branches; all when absent.", ["main", "release/**"]),
        "ignore_branches": globs_schema("Not these branches.", ["dependabot/**"]),
        **PATHS_SCHEMA,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTrigger:
    """One compiled `push:` block."""

    branches: NameFilter
    paths: PathFilter

    @property
    def needs_paths(self) -> bool:
        """Only when the block filters by paths."""
        return self.paths.asks

    def match(self, subject: api.Subject) -> api.Verdict | None:
        """Pushes only. A deletion builds nothing, nor does a head that was there before we first looked."""
        event = subject.event
        if not isinstance(event, api.Push):
            return None
        compared = {"branch": event.branch, "before": event.before, "after": event.after}
        if event.after is None:
            reason = f"branch `{event.branch}` was deleted, and a deletion builds nothing"
            return api.Verdict(passed=False, rule=RULE, reason=reason, compared=compared)
        if subject.first_seen:
            reason = f"branch `{event.branch}` was there before the repository was first looked at: nobody pushed"
            return api.Verdict(passed=False, rule=RULE, reason=reason, compared=compared | {"first_seen": True})
        verdict = self.branches.judge(event.branch)
        if verdict.passed and self.paths.asks:
            return all_of(verdict, self.paths.judge(subject))
        return verdict


def compile_push(options: Mapping[str, Any]) -> PushTrigger:
    """A block that fits the schema; `ValueError` names a bad pattern."""
    return PushTrigger(
        branches=NameFilter(
            rule=RULE,
            noun="branch",
            key="branches",
            only=globs(options, "branches"),
            ignore=globs(options, "ignore_branches"),
        ),
        paths=PathFilter(rule=RULE, only=globs(options, "paths"), ignore=globs(options, "ignore_paths")),
    )


KIND = api.TriggerKind(
    name="push", summary="Builds when a branch moves, whoever observed it", schema=SCHEMA, compile=compile_push
)
