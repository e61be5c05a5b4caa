"""How many deliveries a second the writer records, beside a bare sqlite3 loop that commits groups of the same size.

    python benchmarks/storage_writer.py [--callers 256] [--seconds 5] [--body 8192] [--folder .]

Every caller waits for its answer, which comes after the fsync, before it sends the next delivery. Each round runs both
loops for `--seconds`; the folder decides which disk is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from headgate.api import Delivery
from headgate.storage import deliveries
from headgate.storage.database import open_database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.storage.schema import migrate

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--body", type=int, default=8_192, help="bytes of a delivery's body")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    print(f"{options.callers} callers, {options.body} bytes a body, {options.seconds:g} s a loop")
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            ours = run(recorded(Path(folder), options))
            bare = bare_loop(Path(folder), options, group=max(1, round(ours["group"])))
        print(
            f"writer {ours['rate']:8,.0f}/s  p50 {ours['p50']:5.1f} ms  p99 {ours['p99']:6.1f} ms"
            f"  {ours['group']:5.0f} a commit  |  bare sqlite3 {bare:8,.0f}/s  |  {ours['rate'] / bare:.0%}"
        )


async def recorded(folder: Path, options: argparse.Namespace) -> dict[str, float]:
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


def bare_loop(folder: Path, options: argparse.Namespace, *, group: int) -> float:
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
    main()
