"""`change_request`: something happened to a pull or merge request; not the push that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from headgate import api
from headgate_plugins.triggers.filters import NameFilter, all_of, globs, globs_schema

RULE = "triggers.change_request"
DEFAULT_ACTIONS = ("opened", "updated", "reopened")

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "targets": globs_schema("Only requests into these branches; all when absent.", ["main", "release/**"]),
        "actions": {
            "type": "array",
            "items": {"enum": list(get_args(api.ChangeAction))},
            "minItems": 1,
            "uniqueItems": True,
            "default": list(DEFAULT_ACTIONS),
            "description": "What has to happen to it. While drafts do not build, `ready` counts as `opened`.",
        },
        "drafts": {"type": "boolean", "default": False, "description": "Whether drafts build, too."},
        "forks": {
            "enum": ["ignore", "build"],
            "x-headgate-later": ["approve"],
            "default": "ignore",
            "description": "What to do with requests from forks, whose code strangers wrote. "
            "`build` runs it like your own; `approve` is not offered yet.",
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequestTrigger:
    """One compiled `change_request:` block."""

    targets: NameFilter
    actions: tuple[str, ...]
    drafts: bool
    forks: str
    needs_paths: bool = False

    def match(self, subject: api.Subject) -> api.Verdict | None:
        """Change requests only: target, fork, draft, action, the first "no" decides."""
        event = subject.event
        if not isinstance(event, api.ChangeRequest):
            return None
        return all_of(
            self.targets.judge(event.target.branch),
            self._judge_fork(event),
            self._judge_draft(event),
            self._judge_action(event),
        )

    def _judge_action(self, event: api.ChangeRequest) -> api.Verdict:
        compared: dict[str, Any] = {"action": event.action, "actions": list(self.actions)}
        if event.action in self.actions:
            passed, reason = True, f"`{event.action}` is a wanted action"
        elif event.action == "ready" and not self.drafts and "opened" in self.actions:
            passed, reason = True, "`ready` counts as `opened` while drafts do not build"
        else:
            passed, reason = False, f"`{event.action}` is none of the wanted actions"
        return api.Verdict(passed=passed, rule=f"{RULE}.actions", reason=reason, compared=compared)

    def _judge_draft(self, event: api.ChangeRequest) -> api.Verdict:
        passed = self.drafts or not event.draft
        reason = f"change {event.number} is {'a' if event.draft else 'no'} draft"
        compared = {"draft": event.draft, "drafts": self.drafts}
        return api.Verdict(passed=passed, rule=f"{RULE}.drafts", reason=reason, compared=compared)

    def _judge_fork(self, event: api.ChangeRequest) -> api.Verdict:
        passed = self.forks == "build" or not event.from_fork
        reason = f"change {event.number} comes from {'a fork' if event.from_fork else 'this repository'}"
        compared = {"from_fork": event.from_fork, "forks": self.forks}
        return api.Verdict(passed=passed, rule=f"{RULE}.forks", reason=reason, compared=compared)


def compile_change_request(options: Mapping[str, Any]) -> ChangeRequestTrigger:
    """A block that fits the schema; `ValueError` names a bad pattern or a word that is not offered yet."""
    forks = options.get("forks", "ignore")
    if forks == "approve":
        raise ValueError("forks: `approve` is not offered yet; write `ignore`, or `build` if you trust every fork")
    return ChangeRequestTrigger(
        targets=NameFilter(rule=RULE, noun="target", key="targets", only=globs(options, "targets")),
        actions=tuple(options.get("actions", DEFAULT_ACTIONS)),
        drafts=options.get("drafts", False),
        forks=forks,
    )


KIND = api.TriggerKind(
    name="change_request",
    summary="Builds pull requests, merge requests and changes",
    schema=SCHEMA,
    compile=compile_change_request,
)
