"""THE HEART: event → matches → decisions → builds, top to bottom; not where events come from or builds go.

A door (webhook, poll, person, …) brings `Fact`s. `Flow.admit` judges them against the jobs of their repository
and commits, in one transaction with whatever else arrives at that moment: the event, what moved, every decision,
the builds they ask for, the news about those builds, and that the delivery is settled. A `kill -9` at any point
leaves either all of it or none, and none is done again at the next start, because the delivery is still there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from headgate.api.builds import Build
from headgate.api.errors import HeadgateError, NotFound, QueueError
from headgate.api.events import Manual, Push, Tag
from headgate.api.notifiers import Notifier
from headgate.api.rules import Subject
from headgate.config.parameters import validate
from headgate.plugins.guard import Guards, lone_guards
from headgate.routing.index import CompiledJob, Snapshot, why_absent
from headgate.routing.judge import judge, subject_text
from headgate.routing.news import plan_news
from headgate.routing.planning import Fact, Judged, Plan, PlannedFact, ref_key
from headgate.storage import builds, decisions, definitions, deliveries, events, notifications, refs
from headgate.storage.builds import Planned
from headgate.storage.database import Database
from headgate.storage.decisions import Decision
from headgate.storage.deliveries import Settled
from headgate.storage.events import EventRecord
from headgate.storage.refs import Transition
from headgate.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from headgate.storage.database import Connection


log = structlog.get_logger(__name__)


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a fact, once it is on disk. `builds` are the new ones."""

    event: EventRecord
    transition: Transition | None
    decisions: tuple[Decision, ...]
    builds: tuple[Build, ...]


