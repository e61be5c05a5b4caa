"""Opening the database: one process, the right schema, sound after a crash; not reading from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from headgate.storage import damage, dialect
from headgate.storage.connection import Writing
from headgate.storage.errors import Busy, StorageRefused
from headgate.storage.lock import Lock
from headgate.storage.schema import HEAD, schema_version
from headgate.storage.writer import Writer

Connection: TypeAlias = Writing
"""What the functions of an aggregate are given; other rooms pass it on and do not look inside."""


class Database:
    """An open database: `writer` changes it, `reading()` looks at it.

    `for_requests`: the same for those who ask over HTTP, however many they are: with readers of their own.
    """

    def __init__(
        self,
        file: Path,
        readers: AsyncEngine,
        writer: Writer,
        on_fatal: Callable[[BaseException], None],
        *,
        for_requests: AsyncEngine | None = None,
    ) -> None:
        """Made by `open_database`."""
        self.file = file
        self.writer = writer
        self._readers = readers
        self._on_fatal = on_fatal
        self.for_requests = self if for_requests is None else Database(file, for_requests, writer, on_fatal)

    async def probe(self) -> None:
        """Write something that changes nothing, to learn whether anything can be written; raises as the writer does."""
        await self.writer.write(lambda connection: connection.execute(_PROBE))

    def evidence(self) -> Sequence[Path]:
        """Damaged write-ahead logs that were kept until somebody has looked at them."""
        return damage.evidence(self.file)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that cannot write and sees one committed state from its first to its last statement.

        Do no other work inside: an open reader keeps the WAL from being moved into the database. Damage or an I/O
        error that is met here ends the process as one of the writer does: what else is read may be wrong. Raises
        `Busy` when too many requests read.
        """
        try:
            async with self._readers.connect() as connection:
                yield connection
        except sa.exc.TimeoutError as error:
            raise Busy("too many read from the database; try again in a moment") from error
        except SQLAlchemyError as error:
            if dialect.broken(error):
                self._on_fatal(error)
            raise


_PROBE = sa.text("UPDATE alembic_version SET version_num = version_num")


def open_database(url: str, *, on_fatal: Callable[[BaseException], None]) -> AbstractAsyncContextManager[Database]:
    """The database at `url`, for one process. `on_fatal` must end the process: see `Writer`.

    Raises `StorageRefused` when it is missing, damaged, in use, or has another schema than ours (`migrate` first).
    Leaving the context writes what still waits.

    After a stop that was not orderly the WAL and the database are looked at for damage first (`damage`).
    """
    return _opened(url, on_fatal)


@contextlib.asynccontextmanager
async def _opened(url: str, on_fatal: Callable[[BaseException], None]) -> AsyncIterator[Database]:
    file = dialect.file_of(url)
    async with contextlib.AsyncExitStack() as stack:
        if not file.exists():
            raise StorageRefused(f"there is no database at {file}; run: headgate migrate")
        lock = stack.enter_context(Lock(file))
        await asyncio.to_thread(_check, url, file, after_crash=lock.after_crash)
        lock.sound = True
        # Left in reverse: readers first, so that the writer's connection is the last and moves the whole WAL.
        writers = dialect.writer_engine(url)
        stack.callback(writers.dispose)
        writer = Writer(writers, on_fatal=on_fatal)
        await stack.enter_async_context(_running(writer))
        readers = dialect.reader_engine(url, connections=dialect.ROOM_READERS, patience=None)
        stack.push_async_callback(readers.dispose)
        requests = dialect.reader_engine(url, connections=dialect.READERS, patience=dialect.PATIENCE)
        stack.push_async_callback(requests.dispose)
        yield Database(file, readers, writer, on_fatal, for_requests=requests)


@contextlib.asynccontextmanager
async def _running(writer: Writer) -> AsyncIterator[None]:
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(writer.run(ready), name="storage writer")
    try:
        await ready
        yield
    finally:
        writer.close()
        await task


def _check(url: str, file: Path, *, after_crash: bool) -> None:
    damage.look_at_wal(file)
    version = schema_version(url)
    if version != HEAD:
        raise StorageRefused(
            f"{file} has schema {version or 'none'}, this Headgate needs {HEAD}; run: headgate migrate"
        )
    if after_crash:
        damage.look_after_crash(file)
