"""Polling 10,000 repositories: requests, bytes, processor and time of a cycle, beside `git ls-remote` for each job.

    python benchmarks/polling.py [--repositories 10000] [--every 30]

Two halves. "At full speed" asks every repository at once through the rooms of a server in this process (Poller, Flow,
git, storage): some of which nothing is known (each queues its first build), then all unchanged, then with a
hundredth moved: what a cycle costs. "In service" is a real `headgate serve` that knows them all and asks each once an
interval: what share of a processor that takes, and how evenly the questions come. The git server stands for all
repositories (`many_repositories.py`, checked against git at each start); `git ls-remote` is measured on a sample
and multiplied.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import structlog

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import Headgate

from headgate.app.sources import Sources
from headgate.config.host import load_settings
from headgate.config.jobs import load_jobs
from headgate.flow import Flow
from headgate.plugins import load_plugins
from headgate.routing.index import make_snapshot
from headgate.scheduling.polls import Poller
from headgate.storage import polls, refs
from headgate.storage.database import open_database
from headgate.storage.refs import RefKey, RefState
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics
from headgate.web.ports import Connection
from headgate_plugins.git.connection import Git
from headgate_plugins.git.place import Place
from many_repositories import counted, many_repositories, move, run_git
from results import Beside, Figure, program

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: git, base_url: "ADDRESS", accept_unsigned: "yes, anyone may start builds"}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 1}
logs: {level: warning}
"""

JOB = """
  job-{number}:
    source: {{connection: hub, repository: team/repo-{repository}.git, checkout: none}}
    triggers: {{poll: {{every: {every}s}}}}
    run: {{steps: [{{name: test, run: "true"}}]}}
"""

SAMPLE = 200
"""How many times `git ls-remote` is run."""

FIRST_LOOKS = 1_000
"""Repositories of which nothing is known at first."""


def measure(repositories: int = 10_000, every: int = 30, jobs_each: int = 2) -> list[Figure]:
    """`every`: seconds of the interval; `jobs_each`: how many jobs poll each of the first tenth of the repositories."""
    with tempfile.TemporaryDirectory() as name, many_repositories(Path(name) / "real") as address:
        folder = Path(name)
        jobs = write(folder, address, repositories, jobs_each, every)
        theirs = ls_remote(address, jobs)
        first, unchanged, some = asyncio.run(full_speed(folder, address, repositories, every))
        served = asyncio.run(in_service(folder, address, repositories, every))
    sample = f"{SAMPLE} measured, times {jobs / SAMPLE:g}: one for each of {jobs:,} jobs, one after another"

    def compared(name: str, unit: str, of: Callable[[Cycle], float], target: float, note: str = "") -> Figure:
        beside = Beside(name="`git ls-remote` for each job", value=of(theirs), kind="peer", target=target, note=sample)
        return Figure(
            name=f"polling {repositories:,} repositories: {name}", value=of(unchanged), unit=unit, better="lower",
            beside=(beside,), note=note,
        )  # fmt: skip

    def alone(name: str, value: float, unit: str, target: float | None = None, note: str = "") -> Figure:
        return Figure(
            name=f"polling {repositories:,} repositories: {name}",
            value=value,
            unit=unit,
            better="lower",
            target=target,
            note=note,
        )

    return [
        compared("time of a cycle at full speed", "s", lambda one: one.seconds, 5, "nothing moved; 8 at once"),
        compared("processor of a cycle", "s", lambda one: one.processor, 5, "ours; the git server's is not counted"),
        compared("requests of a cycle", "requests", lambda one: one.requests, 2),
        compared("bytes of a cycle, with headers", "bytes", lambda one: one.received + one.sent, 3),
        compared("connections of a cycle", "connections", lambda one: one.connections, 100),
        alone("bytes written to disk by a cycle", unchanged.written, "bytes", note="nothing moved"),
        alone("processor of a cycle, 1% moved", some.processor, "s", note=f"{repositories // 100} builds queued"),
        alone(f"processor of {first.requests:,} first looks", first.processor, "s", note="each queues its first build"),
        alone(
            f"share of one processor, each asked every {every} s", served.processor / every * 100, "%", 25,
            f"a real server, {served.requests / every:.0f} requests/s over {served.connections} new connections",
        ),
        alone(
            f"busiest second beside the mean, each asked every {every} s", served.peak / (served.requests / every),
            "times", 2, "no storm: jitter, and what each had learned before the start",
        ),
        alone(f"bytes written to disk an interval of {every} s", served.written, "bytes", note="nothing moved"),
    ]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Cycle:
    """What asking every repository once took."""

    seconds: float
    processor: float
    requests: int
    received: int
    sent: int
    connections: int
    peak: int = 0
    written: int = 0


