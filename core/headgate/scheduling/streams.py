"""The sixth door: what open connections tell over streams of their own, each message kept like a webhook; not its routing.

A stream is read in a task of its own, so what it does (end, raise, hang) is its own trouble. It is opened again after
a pause that grows, and asked for what it told meanwhile: a message that was lost before it was kept is told again, and
one that is told twice is known by its key.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec

from headgate.api.capabilities import CaughtUp, Streamed, StreamsEvents
from headgate.api.deliveries import STREAM, Delivery, Ignored, Reading
from headgate.api.errors import HeadgateError, PluginError, RateLimited, Unreadable
from headgate.api.host import Logger
from headgate.plugins.guard import ENDS_WITHIN, CircuitOpen
from headgate.scheduling.readings import OpenConnection, parse
from headgate.storage import deliveries, streams
from headgate.storage.connection import Writing
from headgate.storage.database import Database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.storage.streams import StreamMark
from headgate.telemetry.health import Health
from headgate.telemetry.streams import StreamNumbers, StreamResult

FIRST_PAUSE: Final = 1.0
"""Seconds before a lost stream is opened again; twice as many each time it is lost at once."""

LONGEST_PAUSE: Final = 300.0

CONNECTS_WITHIN: Final = 600.0
"""Seconds without a word after which a stream that has not caught up is given up; asking for what was missed takes time."""

STEADY: Final = 60.0
"""Seconds after which a stream that caught up counts as good, so that the pauses begin anew."""

MARKED_EVERY: Final = 30.0
"""Seconds for which what was told may be told again after a crash."""

LONGEST_EVENT: Final = 100

_Told: TypeAlias = AsyncIterator[Streamed | CaughtUp]


@dataclass(slots=True, kw_only=True)
class _Session:
    """One opening of a stream. `caught_up`: when it had told all that was missed, by the loop's clock."""

    began: datetime
    caught_up: float | None = None


@dataclass(slots=True, kw_only=True)
class _Line:
    """One connection's stream through all its sessions. `left`: nobody wants to hear it any more."""

    connection: OpenConnection
    provider: StreamsEvents
    tries: int = 0
    reconnects: int = 0
    lost_at: datetime | None = None
    left: bool = False
    task: asyncio.Task[None] = field(init=False)


