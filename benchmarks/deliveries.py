"""Signed pushes into a real server: acknowledged a second, and judged and queued a second, beside the bare limit.

The bare limit is an aiohttp handler that checks the HMAC and commits (id, body) to SQLite in groups with
`synchronous=FULL` before it answers; it has no limits, headers, dedupe, parsing, ids, metrics or problems. Both are one
server process each, loaded in turn by one other process with keep-alive connections and pushes that all differ, every
2xx durable before it is sent. Headgate is `headgate serve` as an admin starts it, with a job for every repository that
the pushes name; what follows from a push (event, move, decision, queued build) is committed behind the answers.

    python benchmarks/deliveries.py [--seconds 8] [--rounds 2] [--concurrency 1 32 256]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import multiprocessing
import os
import queue
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from live import SECRET, Headgate, github_headers, github_push

REPOSITORIES = 100

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  acme: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
worker: {slots: 0}
logs: {level: warning}
"""

JOB = """
  job-{number}:
    source: {{connection: acme, repository: acme/r{number}}}
    triggers: {{push: {{branches: [main, "b/*"]}}}}
    run: {{steps: [{{name: one, run: "true"}}]}}
"""


@dataclass
class Load:
    """What a loader saw."""

    rate: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cost: float = 0.0
    """Seconds of processor that the server used for each."""

    @property
    def p50(self) -> float:
        return statistics.median(self.latencies) * 1000

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[98] * 1000


class Pushes:
    """Whole HTTP requests, made before the clock starts: the load must not be the bottleneck."""

    def __init__(self, count: int) -> None:
        started = os.urandom(4).hex()
        self._made = [_request(f"{started}{number:032x}", number) for number in range(count)]
        self._next = iter(self._made)

    def take(self) -> bytes:
        try:
            return next(self._next)
        except StopIteration:
            raise SystemExit("the prepared requests ran out; the figure would be too low") from None


def _request(sha: str, number: int) -> bytes:
    repository = f"acme/r{number % REPOSITORIES}"
    body = github_push(repository, f"refs/heads/b/{number}", None, sha, paths=["src/a.py", "docs/b.md"])
    headers = github_headers(body, delivery=f"72d3162e-cc78-11e3-81ab-{number:012d}")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(
        ["POST /webhooks/acme HTTP/1.1", "Host: ci", "User-Agent: GitHub-Hookshot/044aadd", "Accept: */*",
         f"Content-Length: {len(body)}", *lines]
    )  # fmt: skip
    return head.encode() + b"\r\n\r\n" + body


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """One request and its whole answer, which must be 202."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length) if length else b""
    if head[9:12] != b"202":
        raise SystemExit(f"answered {head.decode()}{body.decode()}")


async def flood(port: int, pushes: Pushes, concurrency: int, seconds: float) -> Load:
    """`concurrency` connections, each sending its next request when the last is answered."""
    load = Load()
    began = time.perf_counter()
    deadline = began + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now := time.perf_counter()) < deadline:
            await send(reader, writer, pushes.take())
            load.latencies.append(time.perf_counter() - now)
        writer.close()

    await asyncio.gather(*(one() for _ in range(concurrency)))
    load.rate = len(load.latencies) / (time.perf_counter() - began)
    return load


async def steady(port: int, pushes: Pushes, rate: float, seconds: float, connections: int = 128) -> Load:
    """`rate` requests a second whatever the server does; what waits for a free connection counts as waiting."""
    load = Load()
    due: asyncio.Queue[float | None] = asyncio.Queue()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := await due.get()) is not None:
            await send(reader, writer, pushes.take())
            load.latencies.append(time.perf_counter() - at)
        writer.close()

    senders = [asyncio.create_task(one()) for _ in range(connections)]
    began = time.perf_counter()
    sent = 0
    while (passed := time.perf_counter() - began) < seconds:
        while sent < passed * rate:
            due.put_nowait(began + sent / rate)
            sent += 1
        await asyncio.sleep(0.001)
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    load.rate = len(load.latencies) / (time.perf_counter() - began)
    return load


def run(load) -> Load:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load)


def cpu_seconds(pid: int) -> float:
    """What the server has used of all processors; unlike the rate, it does not suffer from a busy neighbour."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(pid: int, load) -> Load:
    before = cpu_seconds(pid)
    found = run(load)
    found.cost = (cpu_seconds(pid) - before) / max(1, len(found.latencies))
    return found


# The two servers.


