"""From a webhook to a build's start and end, and trivial builds a second, beside spawning the same processes bare.

A real `headgate serve`, signed pushes, one job whose one step is `true` and which checks nothing out. Latency is
taken on an idle server, one push after another. Throughput is taken after all pushes are acknowledged, so that
receiving them is not in it: how many of the builds that still waited then were finished a second. Bare is the same
shell (`bash -euo pipefail -c true`) started by asyncio as many at once as there are slots, wrapped in the same
bubblewrap where the builds are; it makes no folders, keeps no log, and writes nothing down.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import aiohttp

from results import Beside, Figure, program

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import Headgate, github_headers, github_push

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: ISOLATION}}
worker: {slots: SLOTS}
logs: {level: warning}
"""

JOBS = """
jobs:
  trivial:
    source: {connection: hub, repository: acme/trivial, checkout: none}
    triggers: {push: {}}
    run:
      steps: [{name: nothing, run: "true"}]
"""

STEP = ("/bin/bash", "-euo", "pipefail", "-c", "true")
WRAPPED = (
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--",
)
TARGET_RATE = 100.0
TARGET_RATIO = 0.5
TARGET_START_MS = 50.0
ROUNDS = 2


def measure(builds: int = 300, pushes: int = 30, slots: int = 2, more_slots: int = 8) -> list[Figure]:
    """`builds` queued at once for each throughput; `pushes` one after another for the latencies."""
    figures: list[Figure] = []
    for isolation in ("none", "bubblewrap"):
        if isolation == "bubblewrap" and shutil.which("bwrap") is None:
            figures.append(_missing("bubblewrap is not installed"))
            continue
        figures += asyncio.run(_latency(isolation, pushes))
        for count in (slots, more_slots):
            figures.append(asyncio.run(_throughput(isolation, builds, count)))
    return figures


def _missing(why: str) -> Figure:
    return Figure(name="trivial builds, bubblewrap", value=None, unit="builds/s", better="higher", note=why)


async def _latency(isolation: str, pushes: int) -> list[Figure]:
    """Milliseconds from the first byte of a push to its build's start and end as the server writes them down."""
    async with _serving(isolation, slots=2) as headgate, _clients(headgate) as (http, api):
        starts, ends, spawns = [], [], []
        for number in range(1, pushes + 3):
            body = github_push("acme/trivial", "refs/heads/main", None, f"{number:040x}")
            sent = time.time()
            await _deliver(http, headgate, body)
            build = await _nth(api, number)
            starts.append((_moment(build["started_at"]) - sent) * 1e3)
            ends.append((_moment(build["finished_at"]) - sent) * 1e3)
            began = time.perf_counter()
            await _spawn(_argv(isolation))
            spawns.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0.1)  # idle again
    figures = []
    for percent in (50, 99):
        bare = Beside(name="one bare spawn", value=_percentile(spawns[2:], percent))
        ended = _percentile(ends[2:], percent)
        if isolation == "none":
            started, goal = _percentile(starts[2:], percent), TARGET_START_MS
            name = f"webhook to build start, p{percent}"
            figures.append(Figure(name=name, value=started, unit="ms", better="lower", target=goal))
        name = f"webhook to finished build, {_words(isolation)}, p{percent}"
        figures.append(Figure(name=name, value=ended, unit="ms", better="lower", beside=(bare,)))
    return figures


async def _throughput(isolation: str, builds: int, slots: int) -> Figure:
    """Ours and bare in turn, `ROUNDS` times; the medians."""
    ours, bare = [], []
    for _ in range(ROUNDS):
        bare.append(await _spawns_a_second(_argv(isolation), builds, slots))
        ours.append(await _builds_a_second(isolation, builds, slots))
    return Figure(
        name=f"trivial builds, {_words(isolation)}, {slots} slots",
        value=statistics.median(ours),
        unit="builds/s",
        better="higher",
        target=TARGET_RATE if isolation == "none" else None,
        beside=(Beside(name=f"bare spawns, {slots} at once", value=statistics.median(bare), target=TARGET_RATIO),),
    )


async def _builds_a_second(isolation: str, builds: int, slots: int) -> float:
    async with _serving(isolation, slots) as headgate, _clients(headgate) as (http, api):
        bodies = [github_push("acme/trivial", "refs/heads/main", None, f"{n:040x}") for n in range(1, builds + 1)]
        waiting = iter(bodies)

        async def post() -> None:
            for body in waiting:
                await _deliver(http, headgate, body)

        await asyncio.gather(*(post() for _ in range(32)))
        acknowledged = time.time()
        await _nth(api, builds, pause=0.1)
        found = await _settled(api, builds)
        assert all(build["outcome"] == "succeeded" for build in found), found[0]
        after = sorted(end for build in found if (end := _moment(build["finished_at"])) > acknowledged)
        return len(after) / (after[-1] - acknowledged)


async def _settled(api: aiohttp.ClientSession, builds: int) -> list[dict]:
    """All builds once all are finished: the last to be planned need not be the last to end."""
    while True:
        found: list[dict] = []
        cursor: dict[str, str] = {}
        while True:
            async with api.get("builds", params={"limit": "200", **cursor}) as answer:
                page = await answer.json()
            found += page["items"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        if len(found) == builds and all(build["state"] == "finished" for build in found):
            return found
        await asyncio.sleep(0.1)


async def _spawns_a_second(argv: Sequence[str], count: int, at_once: int) -> float:
    left = iter(range(count))

    async def spawn() -> None:
        for _ in left:
            await _spawn(argv)

    began = time.perf_counter()
    await asyncio.gather(*(spawn() for _ in range(at_once)))
    return count / (time.perf_counter() - began)


async def _spawn(argv: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    await process.communicate()
    assert process.returncode == 0, argv


def _argv(isolation: str) -> tuple[str, ...]:
    return STEP if isolation == "none" else (*WRAPPED, *STEP)


def _words(isolation: str) -> str:
    return "no isolation" if isolation == "none" else isolation


@contextlib.asynccontextmanager
async def _serving(isolation: str, slots: int):
    rule = "none" if isolation == "none" else "required"
    with tempfile.TemporaryDirectory() as folder:
        headgate = Headgate(Path(folder), CONFIG.replace("ISOLATION", rule).replace("SLOTS", str(slots)), JOBS)
        try:
            await headgate.start()
            yield headgate
        finally:
            headgate.close()


@contextlib.asynccontextmanager
async def _clients(headgate: Headgate):
    """One for the webhooks, one for the local socket, where whoever owns the folder may ask everything."""
    connector = aiohttp.UnixConnector(path=str(headgate.folder / "data" / "headgate.sock"))
    async with (
        aiohttp.ClientSession() as http,
        aiohttp.ClientSession(connector=connector, base_url="http://localhost/api/v1/") as api,
    ):
        yield http, api


async def _deliver(http: aiohttp.ClientSession, headgate: Headgate, body: bytes) -> None:
    async with http.post(f"{headgate.url}/webhooks/hub", data=body, headers=github_headers(body)) as answer:
        assert answer.status == 202, await answer.text()


async def _nth(api: aiohttp.ClientSession, number: int, *, pause: float = 0.01) -> dict:
    async with asyncio.timeout(120):
        while True:
            async with api.get("builds", params={"job": "trivial", "number": str(number)}) as answer:
                found = json.loads(await answer.read())["items"]
            if found and found[0]["state"] == "finished":
                return found[0]
            await asyncio.sleep(pause)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


if __name__ == "__main__":
    sys.exit(program(measure))
