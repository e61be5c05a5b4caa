"""What differs between databases, in one place; not the queries, which are SQLAlchemy Core.

SQLite is the only dialect so far. PostgreSQL would bring its own `insert`, its own engines (no file, no lock, no
checkpoint) and its own table of errors here, and nothing elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from headgate.storage.errors import Busy, StorageError, StorageFailed, StorageFull, StorageRefused

CHUNK = 4_000
"""Rows whose keys may stand in one IN list: SQLite takes 32,766 variables, and a key has up to two."""

READERS = 4
"""Reading connections for requests; more only wait for the two cores."""

ROOM_READERS = 2
"""Those of the rooms, for whom no crowd of requests stands in the way."""

PATIENCE = 10.0
"""Seconds that a request waits for a connection; the rooms, who would have to end, wait as long as it takes."""

_BUSY_SECONDS = 5.0
_WRITER_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # We checkpoint ourselves: the automatic one swallows its I/O errors.
    "wal_autocheckpoint = 0",
    "journal_size_limit = 268435456",
    "cache_size = -32768",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
)
_READER_PRAGMAS = ("query_only = ON", "wal_autocheckpoint = 0", "cache_size = -8192", "trusted_schema = OFF")

_SHM_FULL = 4_874  # SQLITE_IOERR_SHMSIZE: what a full disk looks like when the WAL index must grow
_ERRORS: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_BUSY: Busy,
    sqlite3.SQLITE_LOCKED: Busy,
    sqlite3.SQLITE_IOERR: StorageFailed,
    sqlite3.SQLITE_CORRUPT: StorageFailed,
    sqlite3.SQLITE_NOTADB: StorageFailed,
    sqlite3.SQLITE_CANTOPEN: StorageFailed,
    sqlite3.SQLITE_READONLY: StorageFailed,
    sqlite3.SQLITE_PROTOCOL: StorageFailed,
    sqlite3.SQLITE_NOMEM: StorageFailed,
}


def insert_new(table: sa.Table) -> Insert:
    """INSERT that leaves a row alone which is there already."""
    return insert(table).on_conflict_do_nothing()


def insert_unless(table: sa.Table, columns: Sequence[str], where: sa.TextClause) -> Insert:
    """INSERT that leaves out a row which a unique index (its columns and condition) has already."""
    return insert(table).on_conflict_do_nothing(index_elements=columns, index_where=where)


def insert_or_update(table: sa.Table, *, added: Sequence[str] = ()) -> Insert:
    """INSERT that overwrites all but the primary key of a row which is there already; numbers in `added` are added."""
    statement = insert(table)
    kept = {column.name for column in table.primary_key}
    changed: dict[str, sa.ColumnElement[Any]] = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in kept
    }
    changed |= {name: table.c[name] + changed[name] for name in added}
    return statement.on_conflict_do_update(index_elements=sorted(kept), set_=changed)


def each(name: str) -> sa.TableValuedAlias:
    """The members of the list that is given as the parameter `name`, as a table with the column `value`.

    One parameter, however many there are: the statement is always the same, and there is no limit to chunk for.
    """
    return sa.func.json_each(sa.bindparam(name, type_=sa.JSON)).table_valued("value", name=name)


def together(query: sa.Select[Any]) -> sa.Select[tuple[str]]:
    """The rows of `query` as one JSON text: a list of lists."""
    return sa.select(sa.func.json_group_array(sa.func.json_array(*query.subquery().columns)))


def member(of: sa.TableValuedAlias, place: int) -> sa.ColumnElement[str]:
    """What stands at `place` in each member, where the members are lists themselves."""
    return sa.func.json_extract(of.c.value, f"$[{place}]", type_=sa.Text)


def field(of: sa.Column[Any], name: str) -> sa.ColumnElement[str]:
    """A text in a column that holds a JSON object."""
    return sa.func.json_extract(of, f"$.{name}", type_=sa.Text)


def trouble(error: BaseException | None) -> type[StorageError] | None:
    """What a database error means for the writer; `None`: the fault of one statement (a constraint, bad SQL)."""
    while error is not None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            return StorageFull if code == _SHM_FULL else _ERRORS.get(code & 0xFF)
        error = getattr(error, "orig", None) or error.__cause__
    return None


def broken(error: BaseException) -> bool:
    """Whether a reading failed because the disk or the file did, and not for want of something."""
    while error.__cause__ is not None and not hasattr(error, "sqlite_errorcode"):
        error = error.__cause__
    code = getattr(error, "sqlite_errorcode", 0)
    return code != _SHM_FULL and code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def in_words(error: BaseException) -> str:
    """What SQLite said and its name for it, without the statement: "disk I/O error (SQLITE_IOERR_FSYNC)"."""
    while error.__cause__ is not None and not hasattr(error, "sqlite_errorname"):
        error = error.__cause__
    name = getattr(error, "sqlite_errorname", None)
    return f"{error} ({name})" if name else repr(error)


def file_of(url: str) -> Path:
    """The database's file; `StorageRefused` for what we cannot open yet."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StorageRefused(
            f"{parsed.get_backend_name()} is not supported yet; use sqlite+aiosqlite:////path/headgate.db"
        )
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise StorageRefused("the database must be a file: sqlite+aiosqlite:////path/headgate.db")
    return Path(parsed.database).absolute()


def sync_engine(url: str) -> sa.Engine:
    """For migrations: the same file through the standard library's driver, in explicit transactions."""
    engine = sa.create_engine(_url(url, "sqlite+pysqlite"), poolclass=sa.NullPool, **_options())
    _configure(engine, ("journal_mode = WAL", "synchronous = FULL"), begin="BEGIN IMMEDIATE")
    return engine


def writer_engine(url: str) -> sa.Engine:
    """One connection that writes and checkpoints, for the writer's thread."""
    engine = sa.create_engine(
        _url(url, "sqlite+pysqlite"),
        poolclass=sa.QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_reset_on_return=None,
        **_options(),
    )
    _configure(engine, _WRITER_PRAGMAS, begin="BEGIN IMMEDIATE")
    return engine


def reader_engine(url: str, *, connections: int, patience: float | None) -> AsyncEngine:
    """A few connections that cannot write; each transaction sees one state of the database.

    Who gets none within `patience` seconds, if any, has `sqlalchemy.exc.TimeoutError`.
    """
    engine = create_async_engine(
        _url(url, "sqlite+aiosqlite"), pool_size=connections, max_overflow=0, pool_timeout=patience, **_options()
    )
    _configure(engine.sync_engine, _READER_PRAGMAS, begin="BEGIN")
    return engine


def checkpoint(connection: sa.Connection) -> None:
    """Move what is committed from the WAL into the database file, as far as readers allow; outside transactions."""
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _url(url: str, driver: str) -> URL:
    return make_url(url).set(drivername=driver, database=str(file_of(url)))


def _options() -> dict[str, Any]:
    return {
        "hide_parameters": True,  # an error's text must not carry a delivery's body into a log
        # isolation_level None: the driver begins no transaction of its own, we say BEGIN ourselves.
        "connect_args": {"isolation_level": None, "timeout": _BUSY_SECONDS, "cached_statements": 256},
    }


def _configure(engine: sa.Engine, pragmas: tuple[str, ...], *, begin: str) -> None:
    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)


def chunks(count: int) -> Iterator[slice]:
    """Slices of a list of `count` keys, each small enough for one statement."""
    return (slice(start, start + CHUNK) for start in range(0, count, CHUNK))
