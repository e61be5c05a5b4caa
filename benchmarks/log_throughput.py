"""Lines per second of a build's log: to disk with masking, from a real step, and to 100 followers of whom some stall.

    python benchmarks/log_throughput.py [--lines 1000000] [--followers 100]

The writer alone beside `file.write` of the same bytes; then a real server whose build's step prints lines, first
unwatched, then with followers over HTTP in a process of their own (a tenth of them opens the stream and never
reads on), with the server's memory before and at its highest.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import Headgate

from headgate.builds.logs import Logs
from headgate.credentials.redaction import Redactor
from results import Beside, Figure, program

PIECE = 65_536
LINE = b"2026-01-01T00:00:00Z compiling module %07d of the long and winding program\n"
SECRETS = [f"secret-number-{n}-of-many" for n in range(20)]

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
jobs:
  talk:
    source: {{connection: hub, repository: acme/web, checkout: none}}
    triggers: {{manual: {{}}}}
    run:
      credentials: {{KEY: secret://env/HOOK}}
      steps: [{{name: talk, run: "while [ ! -e {go} ]; do sleep 0.02; done; cat {text}"}}]
"""


def measure(lines: int = 1_000_000, watched: int = 50_000, followers: int = 100) -> list[Figure]:
    """`watched`: lines that the step with followers prints."""
    data = b"".join(LINE % number for number in range(lines))
    bare = written(data, None)
    masked, plain = written(data, SECRETS), written(data, [])
    figures = [
        Figure(
            name="log lines to disk, 20 secrets masked", value=lines / masked, unit="lines/s", better="higher",
            beside=(
                Beside(name="the same bytes, plain `write`", value=lines / bare),
                Beside(name="without secrets", value=lines / plain, kind="size"),
            ),
        )
    ]  # fmt: skip
    alone = asyncio.run(step(lines // 2, 0))
    crowd = asyncio.run(step(watched, followers))
    few = asyncio.run(step(watched, 1))
    growth = crowd["memory"] - few["memory"]
    return [
        *figures,
        Figure(
            name="log lines of a real step to disk", value=lines // 2 / alone["seconds"], unit="lines/s", better="higher",
            beside=(Beside(name="the writer alone", value=lines / masked),),
        ),
        Figure(
            name=f"log lines of a real step, told to {followers} followers", value=watched / crowd["seconds"],
            unit="lines/s", better="higher", target=2_000,
            beside=(Beside(name="to one follower", value=watched / few["seconds"], kind="size"),),
            note=f"{crowd['told'] / crowd['seconds']:,.0f} lines/s in all; a tenth of the followers never read on",
        ),
        Figure(
            name=f"memory that {followers} followers of {watched:,} lines cost at most", value=growth / 1e6, unit="MB",
            better="lower", target=50, note="PSS of the server beside the same with one follower; a tenth stalls",
        ),
    ]  # fmt: skip


def written(data: bytes, secrets: list[str] | None) -> float:
    """Seconds to write `data` as a log; without our writer when `secrets` is `None`."""

    async def write(root: Path) -> float:
        if secrets is None:
            began = time.perf_counter()
            with (root / "plain").open("wb", buffering=0) as file:
                for at in range(0, len(data), PIECE):
                    file.write(data[at : at + PIECE])
            return time.perf_counter() - began
        writer = Logs(root).writer("b_1", redactor=Redactor().scoped(secrets), limit=10**9)
        began = time.perf_counter()
        for at in range(0, len(data), PIECE):
            writer.write(1, data[at : at + PIECE])
        writer.close()
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(write(Path(name)))


async def step(lines: int, followers: int) -> dict[str, float]:
    """Seconds from the step's first line until its last is on disk and told to every follower who reads."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text, go = folder / "text", folder / "go"
        text.write_bytes(b"".join(LINE % number for number in range(lines)))
        headgate = Headgate(folder / "headgate", CONFIG, JOB.format(go=go, text=text))
        try:
            await headgate.start()
            assert headgate.process is not None
            socket = str(headgate.folder / "data" / "headgate.sock")
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=socket)) as local:
                async with local.post("http://localhost/api/v1/jobs/talk/builds", json={}) as answer:
                    build = (await answer.json())["id"]
                log = headgate.folder / "data" / "logs" / f"{build}.log"
                while not log.exists():
                    await asyncio.sleep(0.01)
                ours, theirs = multiprocessing.get_context("spawn").Pipe()
                crowd = multiprocessing.get_context("spawn").Process(
                    target=follow_all, args=(socket, build, followers, lines, theirs), daemon=True
                )
                crowd.start()
                ours.recv()  # all of them have begun
                memory = pss(headgate.process.pid)
                began = time.perf_counter()
                go.touch()
                done = asyncio.create_task(asyncio.to_thread(ours.recv))
                while not done.done():
                    memory = max(memory, pss(headgate.process.pid))
                    await asyncio.sleep(0.05)
                while True:
                    async with local.get(f"http://localhost/api/v1/builds/{build}") as answer:
                        if (await answer.json())["state"] == "finished":
                            break
                    await asyncio.sleep(0.01)
                seconds = (done.result() if followers else time.perf_counter()) - began
                crowd.kill()
                crowd.join()
            told = len(log.read_bytes().splitlines())
            assert told >= lines, f"{told} lines of {lines} on disk"
            return {"seconds": seconds, "memory": memory, "told": lines * (followers - followers // 10)}
        finally:
            headgate.close()


def follow_all(socket: str, build: str, followers: int, lines: int, ready) -> None:
    """In a process of its own: follow until each who reads has seen every line; every tenth reads nothing more."""
    import uvloop

    stalled = followers // 10

    async def one(number: int, begun: asyncio.Semaphore) -> None:
        reader, writer = await asyncio.open_unix_connection(socket, limit=2**16)
        writer.write(f"GET /api/v1/builds/{build}/log/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"retry:")
        begun.release()
        if number < stalled:
            writer.transport.pause_reading()
            await asyncio.sleep(3600)
        seen, tail = 0, b""
        while seen < lines:
            piece = await reader.read(2**18)
            assert piece, f"the stream ended after {seen} of {lines} lines"
            seen += (tail + piece).count(b'"step":1,')
            tail = piece[-8:]

    async def everybody() -> None:
        begun = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(one(number, begun)) for number in range(followers)]
        for _ in tasks:
            await begun.acquire()
        ready.send("begun")
        await asyncio.gather(*tasks[stalled:])
        ready.send(time.perf_counter())

    uvloop.run(everybody())


def pss(pid: int) -> int:
    """Bytes of memory, what is shared counted by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no Pss")


if __name__ == "__main__":
    sys.exit(program(measure))
