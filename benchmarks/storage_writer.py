"""How many deliveries a second the writer records, beside a bare sqlite3 loop that commits groups of the same size.

    python benchmarks/storage_writer.py [--callers 256] [--seconds 4] [--body 8192] [--folder FOLDER]

Every caller waits for its answer, which comes after the fsync, before it sends the next delivery. Each round runs both
loops for `--seconds`; the folder decides which disk is measured.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from headgate.api import Delivery
from headgate.storage import deliveries
from headgate.storage.database import open_database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.storage.schema import migrate
from results import Beside, Figure, program

try:
    from uvloop import run
except ImportError:
    from asyncio import run

HEADERS = (
    ("content-type", "application/json"),
    ("user-agent", "Git-Hosting/1.0"),
    ("x-event", "push"),
    ("x-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
    ("x-signature-256", "sha256=" + "a" * 64),
)


class Options(msgspec.Struct, frozen=True):
    """What both loops are told."""

    callers: int
    seconds: float
    body: int


def measure(
    callers: int = 256, seconds: float = 4.0, body: int = 8_192, rounds: int = 3, folder: Path | None = None
) -> list[Figure]:
    """`body`: bytes of a delivery's; `folder`: the disk to measure. The medians of `rounds`."""
    options = Options(callers, seconds, body)
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            ours = run(recorded(Path(name), options))
            found.append((ours["rate"], bare_loop(Path(name), options, group=max(1, round(ours["group"])))))
    rate, bare = (statistics.median(values) for values in zip(*found, strict=True))
    beside = (Beside(name="bare sqlite3, groups of the same size", value=bare),)
    name = f"deliveries recorded, {callers} callers, {body} bytes"
    return [Figure(name=name, value=rate, unit="/s", better="higher", beside=beside)]


async def recorded(folder: Path, options: Options) -> dict[str, float]:
    url = f"sqlite+aiosqlite:///{folder}/headgate.db"
    migrate(url)
    body = b"x" * options.body
    waits: list[float] = []
    groups = 0

    async def counted(conn, values):
        nonlocal groups
        groups += 1
        return await deliveries.record(conn, values)

    async def caller() -> None:
        while time.perf_counter() < end:
            start = time.perf_counter()
            now = datetime.now(UTC)
            id_ = new_id("d", now)
            delivery = Delivery(id=id_, connection="acme", received_at=now, headers=HEADERS, body=body, remote="::1")
            answer = await database.writer.add(counted, NewDelivery(delivery=delivery, key=id_, event="push"))
            assert answer.duplicate_of is None
            waits.append(time.perf_counter() - start)

    def stop(error: BaseException) -> None:
        raise SystemExit(f"the database failed: {error}")

    async with open_database(url, on_fatal=stop) as database:
        begin = time.perf_counter()
        end = begin + options.seconds
        await asyncio.gather(*(caller() for _ in range(options.callers)))
        took = time.perf_counter() - begin
    waits.sort()
    return {
        "rate": len(waits) / took,
        "group": len(waits) / groups,
        "p50": waits[len(waits) // 2] * 1e3,
        "p99": waits[len(waits) * 99 // 100] * 1e3,
    }


def bare_loop(folder: Path, options: Options, *, group: int) -> float:
    """One table, one index for the key, no Python between the rows: what the disk and SQLite allow."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE d (id TEXT PRIMARY KEY, key TEXT UNIQUE, headers TEXT, body BLOB) WITHOUT ROWID")
    body = b"x" * options.body
    headers = str(HEADERS)
    count = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < options.seconds:
        rows = [(f"d_{count + n:026}", f"{count + n:026}", headers, body) for n in range(group)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO d VALUES (?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        count += group
    took = time.perf_counter() - begin
    connection.close()
    return count / took


if __name__ == "__main__":
    sys.exit(program(measure))