class History(Protocol):
    """Tells what a push holds when its event does not."""

    async def complete(self, connection: str, path: str, push: Push) -> tuple[Push, tuple[str, ...]]:
        """The push with all its commits, and every path it changed. Raises `HeadgateError` when git cannot tell."""

    async def follow(self, connection: str, path: str, tag: Tag) -> Tag:
        """The tag with the commit it leads to. Raises `HeadgateError` when git cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What one transaction must hold together: the facts of one delivery, and that it is settled."""

    judged: tuple[Judged, ...]
    settled: Settled | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A fact, the jobs it concerns, and what their rules are shown of it; `asks_git` when that is not all yet."""

    fact: Fact
    jobs: tuple[CompiledJob, ...]
    subject: Subject
    asks_git: bool = False

    def seen(self, subject: Subject) -> _Look:
        """With all that git could tell."""
        return _Look(fact=self.fact, jobs=self.jobs, subject=subject)


class Flow:
    """Judges facts and commits what follows from them."""

    def __init__(
        self,
        *,
        database: Database,
        snapshot: Callable[[], Snapshot],
        history: History,
        notifiers: Mapping[str, Notifier],
        seal: Callable[[str, str], str],
        metrics: Metrics,
        now: Callable[[], datetime],
        planned: Callable[[Sequence[Build]], None],
        guards: Guards | None = None,
    ) -> None:
        """`seal(text, bound_to)` seals password parameters; `planned(builds)` wakes whoever runs them."""
        self._database = database
        self._snapshot = snapshot
        self._history = history
        self._notifiers = notifiers
        self._seal = seal
        self._metrics = metrics
        self._now = now
        self._planned = planned
        self._guards = guards or lone_guards()
        self._lanes = Lanes()

    async def admit(self, facts: Sequence[Fact], *, settled: Settled | None = None) -> tuple[Admitted, ...]:
        """Judge `facts` and commit everything that follows, with `settled` in the same transaction.

        Facts of one repository are admitted in the order of the calls. Returns nothing when an earlier call
        has settled the delivery.
        """
        async with self._lanes.enter({(fact.connection, fact.key) for fact in facts}):
            judged = tuple([await self._judge(fact) for fact in facts])
            # The writer keeps the order in which it is asked, so the lane is free before the commit is on disk.
            commit = self._submit(judged, settled)
        return await commit

    def admit_at_once(
        self, facts: Sequence[Fact], *, settled: Settled | None = None
    ) -> asyncio.Future[tuple[Admitted, ...]] | None:
        """Like `admit`, for facts that can be judged now; `None`: they have to wait for git or for others' turn."""
        if any(self._lanes.taken((fact.connection, fact.key)) for fact in facts):
            return None
        looks = [self._look(fact) for fact in facts]
        if any(look.asks_git for look in looks):
            return None
        return self._submit(tuple([_judged(look) for look in looks]), settled)

    def _submit(self, judged: tuple[Judged, ...], settled: Settled | None) -> asyncio.Future[tuple[Admitted, ...]]:
        case = _Case(judged=judged, settled=settled)
        commit = self._database.writer.submit(self._commit, case, later=True)
        commit.add_done_callback(self._tell)
        return commit

    async def run_job(
        self,
        job: str,
        *,
        ref: str | None = None,
        sha: str | None = None,
        parameters: Mapping[str, str],
        reason: str = "",
        actor: str,
        idempotency_key: str | None = None,
    ) -> Build:
        """Queue a build because somebody asked. The same actor, job and `idempotency_key` get the same build again.

        Raises `NotFound` for an unknown job, else `QueueError` saying what to change: parameters that do not fit,
        no `manual` trigger.
        """
        snapshot = self._snapshot()
        compiled = snapshot.jobs.get(job)
        if compiled is None:
            raise NotFound(why_absent(job, snapshot.problems))
        if compiled.key is None:
            raise QueueError(
                f"{job} is for many repositories ({compiled.job.source.repository}) and cannot be run alone"
            )
        _, passwords = validate(compiled.job.parameters, parameters)
        shown = {name: "***" if name in passwords else value for name, value in parameters.items()}
        event = Manual(job=job, actor=actor, ref=ref, sha=sha, parameters=shown, reason=reason)
        fact = Fact(
            event=event,
            connection=compiled.job.source.connection,
            key=compiled.key,
            observer="person",
            parameters=dict(parameters),
            event_id=_idempotent_id(actor, job, idempotency_key),
        )
        (admitted,) = await self.admit([fact])
        if not admitted.builds:
            raise QueueError(admitted.decisions[0].reason)
        return admitted.builds[0]

    # Before the transaction: pure judgements, and the one look at git they may need.

    async def _judge(self, fact: Fact) -> Judged:
        look = self._look(fact)
        return _judged(await self._with_history(look) if look.asks_git else look)

    def _look(self, fact: Fact) -> _Look:
        """The fact beside the jobs it concerns, and whether their rules look at what only git can tell."""
        event, jobs = fact.event, self._jobs(fact)
        subject = Subject(
            event=event,
            observer=fact.observer,
            now=self._now(),
            first_seen=fact.first_seen,
            default_branch=fact.default_branch,
        )
        if isinstance(event, Tag) and event.after is not None:
            needs_message = not fact.first_seen and not event.commits and any(job.conditions for job in jobs)
            return _Look(fact=fact, jobs=jobs, subject=subject, asks_git=needs_message)
        if not isinstance(event, Push) or event.after is None:
            return _Look(fact=fact, jobs=jobs, subject=subject)
        paths = _changed_paths(event) if event.commits_complete else None
        needs_paths = paths is None and any(job.needs_paths for job in jobs)
        needs_message = not event.commits and any(job.conditions for job in jobs)
        return _Look(
            fact=fact,
            jobs=jobs,
            subject=replace(subject, changed_paths=paths) if paths is not None else subject,
            asks_git=needs_paths or needs_message,
        )

    def _jobs(self, fact: Fact) -> tuple[CompiledJob, ...]:
        snapshot = self._snapshot()
        if isinstance(fact.event, Manual):
            job = snapshot.jobs.get(fact.event.job)
            return (job,) if job else ()
        repository = getattr(fact.event, "repository", None)
        return snapshot.of_repository(fact.connection, fact.key, repository.path if repository else None)

    async def _with_history(self, look: _Look) -> _Look:
        """With commits and changed paths from our mirror."""
        event, connection = look.subject.event, look.fact.connection
        assert isinstance(event, (Push, Tag))  # noqa: S101 - nothing else asks git
        named = next((job.job.source.repository for job in look.jobs if job.key), event.repository.path)
        try:
            if isinstance(event, Tag):
                return look.seen(replace(look.subject, event=await self._history.follow(connection, named, event)))
            push, paths = await self._history.complete(connection, named, event)
        except HeadgateError as error:
            return look.seen(replace(look.subject, changed_paths=None, paths_problem=str(error)))
        return look.seen(replace(look.subject, event=push, changed_paths=paths))

    # Inside the transaction: what moved, then rows; waiting for nothing but the database.

    async def _commit(self, connection: Connection, cases: Sequence[_Case]) -> Sequence[tuple[Admitted, ...]]:
        """All cases that arrived together. Runs again, case by case, when one of them fails."""
        settled = [case.settled for case in cases if case.settled]
        changed = await deliveries.settle(connection, settled) if settled else {}
        done: dict[int, list[Admitted]] = {}
        plan = Plan(known=await self._known_refs(connection, cases), seal=self._seal, now=self._now())
        for number, case in enumerate(cases):
            if case.settled is not None and not changed.pop(case.settled.id, 0):
                continue  # an earlier call was first with this delivery
            done[number] = [again for one in case.judged for again in await _admitted_before(connection, one.fact)]
            if not done[number]:
                for one in case.judged:
                    plan.add(one)
        fresh = iter(await self._write(connection, plan))
        return [
            tuple(done[number] or [next(fresh) for _ in case.judged]) if number in done else ()
            for number, case in enumerate(cases)
        ]

    async def _known_refs(self, connection: Connection, cases: Sequence[_Case]) -> Mapping[refs.RefKey, refs.RefState]:
        keys = {key for case in cases for one in case.judged if (key := ref_key(one.fact))}
        return await refs.load(connection, list(keys)) if keys else {}

    async def _write(self, connection: Connection, plan: Plan) -> list[Admitted]:
        """The rows of a plan, in the order in which they refer to each other."""
        drafts = [draft for fact in plan.facts for draft in fact.drafts]
        asked = [draft for draft in drafts if draft.build]
        await refs.save(
            connection,
            states=plan.states,
            new=list(plan.transitions.values()),
            witnessed=list(plan.witnessed.values()),
        )
        await events.add(connection, [fact.event for fact in plan.facts])
        await definitions.keep(connection, list({draft.job.definition: draft.job for draft in asked}.values()))
        planned = await builds.plan(
            connection, [draft.build for draft in asked if draft.build], begun=plan.transitions.keys()
        )
        by_decision = {draft.decision.id: one for draft, one in zip(asked, planned, strict=True)}
        admitted = [_admitted(fact, by_decision) for fact in plan.facts]
        await decisions.add(connection, [decision for one in admitted for decision in one.decisions])
        news = [
            item
            for draft in asked
            if not (one := by_decision[draft.decision.id]).existing
            for item in plan_news(
                one.build,
                phase="queued",
                blocks=draft.job.notify,
                notifiers=self._notifiers,
                now=plan.now,
                guards=self._guards,
            )
        ]
        await notifications.add(connection, news)
        return admitted

    def _tell(self, commit: asyncio.Future[tuple[Admitted, ...]]) -> None:
        if commit.cancelled() or commit.exception() is not None:
            return  # whoever asked for it is told
        new: list[Build] = []
        for one in commit.result():
            for decision in one.decisions:
                self._metrics.decision(build=decision.build)
            new += one.builds
        for build in new:
            log.info("build queued", build=build.label, build_id=build.id, delivery_id=build.delivery_id)
        if new:
            self._planned(new)


