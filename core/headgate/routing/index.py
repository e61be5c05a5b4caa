"""All jobs of one moment, compiled, and found by repository in constant time; not what they decide."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from headgate.api.conditions import Condition
from headgate.api.errors import PluginError, Problem
from headgate.api.jobs import Block, Job
from headgate.api.kinds import ConditionKind, TriggerKind
from headgate.api.patterns import WILDCARDS, Globs
from headgate.api.triggers import PollPlan, Polls, Trigger
from headgate.plugins.guard import Guard, Guards, lone_guards


class RuleKinds(Protocol):
    """The part of the registry of kinds that compiling needs."""

    @property
    def triggers(self) -> Mapping[str, TriggerKind]:
        """By name."""

    @property
    def conditions(self) -> Mapping[str, ConditionKind]:
        """By name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledJob:
    """A job with its rules ready to judge. `key` is its repository's identity, `None` when it is a pattern."""

    job: Job
    triggers: tuple[tuple[Block, Trigger], ...]
    conditions: tuple[tuple[Block, Condition], ...]
    key: str | None
    pattern: Globs | None
    told_first: tuple[tuple[Block, Trigger], ...]
    """The triggers in the order in which they are asked: what a webhook told is not a poll's doing, …"""
    polled_first: tuple[tuple[Block, Trigger], ...]
    """… and what a poll saw is, whatever the file names first."""
    guards: Guards = field(default_factory=lone_guards, compare=False)
    """Stand at every call of a rule."""

    @property
    def needs_paths(self) -> bool:
        """Whether a rule looks at changed paths, which a poll or a cut payload does not bring."""
        return any(_needs_paths(self.guards.of("trigger", block.kind), rule) for block, rule in self.triggers) or any(
            _needs_paths(self.guards.of("condition", block.kind), rule) for block, rule in self.conditions
        )

    @property
    def poll_plans(self) -> tuple[PollPlan, ...]:
        """How its triggers want the repository to be asked; nothing of one that cannot tell."""
        plans = []
        for block, trigger in self.triggers:
            if isinstance(trigger, Polls):
                with suppress(PluginError):
                    plans.append(self.guards.of("trigger", block.kind).run("poll_plan", trigger.poll_plan))
        return tuple(plans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All good jobs of one moment, never changed: a reload makes another. `version` is their content hash.

    `problems` are what kept others out, or kept an earlier snapshot in.
    """

    jobs: Mapping[str, CompiledJob] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    version: str = ""
    _by_repository: Mapping[tuple[str, str], tuple[CompiledJob, ...]] = field(default_factory=dict)
    _patterns: Mapping[str, tuple[CompiledJob, ...]] = field(default_factory=dict)

    def of_repository(self, connection: str, key: str, path: str | None = None) -> tuple[CompiledJob, ...]:
        """The jobs a fact of this repository concerns, by name. `path` is the provider's own spelling of `key`."""
        exact = self._by_repository.get((connection, key), ())
        patterns = self._patterns.get(connection, ())
        if not patterns:
            return exact
        return exact + tuple(job for job in patterns if job.pattern and _fits(job.pattern, key, path))

    def repositories(self) -> Sequence[tuple[str, str]]:
        """Every (connection, key) that a job names outright."""
        return tuple(self._by_repository)


def why_absent(job: str, problems: Sequence[Problem]) -> str:
    """Why there is no such job now, in a sentence: what is wrong with it, or that nobody wrote it."""
    path = f"jobs.{job}"
    found = [str(problem) for problem in problems if f"{problem.path}.".startswith(f"{path}.")]
    if found:
        return f"the job {job} is not in force: {'; '.join(found)}"
    return f"there is no job {job}; `headgate jobs` lists them"


def make_snapshot(
    jobs: Sequence[Job],
    kinds: RuleKinds,
    *,
    normalise: Mapping[str, Callable[[str], str]],
    problems: Sequence[Problem] = (),
    guards: Guards | None = None,
) -> Snapshot:
    """Compile checked jobs. `normalise` maps a connection to its provider's function for repository paths."""
    guards = guards or lone_guards()
    compiled = sorted((_compile(job, kinds, normalise[job.source.connection], guards) for job in jobs), key=_name)
    by_repository: dict[tuple[str, str], list[CompiledJob]] = defaultdict(list)
    patterns: dict[str, list[CompiledJob]] = defaultdict(list)
    for one in compiled:
        if one.key is None:
            patterns[one.job.source.connection].append(one)
        else:
            by_repository[one.job.source.connection, one.key].append(one)
    digest = hashlib.sha256("".join(one.job.name + one.job.definition for one in compiled).encode())
    return Snapshot(
        jobs={one.job.name: one for one in compiled},
        problems=tuple(problems),
        version=digest.hexdigest(),
        _by_repository={place: tuple(found) for place, found in by_repository.items()},
        _patterns={connection: tuple(found) for connection, found in patterns.items()},
    )


def _needs_paths(guard: Guard, rule: Trigger | Condition) -> bool:
    try:
        return guard.run("needs_paths", getattr, rule, "needs_paths") is True
    except PluginError:
        return False  # whatever it needs: it will not be asked, or fail again


def _compile(job: Job, kinds: RuleKinds, normalise: Callable[[str], str], guards: Guards) -> CompiledJob:
    repository = job.source.repository
    is_pattern = bool(WILDCARDS & set(repository))
    triggers = tuple((block, kinds.triggers[block.kind].compile(block.options)) for block in job.triggers)
    return CompiledJob(
        job=job,
        triggers=triggers,
        conditions=tuple((block, kinds.conditions[block.kind].compile(block.options)) for block in job.conditions),
        key=None if is_pattern else normalise(repository),
        pattern=Globs([repository]) if is_pattern else None,
        told_first=tuple(sorted(triggers, key=_is_poll)),
        polled_first=tuple(sorted(triggers, key=_is_told)),
        guards=guards,
    )


def _is_poll(rule: tuple[Block, Trigger]) -> bool:
    return isinstance(rule[1], Polls)


def _is_told(rule: tuple[Block, Trigger]) -> bool:
    return not _is_poll(rule)


def _name(compiled: CompiledJob) -> str:
    return compiled.job.name


def _fits(pattern: Globs, key: str, path: str | None) -> bool:
    return pattern.match(key) is not None or (path is not None and pattern.match(path) is not None)