@contextmanager
def headgate(folder: Path) -> Iterator[Headgate]:
    jobs = "jobs:" + "".join(JOB.format(number=number) for number in range(REPOSITORIES))
    server = Headgate(folder, CONFIG, jobs)
    asyncio.run(server.start())
    try:
        yield server
    finally:
        server.close()


@contextmanager
def bare(folder: Path) -> Iterator[tuple[int, int]]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve_bare, args=(str(folder), theirs))
    process.start()
    try:
        yield ours.recv(), process.pid
    finally:
        process.kill()
        process.join()


def _serve_bare(folder: str, ready) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_bare(Path(folder), ready))


async def _bare(folder: Path, ready) -> None:
    from aiohttp import web

    waiting: queue.SimpleQueue = queue.SimpleQueue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_commit_groups, args=(folder / "bare.db", waiting, loop), daemon=True).start()

    async def receive(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        given = request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest(given, "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()):
            return web.Response(status=401)
        done = loop.create_future()
        waiting.put((request.headers["X-GitHub-Delivery"], body, done))
        await done
        return web.Response(status=202)

    server = await loop.create_server(web.Server(receive), "127.0.0.1", 0, backlog=1024)
    ready.send(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def _commit_groups(file: Path, waiting: queue.SimpleQueue, loop: asyncio.AbstractEventLoop) -> None:
    """Everything that waits in one transaction; answered after its fsync."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE deliveries (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")
    while True:
        group = [waiting.get()]
        while not waiting.empty() and len(group) < 1024:
            group.append(waiting.get())
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO deliveries VALUES (?, ?)", [(key, body) for key, body, _ in group])
        connection.execute("COMMIT")
        loop.call_soon_threadsafe(_answer, [done for _, _, done in group])


def _answer(futures) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


# What is measured.


def judged(server: Headgate) -> tuple[int, int, int]:
    """How many deliveries are settled, decisions kept, builds queued: read from the file itself."""
    with closing(sqlite3.connect(f"file:{server.folder}/data/headgate.db?mode=ro", uri=True)) as database:
        one = "(SELECT count(*) FROM {})"
        return database.execute(
            "SELECT " + ", ".join(one.format(of) for of in ("deliveries WHERE state <> 'recorded'", "decisions", "builds"))
        ).fetchone()


def wait_until_judged(server: Headgate, count: int, within: float) -> float:
    """The moment at which all `count` deliveries were settled."""
    deadline = time.perf_counter() + within
    while judged(server)[0] < count:
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {judged(server)} of {count} judged in {within:g} s")
        time.sleep(0.05)
    return time.perf_counter()


def say(kind: str, load: Load) -> None:
    print(
        f"{kind:<34} {load.rate:6.0f}/s  p50 {load.p50:6.1f} ms  p99 {load.p99:6.1f} ms  "
        f"{load.cost * 1e6:5.0f} µs of processor each",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 32, 256])
    arguments.add_argument("--only", choices=["bare", "headgate"])
    given = arguments.parse_args()
    for _ in range(given.rounds):
        for concurrency in given.concurrency:
            found = {}
            for kind in ("bare", "headgate"):
                if given.only not in {None, kind}:
                    continue
                pushes = Pushes(int(given.seconds * (14_000 if concurrency > 1 else 5_000)))
                with tempfile.TemporaryDirectory() as folder:
                    if kind == "bare":
                        with bare(Path(folder)) as (port, pid):
                            found[kind] = measured(pid, flood(port, pushes, concurrency, given.seconds))
                            say(f"bare, {concurrency} at once", found[kind])
                        continue
                    with headgate(Path(folder)) as server:
                        began = time.perf_counter()
                        found[kind] = measured(server.process.pid, flood(server.port, pushes, concurrency, given.seconds))
                        say(f"headgate, {concurrency} at once", found[kind])
                        count = len(found[kind].latencies)
                        behind = count - judged(server)[0]
                        before = cpu_seconds(server.process.pid)
                        left = time.perf_counter()
                        ended = wait_until_judged(server, count, 120)
                        print(
                            f"    {behind} of {count} still to be judged at the end, done {ended - left:.2f} s later: "
                            f"{count / (ended - began):.0f}/s to kept decisions, backlog {behind / (ended - left):.0f}/s, {(cpu_seconds(server.process.pid) - before) / max(1, behind) * 1e6:.0f} µs each"
                        )
            if len(found) == 2:
                print(f"    ratio {found['headgate'].rate / found['bare'].rate:.0%}")


if __name__ == "__main__":
    main()
