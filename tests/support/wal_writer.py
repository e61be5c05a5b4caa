"""A program that commits rows and dies by `kill -9` with a write-ahead log and its index beside the database.

`python wal_writer.py DATABASE ROWS none|all|half`: how much of it a checkpoint had moved into the database.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys

BODY = 1_500
"""Bytes of a row: some need one page, some two."""


def main(database: str, rows: int, moved: str) -> None:
    writer = sqlite3.connect(database, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
        writer.execute(f"PRAGMA {pragma}")
    writer.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, body BLOB)")
    reader = sqlite3.connect(database, isolation_level=None)
    for number in range(rows):
        if moved == "half" and number == rows // 2:
            # A checkpoint moves no further than the oldest reader looks.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM kept").fetchone()
        writer.execute("INSERT INTO kept VALUES (?, ?)", (number, body(number)))
    if moved != "none":
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
    os.kill(os.getpid(), signal.SIGKILL)


def body(number: int) -> bytes:
    return bytes([number % 251]) * (BODY + 700 * (number % 7))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
