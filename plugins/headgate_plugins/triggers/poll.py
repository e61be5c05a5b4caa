"""`poll`: the repository is asked regularly and a moved branch builds; not how the questions are spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api
from headgate_plugins.triggers.cron import check_cron
from headgate_plugins.triggers.filters import PATHS_SCHEMA, NameFilter, PathFilter, all_of, globs, globs_schema

RULE = "triggers.poll"
SHORTEST = 1.0
"""Seconds. Below, a remote would be asked faster than it can answer."""

HEADS = "refs/heads/"

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "every": {"type": "string", "format": "duration", "description": "How often to ask: 30s, 5m, 2h, 1d."},
        "cron": {
            "type": "string",
            "minLength": 1,
            "description": "When to ask: minute hour day month weekday; H is a number that spreads the load.",
            "examples": ["H/5 * * * *"],
        },
        "branches": globs_schema("Only these branches; the default branch when absent.", ["main", "release/**"]),
        **PATHS_SCHEMA,
    },
    "oneOf": [{"required": ["every"]}, {"required": ["cron"]}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTrigger:
    """One compiled `poll:` block."""

    every: float | None
    cron: str | None
    branches: api.Globs | None
    paths: PathFilter

    @property
    def needs_paths(self) -> bool:
        """Only when the block filters by paths."""
        return self.paths.asks

    def poll_plan(self) -> api.PollPlan:
        """Asks for what the patterns can match; for the default branch, under whatever name, where there are none."""
        literal = self.branches.literal_prefixes() if self.branches is not None else ()
        prefixes = {HEADS + prefix for prefix in literal} or {"HEAD"}
        shortest = (one for one in prefixes if not any(one != other and one.startswith(other) for other in prefixes))
        return api.PollPlan(every=self.every, cron=self.cron, ref_prefixes=tuple(sorted(shortest)))

    def match(self, subject: api.Subject) -> api.Verdict | None:
        """Pushes only, whoever saw them. When a repository is first looked at, only its default branch builds."""
        event = subject.event
        if not isinstance(event, api.Push):
            return None
        if event.after is None:
            compared = {"branch": event.branch, "before": event.before, "after": event.after}
            reason = f"branch `{event.branch}` was deleted, and a deletion builds nothing"
            return api.Verdict(passed=False, rule=RULE, reason=reason, compared=compared)
        default = subject.default_branch or event.default_branch
        verdict = self._judge_branch(event.branch, default)
        if verdict.passed and subject.first_seen:
            # Nothing is known of what changed before, so the first look builds whatever the paths say.
            return all_of(verdict, _judge_first_sight(event.branch, default))
        if verdict.passed and self.paths.asks:
            return all_of(verdict, self.paths.judge(subject))
        return verdict

    def _judge_branch(self, branch: str, default: str | None) -> api.Verdict:
        if self.branches is not None:
            return NameFilter(rule=RULE, noun="branch", key="branches", only=self.branches).judge(branch)
        compared = {"branch": branch, "default_branch": default}
        if default is None:
            reason = "the default branch is not known yet, and no `branches` are named"
        elif default == branch:
            reason = f"branch `{branch}` is the default branch"
        else:
            reason = f"branch `{branch}` is not the default branch `{default}`"
        passed = branch == default
        return api.Verdict(passed=passed, rule=f"{RULE}.branches", reason=reason, compared=compared)


def _judge_first_sight(branch: str, default: str | None) -> api.Verdict:
    compared = {"branch": branch, "default_branch": default, "first_seen": True}
    passed = branch == default
    if passed:
        reason = f"the repository is seen for the first time, and `{branch}` is its default branch"
    else:
        reason = (
            f"baseline: the repository is seen for the first time, and only its default branch builds, not `{branch}`"
        )
    return api.Verdict(passed=passed, rule=RULE, reason=reason, compared=compared)


def compile_poll(options: Mapping[str, Any]) -> PollTrigger:
    """A block that fits the schema; `ValueError` for an interval too short, a bad timetable or a bad pattern."""
    every, cron = options.get("every"), options.get("cron")
    if (every is None) == (cron is None):
        raise ValueError("write exactly one of `every` and `cron`")
    if every is not None and every < SHORTEST:
        raise ValueError(f"every: {every:g}s is too often; the shortest interval is {SHORTEST:g}s")
    if cron is not None:
        check_cron(cron)
    return PollTrigger(
        every=every,
        cron=cron,
        branches=globs(options, "branches"),
        paths=PathFilter(rule=RULE, only=globs(options, "paths"), ignore=globs(options, "ignore_paths")),
    )


KIND = api.TriggerKind(
    name="poll", summary="Asks the repository regularly and builds what moved", schema=SCHEMA, compile=compile_poll
)
