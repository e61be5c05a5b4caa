"""Group commit: all that waits is written in one transaction, and answered after its fsync; not what is written.

One task owns the one writing connection. It begins, takes all that waits, runs it, commits, and only then answers.
While the disk works the next group gathers: the busier it is, the more requests share an fsync.

A unit that raises must not harm the others of its group: the transaction is rolled back and run again, each call in
a savepoint of its own, a call with many values split in halves until only the guilty value fails. So a unit may run
twice, always before any commit: it does SQL on the connection it is given and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.storage import dialect
from headgate.storage.errors import Busy, StorageClosed, StorageError, StorageFailed, StorageFull

T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R")

Unit: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]
Batch: TypeAlias = Callable[[AsyncConnection, Sequence[V]], Awaitable[Sequence[R]]]

QUEUE_LIMIT = 4_096
"""Writes that may wait; one more is `Busy`."""

GROUP_LIMIT = 1_024
"""Writes that share one transaction, so that the first of them need not wait for ever."""

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
    """The only way to change the database."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        on_fatal: Callable[[BaseException], None],
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        """`on_fatal` is called once, with the database's error, when nothing can be acknowledged any more."""
        self._connection = connection
        self._on_fatal = on_fatal
        self._queue_limit = queue_limit
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._failure: BaseException | None = None
        self._next_checkpoint = 0.0
        self.full = False
        """Set when the disk was too full for a group; whoever watches it may take it back."""

    @property
    def waiting(self) -> int:
        """How many writes wait for the next group."""
        return len(self._waiting)

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and give its result once that is on disk.

        Raises what `unit` raised, `Busy`, `StorageFull`, `StorageFailed` or `StorageClosed`; then nothing of it was
        written. Cancelled while it waits, it is not run; cancelled later, it may have been written.
        """

        async def alone(connection: AsyncConnection, _: Sequence[None]) -> Sequence[T]:
            return (await unit(connection),)

        return await self.add(alone, None)

    async def add(self, batch: Batch[V, R], value: V) -> R:
        """Like `write`; values added with the same `batch` meanwhile are handed to it in one call, in order.

        `batch` gives one result for each value.
        """
        if self._failure is not None:
            raise StorageFailed(f"the database failed: {self._failure}") from self._failure
        if self._closing:
            raise StorageClosed("the database is being closed")
        if len(self._waiting) >= self._queue_limit:
            raise Busy(f"{len(self._waiting)} writes are waiting already; try again in a moment")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(batch, value, future))
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Write groups until `close`, then what still waits; the body of the writer's one task."""
        try:
            while self._failure is None:
                if self._waiting:
                    await self._write_group()
                    await self._checkpoint_when_due()
                elif self._closing:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._closing = True
            self._refuse(
                self._take(len(self._waiting)), StorageClosed("the database was closed before this was written")
            )

    def close(self) -> None:
        """Take no more; `run` returns when all that waits is written."""
        self._closing = True
        self._wake.set()

    async def _write_group(self) -> None:
        group: _Call = []
        try:
            transaction = await self._connection.begin()
            group = self._take(GROUP_LIMIT)  # after BEGIN, so that what arrived meanwhile shares this fsync
            calls = _calls(group)
            try:
                answers = [answer for call in calls for answer in await _run(self._connection, call)]
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever a unit raises is its caller's
                _reraise_unless_of_unit(error)
                await transaction.rollback()
                transaction = await self._connection.begin()
                answers = [answer for call in calls for answer in await _run_apart(self._connection, call)]
            await transaction.commit()
        except Exception as error:  # noqa: BLE001 - BEGIN, COMMIT, or the database below a unit: nothing was written
            await self._give_up(group, error)
        except BaseException:  # the writer itself is cancelled
            self._refuse(group, StorageClosed("the database was closed while this was written"))
            raise
        else:
            for waiting, result, failure in answers:
                _answer(waiting, result, failure)

    def _take(self, limit: int) -> _Call:
        """The oldest that wait, without those whose callers are gone."""
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        return [waiting for waiting in taken if not waiting.future.done()]

    async def _give_up(self, group: _Call, error: Exception) -> None:
        kind = dialect.trouble(error) or StorageFailed  # an error nobody knows is no reason to go on acknowledging
        self.full = self.full or kind is StorageFull
        if kind is not StorageFailed:
            try:
                await self._connection.rollback()
            except Exception as failed:  # noqa: BLE001 - a rollback that fails, for whatever reason, leaves an unknown state
                kind, error = StorageFailed, failed
        if not group:  # BEGIN failed: those who wait would meet the same
            group = self._take(GROUP_LIMIT)
        self._refuse(group, _told(kind, error))
        if kind is StorageFailed:
            self._fail(error)

    async def _checkpoint_when_due(self) -> None:
        begin = time.monotonic()
        if self._failure is not None or begin < self._next_checkpoint:
            return
        try:
            await dialect.checkpoint(self._connection)
        except Exception as error:  # noqa: BLE001 - after any error but a full disk, the file's state is unknown
            kind = dialect.trouble(error) or StorageFailed
            if kind is StorageFailed:
                self._fail(error)
            else:
                _log.warning("checkpoint postponed", reason=str(error))
        end = time.monotonic()
        self._next_checkpoint = end + max(CHECKPOINT_SECONDS, (end - begin) / CHECKPOINT_SHARE)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._refuse(self._take(len(self._waiting)), _told(StorageFailed, error))
        self._on_fatal(error)

    @staticmethod
    def _refuse(group: _Call, error: StorageError) -> None:
        for waiting in group:
            _answer(waiting, None, error)


def _calls(group: _Call) -> list[_Call]:
    """One call for each batch function, in the order of its first value."""
    calls: dict[Batch[Any, Any], _Call] = {}
    for waiting in group:
        calls.setdefault(waiting.batch, []).append(waiting)
    return list(calls.values())


async def _run(connection: AsyncConnection, call: _Call) -> list[_Answer]:
    results = await call[0].batch(connection, [waiting.value for waiting in call])
    if len(results) != len(call):
        raise TypeError(f"{call[0].batch!r} gave {len(results)} results for {len(call)} values")
    return [(waiting, result, None) for waiting, result in zip(call, results, strict=True)]


async def _run_apart(connection: AsyncConnection, call: _Call) -> list[_Answer]:
    """The call in a savepoint; when it raises, its halves, down to the value that is to blame."""
    savepoint = await connection.begin_nested()
    try:
        answers = await _run(connection, call)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever a unit raises is its caller's
        _reraise_unless_of_unit(error)
        await savepoint.rollback()
        if len(call) == 1:
            return [(call[0], None, error)]
        middle = len(call) // 2
        return [*await _run_apart(connection, call[:middle]), *await _run_apart(connection, call[middle:])]
    await savepoint.commit()
    return answers


def _reraise_unless_of_unit(error: BaseException) -> None:
    """A failing database concerns the group, a cancelled writer everybody; anything else the unit that raised it."""
    task = asyncio.current_task()
    cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
    if cancelled or dialect.trouble(error) is not None:
        raise error


def _answer(waiting: _Waiting, result: Any, error: BaseException | None) -> None:
    if waiting.future.done():  # its caller was cancelled
        return
    if error is None:
        waiting.future.set_result(result)
    elif isinstance(error, asyncio.CancelledError):
        waiting.future.cancel()
    else:
        waiting.future.set_exception(error)


def _told(kind: type[StorageError], error: BaseException) -> StorageError:
    told = kind(f"nothing was written: {error}")
    told.__cause__ = error
    return told
