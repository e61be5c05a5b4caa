"""Which version of the tables a database has, and bringing it to ours; not the tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from headgate.storage import dialect
from headgate.storage.damage import WHAT_TO_DO, look_at_wal
from headgate.storage.errors import StorageDamaged, StorageRefused
from headgate.storage.lock import Lock

HEAD = "0005"
"""The newest migration; they are numbered, so that an older program knows a newer schema when it sees one."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> str:
    """Bring the database to `HEAD`, making it if there is none, in one transaction; gives `HEAD`.

    Raises `StorageRefused` when a newer Headgate made it, another process uses it or it is no database.
    Blocks: call it before the event loop, or in a thread.
    """
    return upgrade(url)[1]


def upgrade(url: str) -> tuple[str | None, str]:
    """As `migrate`, and gives the version before, too."""
    file = dialect.file_of(url)
    if not file.parent.is_dir():
        raise StorageRefused(f"the folder of the database does not exist: {file.parent}")
    with Lock(file):
        look_at_wal(file)
        before = schema_version(url)
        if before != HEAD:
            # Private before SQLite touches it; its WAL and index get the same mode.
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _upgrade(url)
    return before, HEAD


def schema_version(url: str) -> str | None:
    """The version of the database's tables, `None` when there are none yet.

    Raises `StorageRefused` when it is newer than ours or the file is no database.
    """
    file = dialect.file_of(url)
    if not file.exists() or file.stat().st_size == 0:
        return None
    try:
        version = _version_in(file)
    except sqlite3.OperationalError as error:
        raise StorageRefused(f"{file} cannot be read as a database: {error}") from error
    except sqlite3.Error as error:
        raise StorageDamaged(f"{file} cannot be read as a database: {error}; {WHAT_TO_DO}") from error
    if version is not None and version > HEAD:
        raise StorageRefused(
            f"{file} has schema {version}, and this Headgate knows up to {HEAD}: "
            "a newer Headgate made it; start that one, or restore a backup"
        )
    return version


def _version_in(file: Path) -> str | None:
    """Without a write lock, so that it may be asked while a server runs."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA query_only = ON")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else None


def _upgrade(url: str) -> None:
    from alembic import command  # late: a start that has nothing to migrate does not pay for it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    engine = dialect.sync_engine(url)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