def ls_remote(address: str, jobs: int) -> Cycle:
    """`git ls-remote` of one repository after another, as a job's script would, times as many as there are jobs."""
    counted(address, forget=True)
    before, began = children(), time.perf_counter()
    for number in range(SAMPLE):
        subprocess.run(
            ["git", "ls-remote", f"{address}/team/repo-{number}.git", "HEAD"],
            check=True, stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": os.devnull},
        )  # fmt: skip
    seconds, processor, seen = time.perf_counter() - began, children() - before, counted(address)
    times = jobs / SAMPLE
    requests = seen["advertisements"] + seen["questions"]
    return Cycle(
        seconds=seconds * times, processor=processor * times, requests=round(requests * times),
        received=round(seen["received"] * times), sent=round(seen["sent"] * times),
        connections=round(seen["connections"] * times),
    )  # fmt: skip


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(folder: Path, address: str, repositories: int, jobs_each: int, every: int) -> int:
    wanted = [n for n in range(repositories) for _ in range(jobs_each if n < repositories // 10 else 1)]
    (folder / "jobs.d").mkdir()
    for start in range(0, len(wanted), 500):
        text = "".join(
            JOB.format(number=start + n, repository=one, every=every)
            for n, one in enumerate(wanted[start : start + 500])
        )
        (folder / "jobs.d" / f"{start}.yaml").write_text(f"jobs:{text}")
    (folder / "config.yaml").write_text(CONFIG.replace("ADDRESS", address))
    return len(wanted)


async def full_speed(folder: Path, address: str, repositories: int, every: int) -> list[Cycle]:
    """All repositories at once, as many at a time as the configuration allows."""
    kinds = load_plugins().kinds
    settings = load_settings(folder / "config.yaml", kinds)
    normalise = {"hub": kinds.providers["git"].normalise}
    snapshot = make_snapshot(load_jobs(settings.jobs, kinds, settings).jobs, kinds, normalise=normalise)
    provider = Git(host=None, place=Place(base_url=address, root=None))
    metrics = Metrics()
    settings.data.mkdir(exist_ok=True)
    url = f"sqlite+aiosqlite:///{folder}/apart.db"
    await remember(folder, url, address, range(FIRST_LOOKS, repositories), every)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    async with open_database(url, on_fatal=print) as database, aiohttp.ClientSession() as http:
        connections = {"hub": Connection(name="hub", kind="git", provider=provider)}
        sources = Sources(connections, settings=settings, metrics=metrics, http=http)
        flow = Flow(
            database=database, snapshot=lambda: snapshot, history=sources, notifiers={},
            seal=lambda text, _: text, metrics=metrics, now=now, planned=lambda _: None,
        )  # fmt: skip
        poller = Poller(
            database=database, flow=flow, asks=sources.ask, snapshot=lambda: snapshot,
            jitter=settings.polling.jitter, concurrency=settings.polling.concurrency, metrics=metrics, health=Health(),
            log=structlog.get_logger("polls"), now=now,
        )  # fmt: skip
        poller.rebuild()
        cycles = [await cycle(poller, address, min(FIRST_LOOKS, repositories))]
        for _ in range(2):  # the first time all are compared with what is kept, as after a start
            unchanged = await cycle(poller, address, repositories)
        cycles.append(unchanged)
        move(address, {f"/team/repo-{n}.git": f"{n + 1:040x}" for n in range(0, repositories, 100)})
        cycles.append(await cycle(poller, address, repositories))
        await poller.flush()
    return cycles


async def cycle(poller: Poller, address: str, repositories: int) -> Cycle:
    counted(address, forget=True)
    began, processor, written = time.perf_counter(), time.process_time(), written_by("self")
    said = await asyncio.gather(*(poller.ask("hub", f"team/repo-{n}") for n in range(repositories)))
    await poller.flush()
    seconds, processor, seen = time.perf_counter() - began, time.process_time() - processor, counted(address)
    wrong = [one for one in said if not one.startswith("asked")]
    assert not wrong, wrong[0]
    return seen_as_cycle(seen, seconds, processor, written_by("self") - written)


def seen_as_cycle(seen: dict[str, int], seconds: float, processor: float, written: int) -> Cycle:
    return Cycle(
        seconds=seconds, processor=processor, requests=seen["advertisements"] + seen["questions"],
        received=seen["received"], sent=seen["sent"], connections=seen["connections"], peak=seen["peak"],
        written=written,
    )  # fmt: skip


async def in_service(folder: Path, address: str, repositories: int, every: int) -> Cycle:
    """One interval of a real server that was stopped a moment ago and knew every repository."""
    await remember(folder, f"sqlite+aiosqlite:///{folder}/data/headgate.db", address, range(repositories), every)
    headgate = Headgate(folder, (folder / "config.yaml").read_text(), "jobs: {}\n")
    headgate.jobs.unlink()
    try:
        await headgate.start()
        assert headgate.process is not None
        pid = headgate.process.pid
        await asyncio.sleep(every * 1.2)  # each has been compared with what is kept once, as after any start
        counted(address, forget=True)
        processor, written = processor_of(pid), written_by(str(pid))
        await asyncio.sleep(every)
        seen = counted(address)
        served = seen_as_cycle(seen, every, processor_of(pid) - processor, written_by(str(pid)) - written)
    finally:
        headgate.close()
    assert served.requests > 0.9 * repositories, f"{served.requests} requests in an interval: {served}"
    return served


async def remember(folder: Path, url: str, address: str, numbers: range, every: int) -> None:
    """What a server that polled these would have kept."""
    migrate(url)
    head = run_git(folder / "real", "rev-parse", "refs/heads/main")
    began = now()
    known = RefState(head=head, known=True, generation=1, polled_head=head, polled_generation=1)
    states = {}
    learned = []
    for number in numbers:
        key = f"team/repo-{number}"
        states[RefKey(connection="hub", repository=key, ref="refs/heads/main")] = known
        asked_at = began - timedelta(seconds=every * (number + 0.5) / numbers.stop) + timedelta(seconds=5)
        learned.append(
            polls.PollState(
                connection="hub", repository=key, default_branch="main", prefixes=("HEAD",), asked_at=asked_at,
                succeeded_at=asked_at,
            )
        )  # fmt: skip
    move(address, {f"/team/repo-{n}.git": head for n in range(0, numbers.stop, 100)})
    async with open_database(url, on_fatal=print) as database:
        await database.writer.write(lambda conn: refs.save(conn, states=states, new=[]))
        await database.writer.write(lambda conn: polls.put(conn, learned))


def processor_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_by(pid: str) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(program(measure))
