"""How long the queue's and the lists' questions take beside a million finished builds and as many deliveries.

python benchmarks/storage_queries.py [--rows 1000000] [--waiting 10000] [--folder .]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from headgate.api import Delivery, Outcome, Repository, State
from headgate.storage import builds, deliveries, tables
from headgate.storage.build_rows import NewBuild, row_of
from headgate.storage.database import open_database
from headgate.storage.ids import new_id
from headgate.storage.schema import migrate

START = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 20_000
TRIES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=10_000, help="queued builds of a job that may not run more")
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        url = f"sqlite+aiosqlite:///{folder}/headgate.db"
        asyncio.run(measure(url, options))
        Path(folder, "headgate.db.lock").write_text("running, as after a crash\n")
        begin = time.perf_counter()
        asyncio.run(opened(url))
        print(f"{'opening after a crash':38} {(time.perf_counter() - begin) * 1e3:8.2f} ms")


async def measure(url: str, options: argparse.Namespace) -> None:
    migrate(url)
    async with open_database(url, on_fatal=print) as database:
        begin = time.perf_counter()
        for first in range(0, options.rows, CHUNK):
            await database.writer.write(lambda conn, first=first: fill(conn, first, min(CHUNK, options.rows - first)))
        now = START + timedelta(seconds=options.rows)
        saturated = [build(options.rows + n, job="busy", max_running=1) for n in range(options.waiting)]
        await database.writer.write(lambda conn: builds.plan(conn, saturated))
        print(f"{options.rows:,} rows each in {time.perf_counter() - begin:.0f} s, {options.waiting:,} waiting")
        last = build(options.rows, job="job 7").id

        async def claim(conn):
            return await builds.claim(conn, worker="w", now=now, lease_until=now + timedelta(hours=9), limit=2)

        reads = {
            "newest builds": builds.page,
            "builds of a job, page in the middle": lambda conn: builds.page(conn, job="job 7", cursor=middle),
            "running builds": lambda conn: builds.page(conn, state=State.RUNNING),
            "previous success": lambda conn: builds.previous(conn, "job 7", "refs/heads/main", last, Outcome.SUCCEEDED),
            "expired": lambda conn: builds.expired(conn, now),
            "depth": builds.depth,
            "newest deliveries": deliveries.page,
            "pending": lambda conn: deliveries.pending(conn, limit=100),
        }
        middle = build(options.rows // 2).id
        for name, question in reads.items():
            times = []
            for _ in range(TRIES):
                async with database.reading() as conn:
                    begin = time.perf_counter()
                    await question(conn)
                    times.append(time.perf_counter() - begin)
            show(name, times)
        times = []
        for n in range(TRIES):
            await database.writer.write(lambda conn, n=n: builds.plan(conn, [build(2 * options.rows + n, job="free")]))
            begin = time.perf_counter()
            claimed = await database.writer.write(claim)
            times.append(time.perf_counter() - begin)
            assert any(one.build.job == "free" for one in claimed)
        show("claim behind the saturated job", times)
    begin = time.perf_counter()
    async with open_database(url, on_fatal=print):
        print(f"{'opening':38} {(time.perf_counter() - begin) * 1e3:8.2f} ms")


async def opened(url: str) -> None:
    async with open_database(url, on_fatal=print):
        pass


def show(name: str, times: list[float]) -> None:
    times.sort()
    print(f"{name:38} {times[len(times) // 2] * 1e3:8.2f} ms  worst {times[-1] * 1e3:8.2f} ms")


async def fill(conn, first: int, count: int) -> None:
    numbers = range(first, first + count)
    rows = []
    for n in numbers:
        row = row_of(build(n, job=f"job {n % 100}"), n // 100 + 1)
        rows.append(row | {"state": "finished", "outcome": "succeeded" if n % 3 else "failed", "finished_at": START})
    await conn.execute(sa.insert(tables.builds), rows)
    evidence = [deliveries.NewDelivery(delivery=delivery(n), key=str(n), event="push") for n in numbers]
    await deliveries.record(conn, evidence)
    settled = [deliveries.Settled(id=one.delivery.id, state="routed", at=START) for one in evidence]
    await deliveries.settle(conn, settled)


def build(number: int, *, job: str = "job", max_running: int | None = None) -> NewBuild:
    moment = START + timedelta(seconds=number)
    return NewBuild(
        id=new_id("b", moment), job=job, reason="branch main was pushed", trigger="push", connection="acme",
        repository=Repository(host="git.example.org", path="acme/web"), repository_key="acme/web",
        ref="refs/heads/main", sha="a" * 40, definition="f" * 64, event_id=new_id("e", moment),
        decision_id=new_id("x", moment), transition_id=new_id("t", moment), queued_at=moment, max_running=max_running,
    )  # fmt: skip


def delivery(number: int) -> Delivery:
    moment = START + timedelta(seconds=number)
    return Delivery(id=new_id("d", moment), connection="acme", received_at=moment, headers=(), body=b"x" * 200)


if __name__ == "__main__":
    main()
