"""From a planned build to the first byte of its first step, without a checkout; run it with `python benchmarks/start_latency.py`."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from build_desk import Desk

from headgate.storage.database import open_database
from headgate.storage.schema import migrate

ROUNDS = 40


async def measure(isolation: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite+aiosqlite:///{name}/headgate.db"
        migrate(url)
        async with open_database(url, on_fatal=print) as database:
            desk = Desk(database, Path(name), isolation=isolation)
            starts, ends = [], []
            async with desk.at_work() as worker:
                while worker.sandbox is None:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
                for _ in range(ROUNDS):
                    build_id = await desk.plan("date +%s.%N")
                    began, clock = time.perf_counter(), time.time()
                    worker.wake()
                    while not desk.changes or desk.changes[-1].id != build_id or desk.changes[-1].state != "finished":
                        await asyncio.sleep(0.0005)
                    ends.append(time.perf_counter() - began)
                    starts.append(float(desk.said(build_id)[0]) - clock)
                    await asyncio.sleep(0.02)
        shown = [f"p50 {statistics.median(x) * 1000:.1f} ms, max {max(x) * 1000:.1f} ms" for x in (starts, ends)]
        print(f"isolation {isolation}: to the first step {shown[0]}; to the recorded end {shown[1]}")


def main() -> None:
    for isolation in ("none", "auto"):
        asyncio.run(measure(isolation))


if __name__ == "__main__":
    main()
