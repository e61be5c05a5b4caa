"""Each move of a build in the queue with the news of it, in one transaction; not when to move (`worker`, `attempt`).

The arrows are those of `storage.builds` (docs/builds.md draws them). What a transaction made is told only after it
is on disk: `changed` is called with the build as it now is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from headgate import api
from headgate.plugins.guard import Guards
from headgate.routing.news import plan_news
from headgate.storage import builds, definitions, events, notifications
from headgate.storage.builds import Cancelled, Claimed, Renewed
from headgate.storage.connection import Reading
from headgate.storage.database import Connection, Database
from headgate.storage.errors import Busy, StorageFull
from headgate.storage.writer import Unit

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_REMEMBERED = 256


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What brought a build, and the commits of the builds of its job and ref before it."""

    event: api.Event | None
    previous: str | None
    previous_successful: str | None


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed build with the definition it was planned from (`None` when that is gone), and what its steps are told."""

    claimed: Claimed
    job: api.Job | None
    history: History


class Queue:
    """The queue, as workers see it."""

    def __init__(
        self,
        *,
        database: Database,
        notifiers: Mapping[str, api.Notifier],
        now: Callable[[], datetime],
        changed: Callable[[api.Build], None],
        guards: Guards,
    ) -> None:
        """`changed` must not raise or block: it wakes who waits for news."""
        self._database = database
        self._notifiers = notifiers
        self._now = now
        self._changed = changed
        self._guards = guards
        self._definitions: dict[str, api.Job] = {}

    async def claim(self, *, worker: str, lease: float, limit: int) -> tuple[Assigned, ...]:
        """Take up to `limit` builds for `lease` seconds (arrow b)."""
        now = self._now()

        async def unit(connection: Connection) -> tuple[Assigned, ...]:
            claimed = await builds.claim(
                connection, worker=worker, now=now, lease_until=now + timedelta(seconds=lease), limit=limit
            )
            return tuple([await self._assigned(connection, one) for one in claimed])

        assigned = await self._database.writer.write(unit)
        for one in assigned:
            self._changed(one.claimed.build)
        return assigned

    async def renew(self, claimed: Claimed, lease: float) -> Renewed:
        """Keep it for another `lease` seconds (arrow d)."""
        until = self._now() + timedelta(seconds=lease)
        return await self._database.writer.write(
            lambda connection: builds.renew(connection, claimed.build.id, claimed.fence, until)
        )

    async def begin(self, claimed: Claimed) -> bool:
        """Write down, before anything runs, that it may have done something (arrow d). False: it is ours no more."""
        return await self._patiently(lambda connection: builds.begin(connection, claimed.build.id, claimed.fence))

    async def progress(
        self,
        claimed: Claimed,
        *,
        steps: Sequence[api.StepResult],
        sha: str | None = None,
        isolation: api.Isolation | None = None,
    ) -> bool:
        """Tell how far it is (arrow d). False: it is ours no more.

        A commit must be remembered, and waits for a full disk; steps are told again with the end and may be missed.
        """

        async def unit(connection: Connection) -> api.Build | None:
            return await builds.progress(
                connection, claimed.build.id, claimed.fence, steps=steps, sha=sha, isolation=isolation
            )

        if sha is not None:
            return self._told(await self._patiently(unit)) is not None
        try:
            return self._told(await self._database.writer.write(unit)) is not None
        except (Busy, StorageFull):
            return True

    async def finish(
        self,
        claimed: Claimed,
        *,
        outcome: api.Outcome,
        reason: str,
        steps: Sequence[api.StepResult],
        isolation: api.Isolation | None,
    ) -> api.Build | None:
        """End it (arrow c). `None`: it is ours no more, and nothing was written. Waits for a full disk to empty."""
        now = self._now()

        async def unit(connection: Connection) -> api.Build | None:
            build = await builds.finish(
                connection,
                claimed.build.id,
                claimed.fence,
                outcome=outcome,
                reason=reason,
                steps=steps,
                isolation=isolation,
                now=now,
            )
            return await self._with_news(connection, build)

        return self._told(await self._patiently(unit))

    async def release(self, claimed: Claimed, *, reason: str) -> api.Build | None:
        """Give it back: it waits again or is lost (arrows e and f). `None`: it is ours no more."""
        now = self._now()

        async def unit(connection: Connection) -> api.Build | None:
            build = await builds.release(connection, claimed.build.id, claimed.fence, reason=reason, now=now)
            return await self._with_news(connection, build)

        return self._told(await self._patiently(unit))

    async def cancel(self, build_id: str, *, reason: str) -> tuple[Cancelled, api.Build] | tuple[None, None]:
        """End it when it waits, ask its worker when it runs (arrow g)."""
        now = self._now()

        async def unit(connection: Connection) -> tuple[Cancelled, api.Build] | tuple[None, None]:
            done, build = await builds.cancel(connection, build_id, reason=reason, now=now)
            if done == "finished":
                await self._with_news(connection, build)
            return (done, build) if done is not None and build is not None else (None, None)

        done, build = await self._database.writer.write(unit)
        if done is None or build is None:
            return None, None
        if done != "already":
            self._told(build)
        return done, build

    async def abandoned(self, *, worker: str | None = None) -> tuple[Claimed, ...]:
        """Builds whose lease has run out; with `worker`, those it held in an earlier life."""
        async with self._database.reading() as connection:
            if worker is not None:
                return await builds.running(connection, worker)
            return await builds.expired(connection, self._now())

    async def history(self, build: api.Build) -> History:
        """Of a build whose ref was not known when it was claimed."""
        async with self._database.reading() as connection:
            return await _history(connection, build)

    async def running(self) -> frozenset[str]:
        """The ids of all builds that run, anywhere."""
        async with self._database.reading() as connection:
            return frozenset(claimed.build.id for claimed in await builds.running(connection))

    async def _assigned(self, connection: Connection, claimed: Claimed) -> Assigned:
        job = await self._definition(connection, claimed.build.definition)
        await self._add_news(connection, claimed.build, job, "running")
        # Read here, where a statement costs microseconds: each build would wait for readers of its own.
        return Assigned(claimed=claimed, job=job, history=await _history(connection, claimed.build))

    async def _definition(self, connection: Connection, definition: str) -> api.Job | None:
        """A definition goes by the hash of its content, so what was read once stays right."""
        job = self._definitions.get(definition) or await definitions.get(connection, definition)
        if job is not None:
            if len(self._definitions) >= _REMEMBERED:
                self._definitions.clear()
            self._definitions[definition] = job
        return job

    async def _with_news(self, connection: Connection, build: api.Build | None) -> api.Build | None:
        if build is not None:
            job = await self._definition(connection, build.definition)
            phase: api.Phase = "finished" if build.state is api.State.FINISHED else "queued"
            await self._add_news(connection, build, job, phase)
        return build

    async def _add_news(self, connection: Connection, build: api.Build, job: api.Job | None, phase: api.Phase) -> None:
        if job is not None and job.notify:
            news = plan_news(
                build,
                phase=phase,
                blocks=job.notify,
                notifiers=self._notifiers,
                now=self._now(),
                guards=self._guards,
            )
            await notifications.add(connection, news)

    def _told(self, build: api.Build | None) -> api.Build | None:
        if build is not None:
            self._changed(build)
        return build

    async def _patiently(self, unit: Unit[T]) -> T:
        """A result must not be forgotten because the disk is full just now."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._database.writer.write(unit)
            except (Busy, StorageFull):
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


async def _history(connection: Reading, build: api.Build) -> History:
    record = await events.get(connection, build.event_id)
    earlier = await builds.previous(connection, build.job, build.ref, build.id)
    good = earlier
    if earlier is not None and earlier.outcome is not api.Outcome.SUCCEEDED:
        good = await builds.previous(connection, build.job, build.ref, build.id, api.Outcome.SUCCEEDED)
    return History(
        event=record.event if record else None,
        previous=earlier.sha if earlier else None,
        previous_successful=good.sha if good else None,
    )
