"""Looking for damage before a database is used, and keeping what shows it; not repairing a database.

A crash cannot damage a WAL that is synchronised fully; a disk, a copy or a hand can.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from headgate.storage import wal
from headgate.storage.errors import StorageDamaged

CHECK_SECONDS = 1.5
"""How long a start after a crash may look for damage; a larger database is looked at as far as this goes."""

WHAT_TO_DO = "restore a backup, or save what can be read (docs/reliability.md says how)"

_PROGRESS_STEPS = 10_000
_log = structlog.get_logger(__name__)


def look_at_wal(database: Path) -> None:
    """Whether committed transactions can still be read; for whoever holds the lock, before anybody opens it.

    When not, what is left of the WAL is kept beside the database (`evidence`), and all of the database is checked:
    what stands in it then is one state, of a moment ago. Raises `StorageDamaged` when it is not.
    """
    if not database.exists():
        return
    try:
        loss = wal.examine(database)
    except sqlite3.Error as error:
        raise StorageDamaged(f"{database} cannot be read as a database: {error}; {WHAT_TO_DO}") from error
    if loss is None:
        return
    kept = _keep(database, move=loss.set_aside)
    _log.critical(
        "the write-ahead log of the database was damaged",
        database=str(database),
        lost=f"up to {loss.lost} of the last transactions" if loss.lost else "nothing: all of it was in the database",
        kept=str(kept),
    )
    _check(database, "integrity_check", None)


def evidence(database: Path) -> Sequence[Path]:
    """Damaged write-ahead logs that were kept: until somebody removes them, the damage is not forgotten."""
    return sorted(database.parent.glob(f"{database.name}-wal.damaged-*"))


def look_after_crash(database: Path) -> None:
    """Whether the file is sound, as far as `CHECK_SECONDS` allow, as a start must stay quick. Raises `StorageDamaged`.

    First its pages, then whether tables and indexes say the same.
    """
    deadline = time.monotonic() + CHECK_SECONDS
    if not (_check(database, "quick_check", deadline) and _check(database, "integrity_check", deadline)):
        _log.info("looked for damage after a crash, as far as time allowed", seconds=CHECK_SECONDS)


def _keep(database: Path, *, move: bool) -> Path:
    log = wal.wal_of(database)
    kept = log.with_name(f"{log.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    try:
        if not log.exists():
            kept.touch(mode=0o600)
        elif move:
            log.rename(kept)
        else:
            shutil.copy2(log, kept)
    except OSError as error:
        if move:
            raise StorageDamaged(
                f"{log} is damaged and cannot be put aside ({error.strerror}); move it away, then start again"
            ) from error
        _log.critical("the damaged write-ahead log could not be kept", reason=str(error))
    if move:
        wal.index_of(database).unlink(missing_ok=True)
    return kept


def _check(database: Path, pragma: str, deadline: float | None) -> bool:
    """Whether it came to its end in time."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        if deadline is not None:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            found = [row[0] for row in connection.execute(f"PRAGMA {pragma}(3)")]
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise StorageDamaged(f"{database} is damaged: {error}; {WHAT_TO_DO}") from error
            return False
    if found != ["ok"]:
        raise StorageDamaged(f"{database} is damaged ({'; '.join(found)}); {WHAT_TO_DO}")
    return True
