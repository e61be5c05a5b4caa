"""Opening the database: one process, the right schema, sound after a crash; not reading from it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from headgate.storage import dialect
from headgate.storage.errors import StorageRefused
from headgate.storage.lock import Lock
from headgate.storage.schema import HEAD, schema_version
from headgate.storage.writer import Writer

Connection: TypeAlias = AsyncConnection
"""What the functions of an aggregate are given; other rooms pass it on and do not look inside."""

CHECK_SECONDS = 1.5
"""How long a start after a crash may look for damage; a larger database is looked at as far as this goes."""

_PROGRESS_STEPS = 10_000
_log = structlog.get_logger(__name__)


class Database:
    """An open database: `writer` changes it, `reading()` looks at it."""

    def __init__(self, readers: AsyncEngine, writer: Writer) -> None:
        """Made by `open_database`."""
        self._readers = readers
        self.writer = writer

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that cannot write and sees one committed state from its first to its last statement.

        Do no other work inside: an open reader keeps the WAL from being moved into the database.
        """
        async with self._readers.connect() as connection:
            yield connection


def open_database(url: str, *, on_fatal: Callable[[BaseException], None]) -> AbstractAsyncContextManager[Database]:
    """The database at `url`, for one process. `on_fatal` must end the process: see `Writer`.

    Raises `StorageRefused` when it is missing, damaged, in use, or has another schema than ours (`migrate` first).
    Leaving the context writes what still waits.

    A crash cannot damage a WAL that is synchronised fully, a disk can: after a start that was not preceded by an
    orderly stop, `PRAGMA quick_check` looks for `CHECK_SECONDS`, not longer, as a start must stay quick.
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
        # Left in reverse: readers first, so that the writer's connection is the last and moves the whole WAL.
        writers = dialect.writer_engine(url)
        stack.push_async_callback(writers.dispose)
        connection = await stack.enter_async_context(writers.connect())
        writer = Writer(connection, on_fatal=on_fatal)
        readers = dialect.reader_engine(url)
        stack.push_async_callback(readers.dispose)
        await stack.enter_async_context(_running(writer))
        yield Database(readers, writer)


@contextlib.asynccontextmanager
async def _running(writer: Writer) -> AsyncIterator[None]:
    task = asyncio.create_task(writer.run(), name="storage writer")
    try:
        yield
    finally:
        writer.close()
        await task


def _check(url: str, file: Path, *, after_crash: bool) -> None:
    version = schema_version(url)
    if version != HEAD:
        raise StorageRefused(
            f"{file} has schema {version or 'none'}, this Headgate needs {HEAD}; run: headgate migrate"
        )
    if after_crash:
        _look_for_damage(file)


def _look_for_damage(file: Path) -> None:
    deadline = time.monotonic() + CHECK_SECONDS
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise StorageRefused(f"{file} is damaged: {error}") from error
            _log.info("looked for damage after a crash, as far as time allowed", seconds=CHECK_SECONDS)
            return
        except sqlite3.DatabaseError as error:
            raise StorageRefused(f"{file} is damaged: {error}") from error
    if found != ["ok"]:
        raise StorageRefused(f"{file} is damaged ({'; '.join(found)}); restore a backup")