class Lanes:
    """One lock a repository, taken in the order of arrival and forgotten when nobody waits."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._users: dict[tuple[str, str], int] = {}

    @asynccontextmanager
    async def enter(self, keys: Iterable[tuple[str, str]]) -> AsyncIterator[None]:
        """Hold the lanes of all `keys`; in sorted order, so that two callers never wait for each other."""
        held: list[tuple[str, str]] = []
        try:
            for key in sorted(keys):
                lock = self._locks.setdefault(key, asyncio.Lock())
                self._users[key] = self._users.get(key, 0) + 1
                try:
                    await lock.acquire()
                except BaseException:
                    self._leave(key)
                    raise
                held.append(key)
            yield
        finally:
            for key in reversed(held):
                self._locks[key].release()
                self._leave(key)

    def taken(self, key: tuple[str, str]) -> bool:
        """Whether somebody holds or awaits this lane."""
        return key in self._users

    def _leave(self, key: tuple[str, str]) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._locks[key]


def _judged(look: _Look) -> Judged:
    """Every job's verdict on what was seen."""
    subject = subject_text(look.subject)
    fact = look.fact if subject.event is look.fact.event else replace(look.fact, event=subject.event)
    return Judged(fact=fact, judgements=tuple([(job, judge(job, subject)) for job in look.jobs]))


async def _admitted_before(connection: Connection, fact: Fact) -> list[Admitted]:
    """What an earlier call with the same idempotency key was given; nothing for a fact without one."""
    if fact.event_id is None or (event := await events.get(connection, fact.event_id)) is None:
        return []
    decided = await decisions.of_events(connection, [event.id])
    ids = [decision.build_id for decision in decided if decision.build_id]
    found = [build for build_id in ids if (build := await builds.get(connection, build_id))]
    return [Admitted(event=event, transition=None, decisions=tuple(decided), builds=tuple(found))]


def _admitted(fact: PlannedFact, planned: Mapping[str, Planned]) -> Admitted:
    return Admitted(
        event=fact.event,
        transition=fact.transition,
        decisions=tuple(draft.settled(planned.get(draft.decision.id)) for draft in fact.drafts),
        builds=tuple(
            one.build for draft in fact.drafts if (one := planned.get(draft.decision.id)) and not one.existing
        ),
    )


def _changed_paths(push: Push) -> tuple[str, ...] | None:
    """All paths of all commits; `None` as soon as one commit does not say its own."""
    paths: set[str] = set()
    for commit in push.commits:
        if commit.paths is None:
            return None
        paths.update(commit.paths)
    return tuple(sorted(paths))


def _idempotent_id(actor: str, job: str, key: str | None) -> str | None:
    """An event id that is the same for the same request, so that the second finds what the first made."""
    if key is None:
        return None
    return "e_" + hashlib.sha256(f"{actor}\0{job}\0{key}".encode()).hexdigest()[:32]