class Streams:
    """Reads the stream of each open connection that has one, until cancelled."""

    def __init__(
        self,
        *,
        database: Database,
        connections: Callable[[], Mapping[str, OpenConnection]],
        received: Callable[[NewDelivery, Reading | None], None],
        numbers: StreamNumbers,
        health: Health,
        max_body: int,
        log: Logger,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`connections`: those that are open now; `received`: told of what was just committed. `max_body` in bytes.

        `sleep` and `draw` (a number from 0 to 1) are for tests to turn.
        """
        self._database = database
        self._connections = connections
        self._received = received
        self._numbers = numbers
        self._health = health
        self._max_body = max_body
        self._log = log
        self._now = now
        self._sleep = sleep
        self._draw = draw
        self._lines: dict[str, _Line] = {}
        self._complete: dict[str, datetime] = {}
        """Up to when all that each connection told is kept."""
        self._marked: dict[str, datetime] = {}
        """The same as it stands in the database."""
        self._work = asyncio.Event()
        self._work.set()

    def look_again(self) -> None:
        """Other connections may be open now: read those, and leave the streams of those that are not."""
        self._work.set()

    async def run(self) -> None:
        """Read them all until cancelled, and leave none open."""
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                await self._follow(self._connections())
        finally:
            await self._leave(tuple(self._lines))
            for name in self._complete:
                await self._mark(name)

    async def _follow(self, connections: Mapping[str, OpenConnection]) -> None:
        gone = [
            name
            for name, line in self._lines.items()
            if name not in connections or connections[name].provider is not line.connection.provider
        ]
        await self._leave(gone)
        for name, connection in connections.items():
            if name not in self._lines and isinstance(connection.provider, StreamsEvents):
                line = self._lines[name] = _Line(connection=connection, provider=connection.provider)
                line.task = asyncio.create_task(self._keep_reading(line), name=f"stream {name}")

    async def _leave(self, names: list[str] | tuple[str, ...]) -> None:
        """Stop reading. One that does not end is left to itself; what it still tells is not kept by us."""
        lines = [self._lines.pop(name) for name in names]
        for line in lines:
            line.left = True
            line.task.cancel()
        if lines:
            await asyncio.wait([line.task for line in lines], timeout=ENDS_WITHIN)
        for line in lines:
            name = line.connection.name
            if not line.task.done():
                self._log.error("a stream does not end and is left to itself", connection=name)
            self._health.remove(_component(name))
            self._numbers.gone(name)

    async def _keep_reading(self, line: _Line) -> None:
        name = line.connection.name
        while not line.left:
            session, pause = _Session(began=self._now()), None
            try:
                if not await self._read(line, session):
                    return
                reason = "the other side ended it"
            except CircuitOpen as shut:
                reason, pause = str(shut), shut.seconds
            except RateLimited as limited:
                reason, pause = str(limited), (limited.retry_at - self._now()).total_seconds()
            except HeadgateError as error:
                reason = str(error)
            except TimeoutError:
                reason = f"it neither connected nor told anything for {CONNECTS_WITHIN:g} s"
            except Exception as error:  # noqa: BLE001 - a fault of ours: this stream is told again what it lost by it
                reason = repr(error)
            if line.left:
                return
            await self._mark(name)
            if session.caught_up is not None and asyncio.get_running_loop().time() - session.caught_up > STEADY:
                line.tries = 0
            line.tries += 1
            self._tell_lost(line, session, reason)
            await self._sleep(max(self._pause(line.tries), pause or 0.0))

    def _pause(self, tries: int) -> float:
        """Twice as long each time, up to a limit, and a random half of it less, so that not all come back at once."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(tries - 1, 16)))
        return longest * (0.5 + 0.5 * self._draw())

    async def _read(self, line: _Line, session: _Session) -> bool:
        """Read one session to its end; `False` when this connection is not configured to stream."""
        connection = line.connection
        told = _opened(line, await self._complete_to(connection.name))
        if told is None:
            return False
        if line.lost_at is None:
            self._health.set(_component(connection.name), "degraded", "it is not connected yet")
            self._numbers.connected(connection.name, connected=False, since=self._now().timestamp())
        try:
            while (message := await self._message(line, session, told)) is not None and not line.left:
                await self._take(line, session, message)
        finally:
            await self._close(line, told)
        return True

    async def _message(self, line: _Line, session: _Session, told: _Told) -> Streamed | CaughtUp | None:
        """The next one. Silence is normal once it has caught up: whether the other side is still there is its to find."""
        async with asyncio.timeout(None if session.caught_up is not None else CONNECTS_WITHIN):
            return await line.connection.guard.inside("stream", lambda: _next(told), goes_on=True)

    async def _close(self, line: _Line, told: _Told) -> None:
        close = getattr(told, "aclose", None)
        if close is not None:
            with suppress(HeadgateError, TimeoutError):
                async with asyncio.timeout(ENDS_WITHIN):
                    await line.connection.guard.inside("close", close, goes_on=True)

    async def _take(self, line: _Line, session: _Session, message: object) -> None:
        if isinstance(message, CaughtUp):
            self._caught_up(line, session, message)
            await self._mark(line.connection.name)
        elif isinstance(message, Streamed) and _is_sound(message):
            came = self._now()
            await self._keep(line.connection, message, came)
            if session.caught_up is not None:
                await self._told_up_to(line.connection.name, came)
        else:
            raise line.connection.guard.failed("stream", f"stream told what is no message ({type(message).__name__})")

    def _caught_up(self, line: _Line, session: _Session, said: CaughtUp) -> None:
        """All until this session was opened is kept; what was told since it was is still on its way to us."""
        name, now = line.connection.name, self._now()
        session.caught_up = asyncio.get_running_loop().time()
        self._complete[name] = max(session.began, self._complete.get(name, session.began))
        line.lost_at = None
        reason = f"connected since {_moment(now)}, {line.reconnects} reconnects"
        if said.unknown:
            self._log.warning("a stream could not tell all that was missed", connection=name, reason=said.unknown)
            reason += f"; not all that was missed is known: {said.unknown}"
        self._health.set(_component(name), "ok", reason)
        self._numbers.connected(name, connected=True, since=now.timestamp())
        self._log.info("stream connected", connection=name, reconnects=line.reconnects)

    def _tell_lost(self, line: _Line, session: _Session, reason: str) -> None:
        name, now = line.connection.name, self._now()
        if line.lost_at is None:
            line.lost_at = now if session.caught_up is not None else session.began
            self._numbers.connected(name, connected=False, since=line.lost_at.timestamp())
        line.reconnects += 1
        self._numbers.lost(name)
        since = _moment(line.lost_at)
        self._health.set(
            _component(name), "degraded", f"not connected since {since}, tried {line.tries} times: {reason}"
        )
        self._log.warning("stream lost", connection=name, tries=line.tries, reason=reason)

    async def _keep(self, connection: OpenConnection, message: Streamed, came: datetime) -> None:
        """On disk, before anything else is done with it. Raises `StorageError`: then it is told again."""
        name = connection.name
        if len(message.body) > self._max_body:
            self._numbers.message(name, "refused")
            self._log.warning(
                "a message of a stream is too large and not kept", connection=name, size=len(message.body)
            )
            return
        headers = tuple((key.lower(), value) for key, value in message.headers)
        delivery = Delivery(
            id=new_id("d", came),
            connection=name,
            received_at=came,
            headers=headers,
            body=message.body,
            method=STREAM,
        )
        event = delivery.header(connection.event_header) if connection.event_header else None
        new, reading = _read(
            connection, NewDelivery(delivery=delivery, key=message.key, event=event and event[:LONGEST_EVENT])
        )
        recorded = await self._database.writer.add(deliveries.record, new)
        if recorded.duplicate_of is not None:
            self._numbers.message(name, "duplicate")
            return
        result: StreamResult = new.state
        self._numbers.message(name, result)
        if new.state == "recorded":
            self._received(new, reading)

    async def _complete_to(self, name: str) -> datetime | None:
        if name not in self._complete:
            async with self._database.reading() as connection:
                found = await streams.complete_to(connection, name)
            if found is None:
                return None
            self._complete[name] = self._marked[name] = found
        return self._complete[name]

    async def _told_up_to(self, name: str, came: datetime) -> None:
        self._complete[name] = max(came, self._complete.get(name, came))
        marked = self._marked.get(name)
        if marked is None or self._complete[name] - marked > timedelta(seconds=MARKED_EVERY):
            await self._mark(name)

    async def _mark(self, name: str) -> None:
        """Write down up to when nothing is missing. That it is older than the truth does no harm."""
        complete = self._complete.get(name)
        if complete is None or complete == self._marked.get(name):
            return
        mark = StreamMark(connection=name, complete_to=complete)

        async def keep(connection: Writing) -> None:
            await streams.put(connection, mark)

        try:
            await self._database.writer.write(keep)
        except HeadgateError as error:
            self._log.warning("how far a stream was heard is not written down", connection=name, reason=str(error))
        else:
            self._marked[name] = complete


def _read(connection: OpenConnection, new: NewDelivery) -> tuple[NewDelivery, Reading | None]:
    """What the message says, and with that whether it is settled already; kept whatever the plugin does."""
    try:
        reading = connection.guard.run("parse", parse, connection.provider, new.delivery)
    except Unreadable as error:
        return msgspec.structs.replace(new, state="unreadable", reason=str(error)), None
    except PluginError:
        return new, None  # it is read when the provider is called again
    if isinstance(reading, Ignored):
        return msgspec.structs.replace(new, state="ignored", reason=reading.reason), reading
    return new, reading


def _opened(line: _Line, since: datetime | None) -> _Told | None:
    """The stream, of which nothing has been heard: that it can be made proves nothing, so no circuit is told of it."""
    guard = line.connection.guard
    if guard.uneasy and (shut := guard.refusal("stream")):
        raise shut
    try:
        return line.provider.stream(since)
    except HeadgateError:
        raise
    except BaseException as error:  # a stranger's code; what it raises must stay its own
        raise guard.fault("stream", error) from error


async def _next(told: _Told) -> Streamed | CaughtUp | None:
    """The next message, `None` at the end: a guard takes what ends an iterator for a fault."""
    try:
        return await anext(told)
    except StopAsyncIteration:
        return None


def _is_sound(message: Streamed) -> bool:
    """A struct does not look at what it is made of."""
    try:
        msgspec.convert(msgspec.structs.asdict(message), Streamed, builtin_types=(bytes,))
    except msgspec.ValidationError:
        return False
    return True


def _component(name: str) -> str:
    return f"stream {name}"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
