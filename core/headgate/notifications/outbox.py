"""Tells what waits in the outbox, at least once, in order where order counts; it never decides what is news.

A piece of news stays in the database until its notifier has told it: a crash between telling and writing that
down tells it again, with the same id. Of equal order keys one is told at a time, the others go side by side.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol

import structlog

from headgate.api import HeadgateError, Notification, Notifier, PluginError, Provider, RateLimited, Unavailable
from headgate.notifications.backoff import next_try
from headgate.plugins.guard import CircuitOpen, Fault, Guard, Guards, lone_guards
from headgate.routing.news import build_url
from headgate.storage import notifications
from headgate.storage.database import Database
from headgate.storage.errors import Busy, StorageFull
from headgate.storage.notifications import NotificationRecord
from headgate.storage.writer import Unit
from headgate.telemetry.logs import log_context

SLOTS = 32
"""How many are told at once; by one notifier half as many, to one target half of those."""

PATIENCE = 30.0
"""Seconds a notifier may take; then it counts as failed."""

_IDLE = 5.0
"""Seconds after which to look unasked: another process may have let one wait again."""

_BUSY = 1.0
"""The same while something is being told, which hides when the next is due."""

_STORAGE_PAUSE = 1.0

_AFTER_TRIAL = 1.0
"""Seconds after a trial is due at which the others come back."""

_LONGEST_ERROR = 1000

_log = structlog.get_logger(__name__)


class RecordsResult(Protocol):
    """What the outbox needs of the metrics."""

    def notification(self, *, notifier: str, result: Literal["told", "retried", "dead", "superseded"]) -> None:
        """A notifier was asked to tell, and this came of it."""


class Outbox:
    """One for each server process; two on one database would tell things twice."""

    def __init__(
        self,
        *,
        database: Database,
        notifiers: Mapping[str, Notifier],
        provider_of: Callable[[str], tuple[Provider, Guard] | None],
        now: Callable[[], datetime],
        metrics: RecordsResult,
        public_url: str,
        redact: Callable[[str], str] = str,
        patience: float = PATIENCE,
        guards: Guards | None = None,
    ) -> None:
        """`notifiers`: by kind. `provider_of`: a connection's provider and its guard, `None` when it is gone.

        `now`: aware UTC. `public_url`: what links start with. `redact`: masks secrets in the errors that are kept.
        """
        self._database = database
        self._notifiers = notifiers
        self._provider_of = provider_of
        self._now = now
        self._metrics = metrics
        self._public_url = public_url.rstrip("/")
        self._redact = redact
        self._patience = patience
        self._guards = guards or lone_guards()
        self._reaching: dict[str, str] = {}
        """Notifiers that were seen to fail within a provider → which of its methods they call."""
        self._telling: dict[str, NotificationRecord] = {}
        """By order key."""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something new may wait: look now."""
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled. What was being told then is cut off, still waits, and is told again after a start."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                try:
                    pause = await self._start_what_is_due(group)
                except (Busy, StorageFull) as error:
                    _log.warning("outbox_waits_for_storage", reason=str(error))
                    pause = _STORAGE_PAUSE
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass

    async def _start_what_is_due(self, group: asyncio.TaskGroup) -> float:
        """Fill the free slots; seconds until it is worth looking again."""
        now = self._now()
        async with self._database.reading() as connection:
            moment = await notifications.next_attempt(connection)
        if moment is None or moment > now:
            return _IDLE if moment is None else min((moment - now).total_seconds(), _IDLE)
        if len(self._telling) < SLOTS:
            # What is being told now still waits, and so may one newer for each: ask for enough to see past them.
            telling = self._telling.values()
            full = tuple({one.notifier for one in telling if self._is_full(one.notifier)})
            past = tuple({_target(one): one for one in telling if self._has_enough(one)}.values())
            found = await self._database.writer.write(
                lambda conn: notifications.due(conn, now, 3 * SLOTS, without=full, past=past)
            )
            for record in found:
                if record.order_key in self._telling or len(self._telling) >= SLOTS:
                    continue
                if self._is_full(record.notifier) or self._has_enough(record):
                    self._woken.set()  # look again, past what this one has waiting
                    continue
                self._telling[record.order_key] = record
                group.create_task(self._tell(record))
        return _BUSY if self._telling else _IDLE  # the end of each telling wakes us too

    def _is_full(self, notifier: str) -> bool:
        """Whether it has half of the slots that the others leave it: one that hangs leaves room for all that do not."""
        return self._count(notifier) >= self._share(notifier)

    def _has_enough(self, record: NotificationRecord) -> bool:
        """Whether its target has half of what the notifier's other targets leave it, likewise."""
        target = _target(record)
        busy = sum(_target(one) == target for one in self._telling.values())
        left = self._share(record.notifier) - self._count(record.notifier)
        return busy >= max(1, (left + busy) // 2)

    def _share(self, notifier: str) -> int:
        return max(1, (SLOTS - len(self._telling) + self._count(notifier)) // 2)

    def _count(self, notifier: str) -> int:
        return sum(one.notifier == notifier for one in self._telling.values())

    async def _tell(self, record: NotificationRecord) -> None:
        try:
            with log_context(build_id=record.build_id, delivery_id=record.build.delivery_id):
                await self._settle(record, await self._attempt(record))
        finally:
            del self._telling[record.order_key]
            self.wake()

    async def _attempt(self, record: NotificationRecord) -> HeadgateError | None:
        """Tell it; what went wrong, as `Unavailable` (or `RateLimited`) when it is worth another try."""
        notifier = self._notifiers.get(record.notifier)
        if notifier is None:
            return HeadgateError(f"there is no notifier {record.notifier}: its plugin is not installed or is broken")
        notification = Notification(
            id=record.id,
            build=record.build,
            phase=record.phase,
            options=record.options,
            sequence=record.sequence,
            attempt=record.attempts + 1,
            url=build_url(self._public_url, record.build_id),
        )
        guard = self._guards.of("notifier", record.notifier)
        provider, behind = self._provider_of(record.build.connection) or (None, None)
        reached = self._reaching.get(record.notifier)
        if behind is not None and reached and behind.uneasy and (shut := behind.refusal(reached)):
            return shut
        try:
            await guard.call("tell", lambda: notifier.tell(notification, provider), within=self._patience)
        except Fault as error:
            if error.plugin != guard.plugin:
                self._reaching[record.notifier] = error.method
            return error
        except HeadgateError as error:
            return error
        if behind is not None and reached and behind.uneasy:
            behind.worked(reached)
        return None

    async def _settle(self, record: NotificationRecord, error: HeadgateError | None) -> None:
        if isinstance(error, CircuitOpen):  # nobody was asked, so no try is used up
            later = self._now() + timedelta(seconds=error.seconds + _AFTER_TRIAL)
            reason = self._redact(str(error))[:_LONGEST_ERROR]
            await self._write(lambda conn: notifications.postponed(conn, record.id, reason, later))
            return
        if error is None:
            await self._write(lambda conn: notifications.told(conn, record.id))
            self._metrics.notification(notifier=record.notifier, result="told")
            return
        again = self._again(record, error)
        reason = self._redact(str(error))[:_LONGEST_ERROR]
        await self._write(lambda conn: notifications.failed(conn, record.id, reason, again))
        self._metrics.notification(notifier=record.notifier, result="dead" if again is None else "retried")
        _log.warning(
            "notification_failed",
            notification=record.id,
            notifier=record.notifier,
            attempt=record.attempts + 1,
            next_attempt_at=again.isoformat() if again else None,
            reason=reason,
        )

    def _again(self, record: NotificationRecord, error: HeadgateError) -> datetime | None:
        if not isinstance(error, (RateLimited, Unavailable, PluginError)):
            return None
        asked = error.retry_at if isinstance(error, RateLimited) else None
        chance = random.random()  # noqa: S311 - spreads load, protects nothing
        return next_try(record.attempts + 1, self._now(), chance=chance, asked=asked)

    async def _write(self, unit: Unit[bool]) -> None:
        """Write it down, however long that takes: forgetting it would tell the news again at once."""
        while True:
            try:
                await self._database.writer.write(unit)
            except (Busy, StorageFull) as error:
                _log.warning("outbox_waits_for_storage", reason=str(error))
                await asyncio.sleep(_STORAGE_PAUSE)
            else:
                return


def _target(record: NotificationRecord) -> tuple[str, str, str]:
    """Whom it is for: a receiver (the block's options name it), or the host of a connection."""
    return record.notifier, record.build.connection, repr(record.options)
