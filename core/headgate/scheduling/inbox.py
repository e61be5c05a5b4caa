"""Recorded deliveries on their way to the flow, at once or after a restart; not their authentication or storage."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from headgate.api.deliveries import Delivery, Ignored, Parsed, Reading
from headgate.api.errors import Unreadable
from headgate.api.events import Event, Ping, PollRequested, Push
from headgate.api.host import Logger
from headgate.api.providers import Provider
from headgate.flow import Flow
from headgate.routing.planning import Fact
from headgate.storage import deliveries
from headgate.storage.database import Database
from headgate.storage.deliveries import DeliveryRecord, NewDelivery, Settled
from headgate.telemetry.logs import log_context

IN_MEMORY = 4_096
"""Deliveries kept in memory; more stay in the database, where they are anyway, until these are done."""

AT_ONCE = 256
"""Deliveries routed at the same time: as many as one transaction of the writer usefully takes."""

PAGE_SECONDS = 0.2
"""The pause between two full pages of a backlog."""

RETRY_SECONDS = 5.0
"""How long a delivery waits when the database could not take what follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConnection:
    """A connection as the doors need it: its open provider and how it normalises a repository's path."""

    name: str
    provider: Provider
    normalise: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    delivery: Delivery
    replay: bool
    reading: Reading | None


class Inbox:
    """Routes every delivery in state `recorded`, each once, those of one repository in the order they came."""

    def __init__(
        self,
        *,
        database: Database,
        flow: Flow,
        connection: Callable[[str], OpenConnection | None],
        poll: Callable[[str, str, str], Awaitable[str]],
        default_branch: Callable[[str, str], str | None],
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        """`poll(connection, key, delivery_id)` asks a repository now and says in a sentence what came of it."""
        self._database = database
        self._flow = flow
        self._connection = connection
        self._poll = poll
        self._default_branch = default_branch
        self._log = log
        self._now = now
        self._waiting: deque[_Waiting] = deque()
        self._known: set[str] = set()
        self._behind = True  # until the database was asked what an earlier run left
        self._work = asyncio.Event()
        self._work.set()

    def received(self, delivery: NewDelivery, reading: Reading | None) -> None:
        """A delivery that was just committed; `reading` when it is parsed already."""
        if len(self._waiting) >= IN_MEMORY:
            self._behind = True
        else:
            self._wait_for_turn(
                _Waiting(delivery=delivery.delivery, replay=delivery.replay_of is not None, reading=reading)
            )
        self._work.set()

    async def route(self, delivery: NewDelivery) -> None:
        """Route a delivery that was just committed, and return when it is settled; for whoever waits for the answer."""
        one = _Waiting(delivery=delivery.delivery, replay=delivery.replay_of is not None, reading=None)
        self._known.add(one.delivery.id)
        try:
            await self._route(one)
        except BaseException:
            self._known.discard(one.delivery.id)
            self.look_again()
            raise
        self._known.discard(one.delivery.id)

    def look_again(self) -> None:
        """Look for recorded deliveries in the database: connections may have come back."""
        self._behind = True
        self._work.set()

    async def run(self) -> None:
        """Route until cancelled; what is then in the middle is done again at the next start."""
        async with asyncio.TaskGroup() as tasks:
            free = asyncio.Semaphore(AT_ONCE)
            while True:
                await self._work.wait()
                self._work.clear()
                if not self._waiting and self._behind:
                    await self._catch_up()
                while self._waiting:
                    await free.acquire()
                    one = self._waiting.popleft()
                    tasks.create_task(self._route_one(one, free))
                if self._behind:
                    self._work.set()
                    await asyncio.sleep(0)  # let what was taken out be routed before looking again

    async def _catch_up(self) -> None:
        self._behind = False
        async with self._database.reading() as connection:
            found = await deliveries.pending(connection, limit=IN_MEMORY)
        for record in found:
            self._wait_for_turn(_of_record(record))
        if len(found) == IN_MEMORY:
            # A pause, lest deliveries that wait for a missing connection keep us busy asking for the rest.
            asyncio.get_running_loop().call_later(PAGE_SECONDS, self.look_again)

    def _wait_for_turn(self, one: _Waiting) -> None:
        if one.delivery.id not in self._known:
            self._known.add(one.delivery.id)
            self._waiting.append(one)

    async def _route_one(self, one: _Waiting, free: asyncio.Semaphore) -> None:
        try:
            await self._route(one)
        except Exception as error:  # noqa: BLE001 - it stays recorded, and is tried again rather than lost
            self._log.error("delivery not routed yet", delivery_id=one.delivery.id, error=repr(error))
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.look_again)
        finally:
            self._known.discard(one.delivery.id)
            free.release()

    async def _route(self, one: _Waiting) -> None:
        with log_context(delivery_id=one.delivery.id):
            await self._route_in_context(one)

    async def _route_in_context(self, one: _Waiting) -> None:
        delivery = one.delivery
        connection = self._connection(delivery.connection)
        if connection is None:
            self._log.warning("delivery waits for its connection", connection=delivery.connection)
            return
        try:
            reading = one.reading or connection.provider.parse(delivery)
            facts = _facts(reading, one, connection, self._default_branch)
        except Unreadable as error:
            await self._settle(delivery, "unreadable", str(error))
            return
        except Exception as error:  # noqa: BLE001 - a stranger's parser; the delivery is kept with what it did
            await self._settle(delivery, "unreadable", f"the provider's parser failed: {error!r}")
            return
        if isinstance(reading, Ignored):
            await self._settle(delivery, "ignored", reading.reason)
            return
        asked = [
            await self._poll(connection.name, connection.normalise(event.repository.path), delivery.id)
            for event in reading.events
            if isinstance(event, PollRequested)
        ]
        settled = Settled(id=delivery.id, state="routed", reason="; ".join(asked), at=self._now())
        await self._flow.admit(facts, settled=settled)

    async def _settle(self, delivery: Delivery, state: Literal["ignored", "unreadable"], reason: str) -> None:
        settled = Settled(id=delivery.id, state=state, reason=reason, at=self._now())
        await self._flow.admit((), settled=settled)


def _facts(
    reading: Reading,
    one: _Waiting,
    connection: OpenConnection,
    default_branch: Callable[[str, str], str | None],
) -> list[Fact]:
    """The events as facts; a ping or a request to poll is no fact about a repository."""
    if not isinstance(reading, Parsed):
        return []
    facts = []
    for event in reading.events:
        if isinstance(event, (Ping, PollRequested)):
            continue
        key = _key(event, connection)
        told = event.default_branch if isinstance(event, Push) else None
        facts.append(
            Fact(
                event=event,
                connection=connection.name,
                key=key,
                observer="webhook",
                delivery_id=one.delivery.id,
                default_branch=told or default_branch(connection.name, key),
                rejudge=one.replay,
            )
        )
    return facts


def _key(event: Event, connection: OpenConnection) -> str:
    repository = getattr(event, "repository", None)
    if repository is None:
        raise Unreadable("the event names no repository")
    try:
        return connection.normalise(repository.path)
    except ValueError as error:
        raise Unreadable(f"the event's repository is no path: {error}") from None


def _of_record(record: DeliveryRecord) -> _Waiting:
    return _Waiting(delivery=record.delivery, replay=record.replay_of is not None, reading=None)
