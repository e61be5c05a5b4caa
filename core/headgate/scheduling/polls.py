"""Asking repositories whether a head moved: one narrow question for all jobs of a repository; it only brings facts.

APScheduler holds the timetable in memory and is rebuilt from the snapshot; what was learned is in the database.
An error is not a change: it is kept and shown, and nothing else happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_RUNNING
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from headgate.api.errors import HeadgateError
from headgate.api.events import Push, Repository, Tag
from headgate.api.host import Logger
from headgate.flow import Flow
from headgate.git.places import Places
from headgate.routing.index import Snapshot
from headgate.routing.planning import Fact
from headgate.scheduling.cron import resolve_cron
from headgate.scheduling.learned import Learned
from headgate.scheduling.timetables import Timetable, on_request, timetables, widest
from headgate.scheduling.unanswered import Unanswered
from headgate.storage import refs
from headgate.storage.database import Database
from headgate.storage.polls import PollState
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics

SOON = timedelta(seconds=1)
"""How soon a repository is asked that never was, or not for too long; many of them are spread."""

FIRST_ROUND = 100
"""Questions a second to which those of a start are spread, where the interval leaves that much time."""

PATIENCE = 2.0
"""Seconds until a question that is not answered counts for its connection alone, and not for all of them."""

FEW = 50
"""Up to so many repositories are asked at once after a start."""

TOGETHER = 250
"""Moved refs of one answer that are admitted in one go, a few dozen milliseconds for whoever writes after them."""


class RemoteRefs(Protocol):
    """What a repository answered."""

    @property
    def heads(self) -> Mapping[str, str]:
        """Full ref → sha, for every ref under the prefixes asked for; `HEAD` stands under the default branch's ref."""

    @property
    def peeled(self) -> Mapping[str, str]:
        """Full ref of an annotated tag → the commit it leads to, of those in `heads`."""

    @property
    def default_branch(self) -> str | None:
        """The short name of the branch `HEAD` points to."""

    @property
    def host(self) -> str:
        """Who answered, in lower case; `localhost` for a folder of this machine."""


class Asks(Protocol):
    """Asks a repository for its refs; raises `HeadgateError`."""

    async def __call__(self, connection: str, path: str, prefixes: tuple[str, ...]) -> RemoteRefs:
        """`path` as the admin wrote it; `prefixes` are full refs or what they start with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One that runs. `wide`: it asks for all branches and tags, as a push that was only announced may be to any."""

    task: asyncio.Task[str]
    wide: bool


