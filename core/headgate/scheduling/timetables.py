"""What the jobs of a repository want of a poll, together: which refs, how often; not the asking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headgate.api.triggers import PollPlan
from headgate.routing.index import CompiledJob, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """All that the jobs of one repository want of a poll."""

    connection: str
    key: str
    path: str
    plans: tuple[PollPlan, ...]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The union of what they ask for, without those that another one covers."""
        return widest({prefix for plan in self.plans for prefix in plan.ref_prefixes})

    @property
    def every(self) -> float | None:
        """The shortest interval asked for, seconds."""
        return min((plan.every for plan in self.plans if plan.every is not None), default=None)

    @property
    def crons(self) -> tuple[str, ...]:
        """The timetables asked for."""
        return tuple(sorted({plan.cron for plan in self.plans if plan.cron is not None}))


def timetables(snapshot: Snapshot) -> Iterable[Timetable]:
    """One for each repository that a job polls."""
    for connection, key in snapshot.repositories():
        jobs = snapshot.of_repository(connection, key)
        plans = _plans(jobs)
        if plans:
            yield Timetable(connection=connection, key=key, path=_path(jobs, key), plans=plans)


def _plans(jobs: Iterable[CompiledJob]) -> tuple[PollPlan, ...]:
    return tuple(plan for compiled in jobs for plan in compiled.poll_plans)


def on_request(connection: str, key: str, jobs: Iterable[CompiledJob]) -> Timetable:
    """What a repository is asked that no job polls: its branches and tags."""
    plan = PollPlan(every=None, cron=None, ref_prefixes=("refs/heads/", "refs/tags/"))
    return Timetable(connection=connection, key=key, path=_path(jobs, key), plans=(plan,))


def _path(jobs: Iterable[CompiledJob], key: str) -> str:
    return next((compiled.job.source.repository for compiled in jobs if compiled.key), key)


def widest(prefixes: set[str]) -> tuple[str, ...]:
    """Those that no other one covers."""
    return tuple(
        sorted(one for one in prefixes if not any(one != other and one.startswith(other) for other in prefixes))
    )
