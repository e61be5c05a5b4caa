"""Recorded deliveries on their way to the flow, at once or after a restart; not their authentication or storage.

A provider waits for its answer and nobody waits for what follows from it. So deliveries are routed when the event loop
has a moment, some at a time, and while requests keep it busy only so many that none waits for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from headgate.api.deliveries import Delivery, Ignored, Parsed, Reading
from headgate.api.errors import PluginError, Unreadable
from headgate.api.events import PollRequested
from headgate.api.host import Logger
from headgate.flow import Admitted, Flow
from headgate.plugins.guard import CircuitOpen
from headgate.scheduling.crowds import Crowds
from headgate.scheduling.readings import OpenConnection, announced, facts_of, parse
from headgate.storage import deliveries
from headgate.storage.database import Database
from headgate.storage.deliveries import DeliveryRecord, NewDelivery, Settled
from headgate.telemetry.logs import log_context

IN_MEMORY = 8_192
"""Deliveries kept in memory; more stay in the database, where they are anyway, until these are done."""

BYTES_IN_MEMORY = 134_217_728
"""Bytes of bodies kept in memory, with those that are being routed; likewise."""

PAGE = 256
"""Deliveries that are taken out of the database at once."""

UNSETTLED = 3_072
"""Deliveries that may be on their way from their judgement to the disk."""

ROUND = 16
"""Deliveries judged in one go: some milliseconds in which no request is answered."""

BUSY = 0.65
"""The share of one processor from which requests leave none for what nobody waits for: the loader of a socket, the
kernel and the disk need theirs as well."""

PAUSE = 0.005
"""Seconds between two looks at how busy we are."""

QUIET = 0.05
"""Seconds without a delivery after which nobody is likely to wait for an answer."""

PATIENCE = 0.1
"""Seconds for which requests may keep deliveries waiting before the next round goes on all the same."""

RETRY_SECONDS = 5.0
"""How long a delivery waits when the database could not take what follows from it, or its provider broke on it."""

LATER = 0.2
"""Seconds after which a provider's pause is certainly over."""

CROWDED = "as many of this connection as may wait, for its git host, its provider or the disk, do so already"

