"""Memory and descriptors of a server at rest, after 10,000 deliveries and after builds; how soon the command line speaks.

    python benchmarks/memory.py [--deliveries 10000] [--builds 300]

Memory is PSS, in which what processes share is counted once: of the server, and of the supervisors that wait for
builds. The load is stopped before each look, so that what is seen is kept, not under way.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import PROGRAM, Headgate, github_headers, github_push

from results import Beside, Figure, program

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 4}
logs: {level: warning}
"""

JOBS = """
jobs:
  quiet:
    source: {connection: hub, repository: acme/quiet, checkout: none}
    triggers: {push: {branches: [main]}}
    run: {steps: [{name: test, run: "true"}]}
  busy:
    source: {connection: hub, repository: acme/busy, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: test, run: "true"}]}
"""

STARTS = 9
AT_ONCE = 32


def measure(deliveries: int = 10_000, builds: int = 300) -> list[Figure]:
    """`deliveries` are judged and build nothing; `builds` run `true`."""
    speaks = median_of([PROGRAM, "--help"])
    bare = median_of([sys.executable, "-c", "pass"])
    looks = asyncio.run(served(deliveries, builds))
    rest = looks["at rest"]

    def kept(name: str, key: str, unit: str, target: float | None = None) -> list[Figure]:
        return [
            Figure(
                name=f"{name} {when}", value=look[key], unit=unit, better="lower",
                target=target if look is rest else None,
                beside=() if look is rest else (Beside(name="at rest", value=rest[key], kind="size", target=0.5),),
            )
            for when, look in looks.items()
        ]  # fmt: skip

    return [
        Figure(
            name="`headgate --help`, from start to end", value=speaks * 1e3, unit="ms", better="lower", target=300,
            beside=(Beside(name="an empty Python", value=bare * 1e3),),
        ),
        *kept("memory of the server", "server", "MB", 120),
        *kept("memory of its supervisors", "supervisors", "MB", 60),
        *kept("descriptors of the server", "descriptors", "open"),
    ]  # fmt: skip


def median_of(command: list[str]) -> float:
    times = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ})
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def served(deliveries: int, builds: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        headgate = Headgate(Path(name) / "headgate", CONFIG, JOBS)
        try:
            await headgate.start()
            assert headgate.process is not None
            pid = headgate.process.pid
            await asyncio.sleep(2)  # supervisors are started ahead of time
            looks = {"at rest": look(pid)}
            connector = aiohttp.UnixConnector(path=str(headgate.folder / "data" / "headgate.sock"))
            async with aiohttp.ClientSession(connector=connector, base_url="http://localhost/api/v1/") as local:
                await deliver_all(headgate, "acme/quiet", deliveries)
                await until_none(local, "deliveries", state="recorded")
                looks[f"after {deliveries:,} deliveries"] = look(pid)
                await deliver_all(headgate, "acme/busy", builds)
                for path, state in (("deliveries", "recorded"), ("builds", "queued"), ("builds", "running")):
                    await until_none(local, path, state=state)
                looks[f"after {builds:,} builds more"] = look(pid)
            return looks
        finally:
            headgate.close()


async def deliver_all(headgate: Headgate, repository: str, count: int) -> None:
    numbers = iter(range(count))

    async def sender(http: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = github_push(repository, f"refs/heads/b{number % 100}", None, f"{number + 1:040x}")
            async with http.post(f"{headgate.url}/webhooks/hub", data=body, headers=github_headers(body)) as answer:
                assert answer.status == 202, await answer.text()

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(sender(http) for _ in range(AT_ONCE)))


async def until_none(local: aiohttp.ClientSession, path: str, *, state: str) -> None:
    """Wait until no delivery, or no build, is in `state`."""
    async with asyncio.timeout(100):
        while True:
            async with local.get(path, params={"state": state, "limit": 1}) as answer:
                if not (await answer.json())["items"]:
                    return
            await asyncio.sleep(0.1)


def look(pid: int) -> dict[str, float]:
    """Megabytes of the server and of its children, and how many files it has open."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return {
        "server": pss(pid) / 1e6,
        "supervisors": sum(pss(child) for child in children) / 1e6,
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def pss(pid: int) -> int:
    """Bytes of memory, what is shared counted by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no Pss")


if __name__ == "__main__":
    sys.exit(program(measure))
