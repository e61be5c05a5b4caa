"""A mixed load on a real server for as long as one likes: does it grow, does it lose, does it repeat?

    python tests/reliability/soak.py --seconds 1800 --report docs/benchmarks/soak.md

It warms the server up, lets it come to rest, loads it, lets it rest again, and compares. Exit code 1: something
does not hold. The bounds and why they are what they are stand in `_growth` and `_truth`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import aiohttp
from live import PROGRAM, Headgate
from soak_load import CONFIG, ENVIRONMENT, JOBS, RUNNING_JOBS, TELLING_JOBS, Load, World
from soak_measures import MB, Finding, Sample, look, plot, slope_of, table

LONG = 900.0
"""Seconds of load from which slopes are judged; a shorter run compares the two rests only."""

REST_WITHIN = 240.0
SHOWN = (
    ("memory", "Memory of the server (heaps and stacks)", MB, "MB"),
    ("descriptors", "Open descriptors", 1, ""),
    ("threads", "Threads", 1, ""),
    ("tasks", "Asyncio tasks", 1, ""),
    ("wal", "Write-ahead log", MB, "MB"),
)


class Soak:
    """One run over one folder."""

    def __init__(self, folder: Path, program: Sequence[str], *, every: float) -> None:
        """`every`: seconds between two samples."""
        self.world = World(folder)
        inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        self.headgate = Headgate(
            folder / "headgate", CONFIG, JOBS, {**ENVIRONMENT, **inherited}, program=tuple(program)
        )
        self.load = Load(self.headgate, self.world, folder)
        self.samples: list[Sample] = []
        self.loaded: list[Sample] = []
        self.rests: list[Sample] = []
        self._every = every
        self._kept = folder / "samples.jsonl"
        self._started = 0.0

    async def run(self, warm_up: float, seconds: float) -> list[Finding]:
        """Warm up, rest, load, rest, compare."""
        async with self.world.open():
            self.load.prepare()
            try:
                await self.headgate.start()
                await self.load.started()
                self._started = time.monotonic()
                sampler = asyncio.create_task(self._sample())
                await self.load.fill()
                await self.load.run(warm_up)
                await self._rest()
                began = time.monotonic() - self._started
                await self.load.run(seconds)
                ended = time.monotonic() - self._started
                self.loaded = [sample for sample in self.samples if began <= sample.at <= ended]
                self.world.moody = False
                await self._rest(self.rests[0])
                assert not sampler.done(), sampler.exception()
                sampler.cancel()
                findings = [*self._growth(), *await self._truth()]
                code = await self.headgate.stop()
            finally:
                self.headgate.close()
        faults = self.load.faults + self._complaints()
        return [
            *findings,
            _finding("exit code after SIGTERM", code, "0", holds=code == 0),
            _finding("faults seen by clients or in the server's log", len(faults), "0", holds=not faults),
        ]

    async def _sample(self) -> None:
        while True:
            sample = await self._look()
            self.samples.append(sample)
            with self._kept.open("a") as file:  # to be looked at while it runs
                file.write(json.dumps(dataclasses.asdict(sample)) + "\n")
            await asyncio.sleep(self._every)

    async def _look(self) -> Sample:
        shown = await self._metrics()
        pid = self.headgate.process.pid
        return await asyncio.to_thread(
            look,
            pid,
            self.headgate.folder / "data",
            at=time.monotonic() - self._started,
            tasks=int(shown.get("headgate_tasks", 0)),
            queued=int(shown.get('headgate_queue_depth{state="queued"}', 0)),
        )

    async def _metrics(self) -> dict[str, float]:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.load.token}"}) as http,
            http.get(f"{self.headgate.url}/metrics") as answer,
        ):
            assert answer.status == 200, await answer.text()
            lines = (await answer.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    async def _rest(self, like: Sample | None = None) -> None:
        """Wait until nothing is left to do, and where it can be until everything is `like` before."""
        deadline = time.monotonic() + REST_WITHIN
        while self._waiting() and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        patience = time.monotonic() + 15
        while time.monotonic() < patience:
            await asyncio.sleep(6)  # the metrics' own figures are five seconds old
            sample = await self._look()
            if like is None or all(
                getattr(sample, name) <= getattr(like, name) for name in ("descriptors", "threads", "tasks")
            ):
                break
        self.rests.append(sample)

    def _waiting(self) -> list[tuple[str, int]]:
        """What is left to do, read beside the server."""
        return [row for row in self._rows(_UNDONE) if row[1]]

    def _rows(self, query: str) -> list[Any]:
        file = self.headgate.folder / "data/headgate.db"
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def _growth(self) -> list[Finding]:
        """Whether it holds more than before.

        Descriptors, threads and tasks at rest are counts: none may be left, but for the odd keep-alive connection
        or late metric (2). The WAL begins anew after a checkpoint and its file stays as long as it once was, so what
        fills the caches makes it long, and it may grow beyond that only while checkpoints are late: they may take a
        tenth of the time, and a busy disk makes them rare. Memory has noise: the allocator keeps what a peak
        needed. In a short run 32 MB may be noise, half of what the control leaks. In a long one 5 MB an hour, at
        three deliveries a second, is 500 bytes a delivery, and the slope is blind to nothing that grows with them:
        the body alone of the smallest push here has 500.
        """
        before, after = self.rests
        found = [
            _finding(
                f"{name} at rest, before and after",
                f"{getattr(before, name)} → {getattr(after, name)}",
                "no more (+2)",
                holds=getattr(after, name) <= getattr(before, name) + 2,
            )
            for name in ("descriptors", "threads", "tasks", "children", "workspaces")
        ]
        grown = (after.memory - before.memory) / MB
        found.append(
            _finding(
                "memory at rest, before and after",
                f"{before.memory / MB:.1f} → {after.memory / MB:.1f} MB",
                "+32 MB",
                holds=grown < 32,
            )
        )
        wal = max(sample.wal for sample in self.loaded) / MB
        found.append(
            _finding(
                "WAL at rest, and its most under load",
                f"{before.wal / MB:.1f} → {wal:.1f} MB",
                "+16 MB",
                holds=wal - before.wal / MB < 16,
            )
        )
        if self.loaded[-1].at - self.loaded[0].at < LONG:
            return found
        for name, divisor, unit, most in (
            ("memory", MB, "MB", 5.0),
            ("descriptors", 1, "", 10.0),
            ("threads", 1, "", 2.0),
            ("tasks", 1, "", 10.0),
            ("wal", MB, "MB", 5.0),
            ("queued", 1, "", 10.0),
        ):
            per_hour = slope_of(self.loaded, name) / divisor
            found.append(
                _finding(f"slope of {name}", f"{per_hour:+.2f} {unit}/h", f"{most:g} {unit}/h", holds=per_hour <= most)
            )
        return found

    async def _truth(self) -> list[Finding]:
        """Whether everything acknowledged was built exactly once, and told."""
        waiting, world = self._waiting(), self.world
        builds = await self.headgate.builds()
        built = Counter((build["job"], build["sha"]) for build in builds)
        lost = self.load.expected - set(built)
        lost |= {head for head in self.load.heads.items() if head not in built}
        twice = [key for key, count in built.items() if count > 1]
        ran_twice = [key for key, count in world.ran.items() if count > 1]
        succeeded = {(build["job"], build["sha"]) for build in builds if build["outcome"] == "succeeded"}
        not_run = {key for key in succeeded if key[0] in RUNNING_JOBS} - set(world.ran)
        untold = {build["id"] for build in builds if build["job"] in TELLING_JOBS} - set(world.told)
        outcomes = Counter((build["job"], str(build["outcome"])) for build in builds)
        wrong = {key: count for key, count in outcomes.items() if key[1] not in _OUTCOMES.get(key[0], ("succeeded",))}
        statuses = {one["sha"] for one in world.github.statuses if one["state"] == "success"}
        unreported = {sha for job, sha in self.load.expected if job == "lib"} - statuses
        self.load.counts["builds"] = len(builds)
        return [
            _finding("still waiting at the end", waiting or 0, "0", holds=not waiting),
            _finding(f"of {len(self.load.expected)} acknowledged, lost", len(lost), "0", holds=not lost),
            _finding(f"of {len(builds)} builds, built twice", len(twice), "0", holds=not twice),
            _finding("steps that ran twice", len(ran_twice), "0", holds=not ran_twice),
            _finding("succeeded, but did not run", len(not_run), "0", holds=not not_run),
            _finding(
                f"builds that ended untold ({world.refused} tries were refused, {world.told_again} told later)",
                len(untold),
                "0",
                holds=not untold,
            ),
            _finding("commits without their status", len(unreported), "0", holds=not unreported),
            _finding("news that contradict others", len(world.contradictions), "0", holds=not world.contradictions),
            _finding("outcomes that are not their job's", wrong or 0, "0", holds=not wrong),
        ]

    def _complaints(self) -> list[str]:
        """Lines of the server's log that speak of a fault of its own."""
        found = []
        for line in self.headgate.output.read_text().splitlines():
            if line.startswith("{") and (entry := json.loads(line)).get("level") in ("error", "critical"):
                found.append(json.dumps(entry))
            elif line.startswith("Traceback") or "never retrieved" in line or "Warning:" in line:
                found.append(line)
        return [line for line in found if not any(word in line for word in _ASKED_FOR)]