TRIES = 3
"""How often a provider may break on a delivery before it is the delivery's fault, if it gets on with others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    delivery: Delivery
    replay: bool
    reading: Reading | None


_Place: TypeAlias = tuple[str, str | None]
"""A connection, and the path of a repository as its provider spells it; `None`: it is not known yet."""


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
        self._bytes = 0
        self._known: set[str] = set()
        self._left: str | None = ""
        """From this id on the database may hold deliveries that we do not know; first what an earlier run left."""
        self._shut: dict[str, float] = {}  # connections whose provider is not called → until when
        self._broke: dict[str, int] = {}  # deliveries on which their provider broke → how often
        self._work = asyncio.Event()
        self._work.set()
        self._came = 0.0
        """When the last delivery came."""
        self._looked = (0.0, 0.0)
        self._apart: Counter[_Place] = Counter()
        """What the deliveries in tasks speak of."""
        self._crowds = Crowds()
        self._unsettled = 0
        self._settled = asyncio.Event()

    def received(self, delivery: NewDelivery, reading: Reading | None) -> None:
        """A delivery that was just committed; `reading` when it is parsed already."""
        self._came = time.monotonic()
        full = len(self._waiting) >= IN_MEMORY or self._bytes >= BYTES_IN_MEMORY
        if full or self._left is not None:  # those that are left came first
            self._leave(delivery.delivery.id)
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
        self._leave("")
        self._work.set()

    async def run(self) -> None:
        """Route until cancelled; what is then in the middle is done again at the next start."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._work.wait()
                self._work.clear()
                while self._waiting or self._left is not None:
                    if not self._waiting:
                        await self._until_settled(lambda: self._bytes < BYTES_IN_MEMORY)
                        await self._catch_up()
                    await self._give_way()
                    for _ in range(min(ROUND, len(self._waiting))):
                        one = self._waiting.popleft()
                        if await self._has_room(one.delivery.connection):
                            self._start(one, tasks)
                        else:  # it stays in the database
                            self._forget(one)

    async def _give_way(self) -> None:
        """Return when requests leave time for a round, or took it all for too long; and there is room for one."""
        await self._until_settled(lambda: self._unsettled <= UNSETTLED - ROUND)
        give_up = time.monotonic() + PATIENCE
        while True:
            await asyncio.sleep(0)  # who waits already is served first
            now = time.monotonic()
            if now - self._came > QUIET or self._is_at_ease() or now > give_up:
                return
            await asyncio.sleep(PAUSE)

    async def _has_room(self, connection: str) -> bool:
        """`False` when too much of a connection waits for somebody outside, who must not hold up the others."""
        if connection in self._crowds:
            return False
        while self._crowds.is_full(connection):
            if (seconds := self._crowds.patience(connection)) <= 0:
                self._crowds.close(connection)
                self._log.warning("deliveries wait in the database", connection=connection, reason=CROWDED)
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._until_settled(lambda: not self._crowds.is_full(connection))
        return True

    async def _until_settled(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._settled.clear()
            await self._settled.wait()

    def _is_at_ease(self) -> bool:
        """Whether this process, all its threads together, left some of a processor idle since the last look."""
        before, self._looked = self._looked, (time.monotonic(), time.process_time())
        (then, used_then), (now, used) = before, self._looked
        return used - used_then < BUSY * (now - then)

    async def _catch_up(self) -> None:
        start, self._left = self._left or "", None
        now = asyncio.get_running_loop().time()
        self._shut = {name: until for name, until in self._shut.items() if until > now}
        without = (*self._shut, *self._crowds.reopen())
        room = BYTES_IN_MEMORY - self._bytes
        async with self._database.reading() as connection:
            found = await deliveries.pending(connection, limit=PAGE, size=room, start=start, without=without)
        newcomers = list(self._waiting)  # while we looked: what was found came first
        self._waiting.clear()
        for one in newcomers:
            self._forget(one)
        more = len(found) == PAGE or sum(len(one.delivery.body) for one in found) >= room
        if more:
            self._leave(found[-1].delivery.id + "~")  # the first id after it: all have the same length
        # A provider that is tried again is tried with what it has not broken on.
        for record in sorted(found, key=lambda record: self._broke.get(record.delivery.id, 0)):
            self._wait_for_turn(_of_record(record))
        for one in newcomers:
            if more:
                self._leave(one.delivery.id)
            else:
                self._wait_for_turn(one)

    def _leave(self, start: str) -> None:
        self._left = start if self._left is None else min(start, self._left)

    def _wait_for_turn(self, one: _Waiting) -> None:
        if one.delivery.id not in self._known:
            self._known.add(one.delivery.id)
            self._waiting.append(one)
            self._bytes += len(one.delivery.body)

    def _forget(self, one: _Waiting) -> None:
        self._known.discard(one.delivery.id)
        self._bytes -= len(one.delivery.body)

    def _start(self, one: _Waiting, tasks: asyncio.TaskGroup) -> None:
        """Most deliveries need nothing but a judgement: that is done here; a task is for those that must wait."""
        self._unsettled += 1
        try:
            places = self._places(one)
            commit = None if self._is_behind(places) else self._at_once(one)
        except Exception as error:  # noqa: BLE001 - it stays recorded, and is tried again rather than lost
            self._end(one, error)
            return
        if commit is None:
            self._apart.update(places)
            self._crowds.enter(one.delivery)
            tasks.create_task(self._route_apart(one, places))
        else:
            commit.add_done_callback(lambda commit: self._end(one, _failure(commit)))

    def _places(self, one: _Waiting) -> set[_Place]:
        """The repositories it speaks of: what comes later for one of them must not overtake it."""
        name, connection = one.delivery.connection, self._connection(one.delivery.connection)
        if connection is None or not isinstance(one.reading, Parsed):
            return {(name, None)}
        paths = {repository.path for event in one.reading.events if (repository := getattr(event, "repository", None))}
        return {(name, path) for path in paths} or {(name, None)}

    def _is_behind(self, places: set[_Place]) -> bool:
        """Whether one that waits in a task may be of the same repository: of those not read yet nobody knows."""
        return any(place in self._apart or (place[0], None) in self._apart for place in places)

    def _at_once(self, one: _Waiting) -> asyncio.Future[tuple[Admitted, ...]] | None:
        connection = self._connection(one.delivery.connection)
        if connection is None or not isinstance(one.reading, Parsed):
            return None
        if any(isinstance(event, PollRequested) for event in one.reading.events):
            return None
        try:
            facts = facts_of(one.reading, one.delivery, connection, self._default_branch, replay=one.replay)
        except (Unreadable, PluginError):
            return None
        return self._flow.admit_at_once(facts, settled=Settled(id=one.delivery.id, state="routed", at=self._now()))

    async def _route_apart(self, one: _Waiting, places: set[_Place]) -> None:
        failure = None
        try:
            await self._route(one)
        except Exception as error:  # noqa: BLE001 - it stays recorded, and is tried again rather than lost
            failure = error
        finally:
            self._apart -= Counter(places)  # in place, and without those that nobody waits for any more
            self._crowds.leave(one.delivery)
            self._end(one, failure)
            if self._crowds.thinned(one.delivery.connection):
                self.look_again()

    def _end(self, one: _Waiting, error: BaseException | None) -> None:
        self._forget(one)
        self._unsettled -= 1
        self._settled.set()
        if error is not None:
            self._log.error("delivery not routed yet", delivery_id=one.delivery.id, error=repr(error))
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.look_again)

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
            reading = one.reading or connection.guard.run("parse", parse, connection.provider, delivery)
            facts = facts_of(reading, one.delivery, connection, self._default_branch, replay=one.replay)
            asked_for = announced(reading, connection)
        except Unreadable as error:
            await self._settle(delivery, "unreadable", str(error))
            return
        except CircuitOpen as shut:
            self._wait_for_provider(delivery, shut)
            return
        except PluginError as error:
            await self._try_again_or_settle(delivery, connection, error)
            return
        if isinstance(reading, Ignored):
            await self._settle(delivery, "ignored", reading.reason)
            return
        asked = [await self._poll(connection.name, key, delivery.id) for key in asked_for]
        settled = Settled(id=delivery.id, state="routed", reason="; ".join(asked), at=self._now())
        await self._flow.admit(facts, settled=settled)
        self._broke.pop(delivery.id, None)

    def _wait_for_provider(self, delivery: Delivery, shut: CircuitOpen) -> None:
        """It stays recorded until its provider is called again."""
        loop = asyncio.get_running_loop()
        if self._shut.get(delivery.connection, 0.0) <= loop.time():
            self._shut[delivery.connection] = loop.time() + shut.seconds
            loop.call_later(shut.seconds + LATER, self.look_again)
            self._log.warning("deliveries wait for their provider", connection=delivery.connection, reason=str(shut))

    async def _try_again_or_settle(self, delivery: Delivery, connection: OpenConnection, error: PluginError) -> None:
        """It stays recorded while it may be the provider's fault, and is not tried for ever when it is its own."""
        tries = self._broke.get(delivery.id, 0) + 1
        if tries >= TRIES and not connection.guard.is_open("parse"):
            self._broke.pop(delivery.id, None)
            await self._settle(delivery, "unreadable", str(error))
        else:
            self._broke[delivery.id] = tries
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.look_again)

    async def _settle(self, delivery: Delivery, state: Literal["ignored", "unreadable"], reason: str) -> None:
        settled = Settled(id=delivery.id, state=state, reason=reason, at=self._now())
        await self._flow.admit((), settled=settled)


def _failure(commit: asyncio.Future[tuple[Admitted, ...]]) -> BaseException | None:
    return asyncio.CancelledError() if commit.cancelled() else commit.exception()


def _of_record(record: DeliveryRecord) -> _Waiting:
    return _Waiting(delivery=record.delivery, replay=record.replay_of is not None, reading=None)
