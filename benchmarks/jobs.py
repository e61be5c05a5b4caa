"""10, 1,000, 10,000 and 100,000 jobs: reading them, what they keep, and the time to match one delivery, which must be flat.

    python benchmarks/jobs.py [--largest 100000]

In this process: reading the files, compiling the snapshot, and `Snapshot.of_repository` with `judge` for one push.
Then a real server with as many: seconds until it is ready, its memory, and a delivery sent over HTTP until its
decisions and builds are on disk. Builds wait: the one slot is taken, so that they cost nothing here.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import live
from live import Headgate, github_headers, github_push

from headgate.api import Push, Repository
from headgate.api.rules import Subject
from headgate.config.host import load_settings
from headgate.config.jobs import load_jobs
from headgate.plugins import load_plugins
from headgate.routing.index import make_snapshot
from headgate.routing.judge import judge, subject_text
from results import Beside, Figure, program

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 1}
logs: {level: warning}
"""

JOB = """
  job-{number}:
    description: Job {number} of many
    source: {{connection: hub, repository: acme/repo-{repository}, checkout: none}}
    triggers:
      push: {{branches: [main, "release/**"]}}
      tag: {{tags: ["v*"]}}
    conditions:
      - message: {{not_matching: "\\\\[skip ci\\\\]"}}
    run:
      timeout: 5m
      steps:
        - {{name: test, run: "sleep 600"}}
"""

JOBS_A_REPOSITORY = 5
JOBS_A_FILE = 250
DELIVERIES = 100
JUDGED = 2_000


def measure(largest: int = 100_000) -> list[Figure]:
    """`largest`: the most jobs; the sizes below it are always measured."""
    sizes = [size for size in (10, 1_000, 10_000) if size < largest] + [largest]
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder, size)
            found[size] = in_process(folder) | asyncio.run(served(folder, size))
            print(f"{size:>7,} jobs", {key: round(value, 3) for key, value in found[size].items()}, flush=True)
    return [
        Figure(
            name=f"{words}, {size:,} jobs", value=found[size][key], unit=unit, better="lower",
            target=target.get(size) if target else None, series=words, axis="jobs", at=size,
            beside=(
                (Beside(name=f"with {sizes[0]} jobs", value=found[sizes[0]][key], kind="size", target=flat),)
                if size != sizes[0] and flat
                else ()
            ),
        )
        for words, key, unit, flat, target in (
            ("matching and judging one push", "judged", "µs", 0.5, None),
            ("delivery to kept decisions and builds", "routed", "ms", 0.5, None),
            ("delivery to its 202", "acknowledged", "ms", 0.5, None),
            ("start until ready", "ready", "s", None, {10_000: 10.0}),
            ("reading job files, processor", "read", "s", None, None),
            ("memory once ready (PSS)", "memory", "MB", None, None),
        )
        for size in sizes
    ]  # fmt: skip


def write(folder: Path, jobs: int) -> None:
    (folder / "jobs.d").mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    repositories = max(1, jobs // JOBS_A_REPOSITORY)
    for start in range(0, jobs, JOBS_A_FILE):
        numbers = range(start, min(start + JOBS_A_FILE, jobs))
        text = "".join(JOB.format(number=number, repository=number % repositories) for number in numbers)
        (folder / "jobs.d" / f"jobs-{start}.yaml").write_text(f"jobs:{text}")


def in_process(folder: Path) -> dict[str, float]:
    """Reading them, and one push after the other, each of another repository."""
    kinds = load_plugins().kinds
    settings = load_settings(folder / "config.yaml", kinds)
    began = time.process_time()
    loaded = load_jobs(settings.jobs, kinds, settings)
    assert not loaded.problems, loaded.problems[0]
    snapshot = make_snapshot(loaded.jobs, kinds, normalise={"hub": kinds.providers["github"].normalise})
    read = time.process_time() - began
    places = snapshot.repositories()
    now = datetime.now(UTC)
    subjects = [
        Subject(
            event=Push(
                repository=Repository(host="github.com", path=place[1]), ref="refs/heads/main", before="b" * 40,
                after=f"{number:040x}",
            ),
            observer="webhook", now=now, first_seen=False, default_branch="main",
        )
        for number, place in zip(range(JUDGED), places * (JUDGED // len(places) + 1), strict=False)
    ]  # fmt: skip
    began = time.process_time()
    for subject in subjects:
        path = subject.event.repository.path
        told = subject_text(subject)
        for compiled in snapshot.of_repository("hub", path, path):
            judge(compiled, told)
    return {"read": read, "judged": (time.process_time() - began) / JUDGED * 1e6}


async def served(folder: Path, jobs: int) -> dict[str, float]:
    """A real server: until ready, its memory, and deliveries one after the other."""
    live.START_WITHIN = 150.0
    headgate = Headgate(folder, CONFIG, "jobs: {}\n")
    headgate.jobs.unlink()
    repositories = max(1, jobs // JOBS_A_REPOSITORY)
    try:
        ready = await headgate.start()
        assert headgate.process is not None
        memory = pss(headgate.process.pid) / 1e6
        connector = aiohttp.UnixConnector(path=str(folder / "data" / "headgate.sock"))
        acknowledged, routed = [], []
        async with aiohttp.ClientSession() as http, aiohttp.ClientSession(connector=connector) as local:
            for number in range(DELIVERIES):
                body = github_push(
                    f"acme/repo-{number * 7919 % repositories}", f"refs/heads/release/{number}", None,
                    f"{number + 1:040x}", paths=["a.py"],
                )  # fmt: skip
                began = time.perf_counter()
                async with http.post(f"{headgate.url}/webhooks/hub", data=body, headers=github_headers(body)) as answer:
                    assert answer.status == 202, await answer.text()
                    delivery = (await answer.json())["delivery"]
                acknowledged.append(time.perf_counter() - began)
                state = "recorded"
                while state == "recorded":
                    async with local.get(f"http://localhost/api/v1/deliveries/{delivery}") as answer:
                        state = (await answer.json())["state"]
                assert state == "routed", state
                routed.append(time.perf_counter() - began)
        middle = DELIVERIES // 2
        return {
            "ready": ready, "memory": memory, "acknowledged": sorted(acknowledged)[middle] * 1e3,
            "routed": sorted(routed)[middle] * 1e3,
        }  # fmt: skip
    finally:
        headgate.close()


def pss(pid: int) -> int:
    """Bytes of memory, what is shared counted by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no Pss")


if __name__ == "__main__":
    sys.exit(program(measure))
