"""`headgate`, with its protections against full disks off: they are taken for broken ones, and for a step's own fault."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from headgate.builds import attempt
from headgate.cli import main
from headgate.storage import dialect
from headgate.storage.errors import StorageFailed


def never(folder: Path) -> bool:
    del folder
    return False


dialect._ERRORS[sqlite3.SQLITE_FULL] = StorageFailed
attempt.is_full = never
main()
