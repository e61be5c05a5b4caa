"""From a webhook's first byte to the first step's start, on an idle machine, with and without a checkout.

    python benchmarks/webhook_to_step.py [--rounds 10] [--folder FOLDER]

FOLDER is where everything is kept, by default the temporary folder: a file system's speed at making files is most
of what a checkout of thousands of files costs, so try a disk and a tmpfs. Prints p50 and p99 in milliseconds. The step prints the clock; sender and step share it. Beside them, in the same
run: a bare process spawn, and `git clone` of the same repository, which is what a checkout would otherwise cost.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from results import Beside, Figure, program

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from git_server import commit_to
from live import FakeGitHub, Headgate, github_headers, github_push

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, base_url: HUB, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: ISOLATION}}
logs: {level: warning}
"""

JOBS = """
jobs:
  bare:
    source: {connection: hub, repository: acme/bare, checkout: none}
    triggers: {push: {}}
    run:
      steps: [{name: stamp, run: "date +%s%N"}]
  small:
    source: {connection: hub, repository: acme/small}
    triggers: {push: {}}
    run:
      steps: [{name: stamp, run: "date +%s%N"}]
  files:
    source: {connection: hub, repository: acme/files}
    triggers: {push: {}}
    run:
      steps: [{name: stamp, run: "date +%s%N"}]
"""

SMALL = 20
FILES = 3_000
WORDS = {
    "bare": "without checkout",
    "small": f"checkout of {SMALL} files, mirror there",
    "files": f"checkout of {FILES} files, mirror there",
}


def measure(rounds: int = 10, folder: Path | None = None) -> list[Figure]:
    """`rounds` pushes for each."""
    return asyncio.run(_measure_all(rounds, folder))


async def _measure_all(rounds: int, place: Path | None) -> list[Figure]:
    figures = []
    bare = {"bare": ("spawn `date`", [spawn(["date"]) for _ in range(rounds)])}
    for isolation in ("none", "auto"):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            figures += await _measure(Path(folder), isolation, rounds, bare)
    return figures


async def _measure(folder: Path, isolation: str, rounds: int, bare: dict[str, tuple[str, list[float]]]) -> list[Figure]:
    figures = []
    async with FakeGitHub(folder / "hosted") as hub:
        many = hub.create("acme/files")
        commit_to(many, {f"src/d{n % 50}/f{n}.txt": f"{n}\n" * 20 for n in range(FILES)}, "Many files")
        shas = [commit_to(many, {"src/changed.txt": f"{n}\n"}, f"Change {n}") for n in range(rounds + 2)]
        small = hub.create("acme/small")
        commit_to(small, {f"f{n}.txt": f"{n}\n" for n in range(SMALL)}, "A few files")
        few = [commit_to(small, {"changed.txt": f"{n}\n"}, f"Change {n}") for n in range(rounds + 2)]
        if isolation == "none":
            bare["files"] = "`git clone --depth 1`", await clones(hub.url("acme/files"), min(rounds, 10), folder)
        headgate = Headgate(
            folder / "headgate",
            CONFIG.replace("HUB", hub.url()).replace("ISOLATION", isolation),
            JOBS,
        )
        try:
            await headgate.start()
            async with aiohttp.ClientSession() as http:
                bare_shas = [f"{n:040x}" for n in range(1, rounds + 3)]
                for name, chain in (("bare", bare_shas), ("small", few), ("files", shas)):
                    sent = await push_all(http, headgate, f"acme/{name}", chain)
                    figures += in_figures(f"{WORDS[name]}, isolation {isolation}", sent[2:], bare.get(name))
        finally:
            headgate.close()
    return figures


async def push_all(http, headgate, repository, chain) -> list[float]:
    """Milliseconds for each push, one after the other; the first two warm the mirror and the pools."""
    took = []
    before = None
    connector = aiohttp.UnixConnector(path=str(headgate.folder / "data" / "headgate.sock"))
    async with aiohttp.ClientSession(connector=connector, base_url="http://localhost/api/v1/") as local:
        for number, sha in enumerate(chain):
            body = github_push(repository, "refs/heads/main", before, sha)
            headers = github_headers(body)
            started = time.time_ns()
            async with http.post(f"{headgate.url}/webhooks/hub", data=body, headers=headers) as answer:
                assert answer.status == 202, await answer.text()
            took.append((await stamp_of(local, repository, number + 1) - started) / 1e6)
            before = sha
            await asyncio.sleep(0.15)  # idle again
    return took


async def stamp_of(local: aiohttp.ClientSession, repository: str, number: int) -> int:
    """The clock as the first step printed it, nanoseconds, once its build has succeeded."""
    job = repository.rpartition("/")[2]
    async with asyncio.timeout(30):
        while True:
            async with local.get("builds", params={"job": job, "number": number}) as answer:
                found = (await answer.json())["items"]
            if found and found[0]["state"] == "finished":
                break
            await asyncio.sleep(0.02)
    assert found[0]["outcome"] == "succeeded", found[0]
    async with local.get(f"builds/{found[0]['id']}/log") as answer:
        return int(re.search(r"\b\d{19}\b", await answer.text())[0])


async def clones(url: str, rounds: int, folder: Path) -> list[float]:
    return [
        await asyncio.to_thread(spawn, ["git", "clone", "-q", "--depth", "1", url, str(folder / f"clone-{n}")])
        for n in range(rounds)
    ]


def spawn(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return (time.perf_counter() - started) * 1e3


def in_figures(what: str, took: list[float], bare: tuple[str, list[float]] | None) -> list[Figure]:
    figures = []
    for percent in (50, 99):
        beside = () if bare is None else (Beside(name=bare[0], value=at(bare[1], percent)),)
        name = f"webhook to first step, {what}, p{percent}"
        figures.append(Figure(name=name, value=at(took, percent), unit="ms", better="lower", beside=beside))
    return figures


def at(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


if __name__ == "__main__":
    sys.exit(program(measure))