_UNDONE = """
    SELECT 'deliveries', count(*) FROM deliveries WHERE state = 'recorded'
    UNION ALL SELECT 'builds', count(*) FROM builds WHERE state != 'finished'
    UNION ALL SELECT 'notifications', count(*) FROM notifications WHERE state = 'waiting'
"""
_OUTCOMES = {"fails": ("failed",), "hangs": ("timed_out",), "slow": ("cancelled",)}
_ASKED_FOR = ("brunches", "gitbub")
"""Mistakes that the load makes on purpose."""


def _finding(what: str, found: object, bound: str, *, holds: bool) -> Finding:
    return Finding(what=what, found=str(found), bound=bound, holds=holds)


def main() -> int:
    """Run it and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="of load")
    parser.add_argument("--warm-up", type=float, help="seconds of load before the first rest; a third, at most 180")
    parser.add_argument("--every", type=float, default=0, help="seconds between two samples")
    parser.add_argument("--report", type=Path, help="a Markdown file to write; its plot stands beside it")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder otherwise")
    parser.add_argument("--program", nargs="+", default=[PROGRAM], help="the server; `headgate` otherwise")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="headgate-soak-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server must not outlive us
    soak = Soak(folder, given.program, every=given.every or (5 if given.seconds >= LONG else 1))
    warm_up = given.warm_up or min(180.0, given.seconds / 3)
    findings = asyncio.run(soak.run(warm_up, given.seconds))
    for fault in (soak.load.faults + soak._complaints())[:20]:
        print(fault[:2000])
    print(_evidence(soak))
    print(table(findings))
    if given.report:
        _report(given.report, soak, findings, warm_up, given.seconds)
    if given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(one.holds for one in findings) else 1


def _evidence(soak: Soak) -> str:
    """What the load was, and what it cost."""
    counts = soak.load.counts
    first, last = soak.loaded[0], soak.loaded[-1]
    minutes = (last.at - first.at) / 60
    share = (last.cpu - first.cpu) / (last.at - first.at)
    answers = ", ".join(f"{count} × {name[5:]}" for name, count in sorted(counts.items()) if name.startswith("HTTP"))
    acts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if "HTTP" not in name)
    return (
        f"{minutes:.1f} minutes under load; the server's own process used {share:.0%} of a core.\n\n"
        f"Webhooks answered: {answers}.\n\nActs: {acts}.\n"
    )


def _report(file: Path, soak: Soak, findings: list[Finding], warm_up: float, seconds: float) -> None:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".svg").write_text(plot(soak.samples, SHOWN))
    first, last = soak.loaded[0], soak.loaded[-1]
    sizes = "\n".join(
        f"| {name} | {getattr(first, name) / MB:.1f} MB | {getattr(last, name) / MB:.1f} MB |"
        for name in ("database", "logs", "mirrors", "wal")
    )
    file.write_text(
        f"# Soak\n\n<!-- Written by `make soak` (tests/reliability/soak.py); run it again rather than change this. -->\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, Headgate {version('headgate')}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, git {git}, {os.cpu_count()} cores"
        f"{f' ({cpu[1]})' if cpu else ''}, {platform.system()} {platform.release()}.\n\n"
        f"{warm_up:.0f} s of the same load to warm up, a rest, {seconds:.0f} s of load, a rest. "
        f"Slopes are the median slope (Theil–Sen) over the second half of the load.\n\n"
        f"{_evidence(soak)}\n{table(findings)}\n\n"
        f"What may grow is what is kept, on disk:\n\n| | at first | at last |\n|---|---|---|\n{sizes}\n\n"
        f"![Memory, descriptors, threads, tasks and WAL over time]({file.with_suffix('.svg').name})\n"
    )


if __name__ == "__main__":
    sys.exit(main())