class Poller:
    """Keeps the timetable and asks. `ask` may be called at any time; one repository is asked once at a time."""

    def __init__(
        self,
        *,
        database: Database,
        flow: Flow,
        asks: Asks,
        snapshot: Callable[[], Snapshot],
        jitter: float,
        concurrency: int,
        metrics: Metrics,
        health: Health,
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        """`jitter`: share of an interval; `concurrency`: questions at once, and of one connection."""
        self._database = database
        self._flow = flow
        self._asks = asks
        self._snapshot = snapshot
        self._jitter = jitter
        self._places = Places(concurrency, each=concurrency, patience=PATIENCE)
        self._metrics = metrics
        self._log = log
        self._now = now
        self._unanswered = Unanswered(health)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._timetables: dict[tuple[str, str], Timetable] = {}
        self._asking: dict[tuple[str, str], _Question] = {}
        self._learned = Learned(database, log=log)
        self._scheduled: dict[tuple[str, str], list[str]] = {}

    def default_branch(self, connection: str, key: str) -> str | None:
        """What the last answer said, for events that do not say it themselves."""
        return self._learned.default_branch((connection, key))

    async def start(self) -> None:
        """Read what was learned, and start the timetable of the current snapshot."""
        learned = await self._learned.load()
        self._scheduler.start()
        self.rebuild({place: state.asked_at for place, state in learned.items()})

    def rebuild(self, asked: Mapping[tuple[str, str], datetime] | None = None) -> None:
        """Replace the timetable by that of the current snapshot; what stays the same keeps its next time."""
        wanted = {(one.connection, one.key): one for one in timetables(self._snapshot())}
        running = self._scheduler.state == STATE_RUNNING
        if running:
            self._scheduler.pause()  # else it looks at its whole timetable for every line that changes
        for place in [place for place in self._timetables if self._timetables[place] != wanted.get(place)]:
            for job_id in self._scheduled.pop(place, ()):
                self._scheduler.remove_job(job_id)
            del self._timetables[place]
            self._unanswered.forget(*place)
        new = [one for place, one in wanted.items() if place not in self._timetables]
        for one in new:
            self._schedule(one, (asked or {}).get((one.connection, one.key)), new=len(new))
            self._timetables[one.connection, one.key] = one
        if running:
            self._scheduler.resume()

    def stop(self) -> None:
        """Ask no more."""
        self._scheduler.shutdown(wait=False)

    async def flush(self) -> None:
        """Write what was learned and is not on disk yet."""
        await self._learned.flush()

    async def ask(self, connection: str, key: str, delivery_id: str | None = None) -> str:
        """Ask one repository now and admit what moved; says in a sentence what came of it.

        `delivery_id`: the delivery that announced a push to whatever ref, and which the events then name. Callers at
        the same time share one question that starts after the last of them called.
        """
        place, wide = (connection, key), delivery_id is not None
        # What runs may have been answered before the caller's push: it is waited for, then asked again.
        running = self._asking.get(place)
        while running is not None:
            with contextlib.suppress(Exception):
                await asyncio.shield(running.task)
            running = self._asking.get(place)
            if running is not None and (running.wide or not wide):
                return await asyncio.shield(running.task)
        task = asyncio.create_task(self._ask(connection, key, delivery_id))
        self._asking[place] = _Question(task=task, wide=wide)
        task.add_done_callback(lambda _: self._asking.pop(place, None))
        return await asyncio.shield(task)

    def _schedule(self, one: Timetable, asked: datetime | None, *, new: int) -> None:
        """`new`: how many repositories come into the timetable together."""
        place, now = (one.connection, one.key), self._now()
        if one.every is not None:
            soon = now + SOON + _spread(place, new, one.every)
            due = asked + timedelta(seconds=one.every) if asked else soon
            every = IntervalTrigger(seconds=max(1, round(one.every)), jitter=int(one.every * self._jitter) or None)
            self._add(place, "every", every, next_run_time=due if due > now + SOON else soon)
        for number, cron in enumerate(one.crons):
            try:
                trigger = CronTrigger.from_crontab(resolve_cron(cron, seed=_stable(place)), "UTC")
            except ValueError as error:
                self._log.error("poll not scheduled", connection=one.connection, repository=one.key, reason=str(error))
            else:
                self._add(place, f"cron-{number}", trigger)

    def _add(
        self,
        place: tuple[str, str],
        what: str,
        trigger: IntervalTrigger | CronTrigger,
        *,
        next_run_time: datetime | None = None,
    ) -> None:
        # APScheduler would drop a run that is a second late, and pile up those that wait: neither is wanted.
        options = {"next_run_time": next_run_time} if next_run_time else {}
        job_id = f"{place[0]}\0{place[1]}\0{what}"
        self._scheduled.setdefault(place, []).append(job_id)
        self._scheduler.add_job(
            self._tick,
            trigger,
            args=place,
            id=job_id,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            **options,
        )

    async def _tick(self, connection: str, key: str) -> None:
        try:
            await self.ask(connection, key)
        except Exception as error:  # noqa: BLE001 - the timetable goes on whatever one question did
            self._log.error("poll failed", connection=connection, repository=key, error=repr(error))

    async def _ask(self, connection: str, key: str, delivery_id: str | None) -> str:
        jobs = self._snapshot().of_repository(connection, key)
        if not jobs:
            return f"no job builds {key} of {connection}"
        timetable = self._timetables.get((connection, key)) if delivery_id is None else None
        timetable = timetable or on_request(connection, key, jobs)
        # All of it is done in one place, so that a round of ten thousand first looks does not crowd the database either.
        async with self._places.at(connection):
            learned = await self._learned.of((connection, key))
            started = time.perf_counter()
            try:
                answer = await self._asks(connection, timetable.path, timetable.prefixes)
            except HeadgateError as error:
                self._metrics.observe_poll(time.perf_counter() - started, succeeded=False)
                await self._remember(timetable, learned, None, error=str(error))
                if (connection, key) in self._timetables:  # else nobody would ask again, and it would stand for ever
                    self._unanswered.failed(connection, key, str(error))
                self._log.warning("poll not answered", connection=connection, repository=key, reason=str(error))
                return f"{key} could not be asked: {error}"
            self._metrics.observe_poll(time.perf_counter() - started, succeeded=True)
            self._unanswered.forget(connection, key)
            moved = await self._admit_unless_told(timetable, learned, answer, delivery_id)
            await self._remember(timetable, learned, answer)
        return f"asked {key}: {moved} refs moved" if moved else f"asked {key}: nothing moved"

    async def _admit_unless_told(
        self, timetable: Timetable, learned: PollState | None, answer: RemoteRefs, delivery_id: str | None
    ) -> int:
        """How many refs moved; none, without a look at the database, when the last answer was the same."""
        asked = ((timetable.connection, timetable.key), timetable.prefixes, answer.heads)
        if self._learned.is_told_again(*asked):
            return 0
        self._learned.moved(asked[0])
        moved = await self._admit(timetable, learned, answer, delivery_id)
        if not moved:
            self._learned.moved_nothing(*asked)
        return moved

    async def _admit(
        self, timetable: Timetable, learned: PollState | None, answer: RemoteRefs, delivery_id: str | None
    ) -> int:
        """Every ref whose head is not what the last poll saw, as a push or tag of unknown author."""
        async with self._database.reading() as connection:
            known = await refs.heads(connection, timetable.connection, timetable.key)
        covered = learned.prefixes if learned else ()
        facts = []
        heads = answer.heads
        for ref, held in heads.items():
            state, leads_to = known.get(ref), answer.peeled.get(ref)
            # Webhooks of some hosts name the commit of an annotated tag alone: then that is what it is known by.
            head = leads_to if leads_to is not None and state is not None and state.head == leads_to else held
            if state is None or state.polled_head != head:
                first_seen = state is None and not ref.startswith(covered or ("\0",))
                facts.append(
                    _fact(
                        timetable, answer, ref, before=state.head if state else None, after=head, first_seen=first_seen
                    )
                )
        gone = [ref for ref, state in known.items() if ref not in heads and ref.startswith(timetable.prefixes)]
        facts += [
            _fact(timetable, answer, ref, before=known[ref].head, after=None)
            for ref in gone
            if known[ref].polled_head is not None
        ]
        # What a crash leaves out the next answer brings again: it is still not what a poll has seen.
        for start in range(0, len(facts), TOGETHER):
            some = facts[start : start + TOGETHER]
            await self._flow.admit([msgspec.structs.replace(fact, delivery_id=delivery_id) for fact in some])
        return len(facts)

    async def _remember(
        self,
        timetable: Timetable,
        learned: PollState | None,
        answer: RemoteRefs | None,
        *,
        error: str | None = None,
    ) -> None:
        """Keep what this question taught; `learned` before it is still so, as a repository is asked once at a time."""
        now = self._now()
        state = learned or PollState(connection=timetable.connection, repository=timetable.key, asked_at=now)
        state = msgspec.structs.replace(state, asked_at=now, error=error)
        if answer is not None:
            # What was once looked at stays known: a ref that comes later is new, whatever is asked for then.
            prefixes = widest({*state.prefixes, *timetable.prefixes})
            state = msgspec.structs.replace(
                state,
                succeeded_at=now,
                default_branch=answer.default_branch or state.default_branch,
                prefixes=prefixes,
            )
        await self._learned.keep(state)


def _fact(
    timetable: Timetable,
    answer: RemoteRefs,
    ref: str,
    *,
    before: str | None,
    after: str | None,
    first_seen: bool = False,
) -> Fact:
    repository = Repository(host=answer.host, path=timetable.path)
    event: Push | Tag
    if ref.startswith("refs/tags/"):
        event = Tag(
            repository=repository,
            ref=ref,
            tag=ref.removeprefix("refs/tags/"),
            before=before,
            after=after,
            commit=answer.peeled.get(ref, msgspec.UNSET) if after else msgspec.UNSET,
        )
    else:
        event = Push(repository=repository, ref=ref, before=before, after=after, default_branch=answer.default_branch)
    return Fact(
        event=event,
        connection=timetable.connection,
        key=timetable.key,
        observer="poll",
        first_seen=first_seen,
        default_branch=answer.default_branch,
    )


def _spread(place: tuple[str, str], new: int, every: float) -> timedelta:
    """How long one of `new` repositories waits, so that a start is no storm; always the same for one repository."""
    if new <= FEW:
        return timedelta(0)
    return timedelta(seconds=min(every, new / FIRST_ROUND) * (_stable(place) / 2**48))


def _stable(place: tuple[str, str]) -> int:
    """A number that is the same for a repository on every start: the `H` of a cron, the spread of a round."""
    return int.from_bytes(hashlib.sha256("\0".join(place).encode()).digest()[:6], "big")
