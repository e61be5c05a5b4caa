"""Group commit: all that waits is written in one transaction, and answered after its fsync; not what is written.

One thread owns the one writing connection. It begins, takes all that waits, runs it, commits, and only then answers.
While the disk works the next group gathers: the busier it is, the more requests share an fsync. What can wait
(`later=True`: what follows from a delivery) has groups of its own, small ones and no more than half of the time while
others wait, so that nobody who waits for an answer waits for long because of it.

A unit that raises must not harm the others of its group: the transaction is rolled back and run again, each call in
a savepoint of its own, a call with many values split in halves until only the guilty value fails. So a unit may run
twice, always before any commit: it does SQL on the connection it is given and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
import structlog

from headgate.storage import dialect
from headgate.storage.connection import UnitConnection, Writing, run_unit
from headgate.storage.errors import Busy, StorageClosed, StorageError, StorageFailed, StorageFull

T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R")

Unit: TypeAlias = Callable[[Writing], Coroutine[Any, Any, T]]
Batch: TypeAlias = Callable[[Writing, Sequence[V]], Coroutine[Any, Any, Sequence[R]]]

QUEUE_LIMIT = 4_096
"""Writes that may wait; one more is `Busy`."""

GROUP_LIMIT = 1_024
"""Writes that share one transaction, so that the first of them need not wait for ever."""

LATER_LIMIT = 16
"""Writes that can wait and share one transaction while others are waited for, and have to wait for it: some ten
milliseconds."""

LATER_REST = 1.0
"""What can wait rests for so many times as long as its last group took, while others wait."""

QUIET = 0.05
"""Seconds without anybody who waits, after which what can wait may have long groups too."""

CHECKPOINT_SECONDS = 0.1
"""The WAL is moved into the database file no more often than this, after the answers of a group."""

CHECKPOINT_SHARE = 0.1
"""Nor for a larger share of the time than this, on a slow disk."""

_log = structlog.get_logger(__name__)


class _Waiting:
    """One caller: what to run, its value, and where the answer goes."""

    __slots__ = ("batch", "future", "value")

    def __init__(self, batch: Batch[Any, Any], value: Any, future: asyncio.Future[Any]) -> None:
        self.batch = batch
        self.value = value
        self.future = future


_Call: TypeAlias = list[_Waiting]
"""Callers with the same batch function: one call of it."""

_Answer: TypeAlias = tuple[_Waiting, Any, BaseException | None]


class Writer:
    """The only way to change the database. Used from one event loop; the SQL runs in a thread of its own."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        on_fatal: Callable[[BaseException], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """`on_fatal` is called once, with the database's error, when nothing can be acknowledged any more.

        It is called in the writer's thread, before anybody hears of it.
        """
        self._engine = engine
        self._on_fatal = on_fatal
        self._queue_limit = queue_limit
        self._first: deque[_Waiting] = deque()
        self._later: deque[_Waiting] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False
        self._closing = False
        self._failure: BaseException | None = None
        self._next_checkpoint = 0.0
        self.full = False
        """Set when the disk was too full for a group; whoever watches it may take it back."""

    @property
    def waiting(self) -> int:
        """How many writes wait for the next group."""
        return len(self._first) + len(self._later)

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and give its result once that is on disk.

        Raises what `unit` raised, `Busy`, `StorageFull`, `StorageFailed` or `StorageClosed`; then nothing of it was
        written. Cancelled while it waits, it is not run; cancelled later, it may have been written.
        """

        async def alone(connection: Writing, _: Sequence[None]) -> Sequence[T]:
            return (await unit(connection),)

        return await self.add(alone, None)

    async def add(self, batch: Batch[V, R], value: V) -> R:
        """Like `write`; values added with the same `batch` meanwhile are handed to it in one call, in order.

        `batch` gives one result for each value.
        """
        return await self.submit(batch, value)

    def submit(self, batch: Batch[V, R], value: V, *, later: bool = False) -> asyncio.Future[R]:
        """Like `add`, without waiting: what is submitted is written in this order. Raises what `add` raises at once.

        `later`: nobody waits for it, so it may be overtaken by what somebody waits for, but by nothing that is `later`
        as well.
        """
        if self._failure is not None:
            raise StorageFailed(f"the database failed: {self._failure}") from self._failure
        if self._closing:
            raise StorageClosed("the database is being closed")
        lane = self._later if later else self._first
        if len(lane) >= self._queue_limit:
            raise Busy(f"{len(lane)} writes are waiting already; try again in a moment")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        lane.append(_Waiting(batch, value, future))
        if not self._rung:
            self._ring()
        return future

    async def run(self, ready: asyncio.Future[None]) -> None:
        """Write groups until `close`, then what still waits. `ready` is set, or fails, when the database is open."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        thread = threading.Thread(target=self._run, args=(loop, ready, ended), name="storage writer", daemon=True)
        thread.start()
        try:
            await asyncio.shield(ended)
        finally:  # also when we are cancelled: what is half written is finished, and the connection closed
            self.close()
            thread.join()

    def close(self) -> None:
        """Take no more; `run` returns when all that waits is written."""
        self._closing = True
        self._ring()

    def _ring(self) -> None:
        self._rung = True
        self._bell.put(None)

    # From here on in the writer's thread, but for what `call_soon_threadsafe` calls.

    def _run(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[None], ended: asyncio.Future[None]) -> None:
        try:
            connection = self._engine.connect()
        except BaseException as error:  # noqa: BLE001 - whoever opens the database is told, whatever it is
            _call(loop, _settle, ready, error)
            _call(loop, _settle, ended, None)
            return
        _call(loop, _settle, ready, None)
        self._loop = loop
        try:
            self._connection = connection
            self._write_until_closed()
        finally:
            self._closing = True
            everybody = [*self._take(self._first, len(self._first)), *self._take(self._later, len(self._later))]
            self._refuse(everybody, StorageClosed("the database was closed before this was written"))
            connection.close()
            _call(loop, _settle, ended, None)

    def _write_until_closed(self) -> None:
        quiet_from = later_from = 0.0
        while self._failure is None:
            self._rung = False  # before looking: who adds from now on rings again
            if not self._first and not self._later:
                if self._closing:
                    return
                self._bell.get()
                continue
            if self._first:
                self._write_group(self._first, GROUP_LIMIT)
                quiet_from = time.monotonic() + QUIET
            # What can wait does not wait for ever. It holds nobody up for longer than a small group, nor for more than
            # half of the time: the busier the event loop, the longer a group takes, and the more wait for an answer.
            begin = time.monotonic()
            quiet = not self._first and begin > quiet_from
            if self._later and self._failure is None:
                if quiet or self._closing or begin >= later_from:
                    self._write_group(self._later, GROUP_LIMIT if quiet else LATER_LIMIT)
                    end = time.monotonic()
                    later_from = end + LATER_REST * (end - begin)
                elif not self._first:
                    with contextlib.suppress(queue.Empty):
                        self._bell.get(timeout=max(0.0, min(later_from, quiet_from) - begin))
            if self._failure is None:
                self._checkpoint_when_due()

    def _write_group(self, lane: deque[_Waiting], limit: int) -> None:
        group: _Call = []
        try:
            transaction = self._connection.begin()
            group = self._take(lane, limit)  # after BEGIN, so that what arrived meanwhile shares this fsync
            calls = _calls(group)
            try:
                answers = [answer for call in calls for answer in _run(self._connection, call)]
            except BaseException as error:  # noqa: BLE001 - whatever a unit raises is its caller's
                _reraise_unless_of_unit(error)
                transaction.rollback()
                transaction = self._connection.begin()
                answers = [answer for call in calls for answer in _run_apart(self._connection, call)]
            transaction.commit()
        except BaseException as error:  # noqa: BLE001 - BEGIN, COMMIT, or the database below a unit: nothing was written
            self._give_up(group or self._take(lane, limit), error)
        else:
            self._answer(answers)

    @staticmethod
    def _take(lane: deque[_Waiting], limit: int) -> _Call:
        """The oldest that wait, without those whose callers are gone."""
        taken = [lane.popleft() for _ in range(min(limit, len(lane)))]
        return [waiting for waiting in taken if not waiting.future.done()]

    def _give_up(self, group: _Call, error: BaseException) -> None:
        kind = dialect.trouble(error) or StorageFailed  # an error nobody knows is no reason to go on acknowledging
        self.full = self.full or kind is StorageFull
        if kind is not StorageFailed:
            try:
                self._connection.rollback()
            except Exception as failed:  # noqa: BLE001 - a rollback that fails, for whatever reason, leaves an unknown state
                kind, error = StorageFailed, failed
        if kind is StorageFailed:
            self._fail(error)
        self._refuse(group, _told(kind, error))

    def _checkpoint_when_due(self) -> None:
        begin = time.monotonic()
        if begin < self._next_checkpoint:
            return
        try:
            dialect.checkpoint(self._connection)
        except Exception as error:  # noqa: BLE001 - after any error but a full disk, the file's state is unknown
            kind = dialect.trouble(error) or StorageFailed
            if kind is StorageFailed:
                self._fail(error)
            else:
                _log.warning("checkpoint postponed", reason=str(error))
        end = time.monotonic()
        self._next_checkpoint = end + max(CHECKPOINT_SECONDS, (end - begin) / CHECKPOINT_SHARE)

    def _fail(self, error: BaseException) -> None:
        """From now on nothing is acknowledged."""
        self._failure = error
        self._on_fatal(error)
        for lane in (self._first, self._later):
            self._refuse(self._take(lane, len(lane)), _told(StorageFailed, error))

    def _refuse(self, group: _Call, error: StorageError) -> None:
        self._answer([(waiting, None, error) for waiting in group])

    def _answer(self, answers: list[_Answer]) -> None:
        if answers:
            _call(self._loop, _answer_all, answers)


def _calls(group: _Call) -> list[_Call]:
    """One call for each batch function, in the order of its first value."""
    calls: dict[Batch[Any, Any], _Call] = {}
    for waiting in group:
        calls.setdefault(waiting.batch, []).append(waiting)
    return list(calls.values())


def _run(connection: sa.Connection, call: _Call) -> list[_Answer]:
    results = run_unit(call[0].batch(UnitConnection(connection), [waiting.value for waiting in call]))
    if len(results) != len(call):
        raise TypeError(f"{call[0].batch!r} gave {len(results)} results for {len(call)} values")
    return [(waiting, result, None) for waiting, result in zip(call, results, strict=True)]


def _run_apart(connection: sa.Connection, call: _Call) -> list[_Answer]:
    """The call in a savepoint; when it raises, its halves, down to the value that is to blame."""
    savepoint = connection.begin_nested()
    try:
        answers = _run(connection, call)
    except BaseException as error:  # noqa: BLE001 - whatever a unit raises is its caller's
        _reraise_unless_of_unit(error)
        savepoint.rollback()
        if len(call) == 1:
            return [(call[0], None, error)]
        middle = len(call) // 2
        return [*_run_apart(connection, call[:middle]), *_run_apart(connection, call[middle:])]
    savepoint.commit()
    return answers


def _reraise_unless_of_unit(error: BaseException) -> None:
    """A failing database concerns the group, anything else the unit that raised it."""
    if dialect.trouble(error) is not None:
        raise error


def _answer_all(answers: list[_Answer]) -> None:
    for waiting, result, error in answers:
        if waiting.future.done():  # its caller was cancelled
            continue
        if error is None:
            waiting.future.set_result(result)
        elif isinstance(error, asyncio.CancelledError):
            waiting.future.cancel()
        else:
            waiting.future.set_exception(error)


def _settle(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *values: Any) -> None:
    """In the event loop, unless that is closed and nobody waits any more."""
    try:
        loop.call_soon_threadsafe(function, *values)
    except RuntimeError:
        _log.debug("nobody was left to answer")


def _told(kind: type[StorageError], error: BaseException) -> StorageError:
    told = kind(f"nothing was written: {error}")
    told.__cause__ = error
    return told
