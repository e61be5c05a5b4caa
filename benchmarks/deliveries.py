"""Signed pushes into a real server: acknowledged a second, judged and queued a second, beside the bare durable limit.

The bare limit is an aiohttp handler that checks the HMAC, parses the JSON and commits (id, body) to SQLite in groups
with `synchronous=FULL` before it answers; it has no limits, headers, dedupe, reading, ids, metrics or problems. Both are
one server process each, loaded in turn by one other process with keep-alive connections and pushes that all differ,
every 2xx durable before it is sent. Headgate is `headgate serve` as an admin starts it, with a job for each of 100
repositories; what follows from a push (event, move, decision, queued build) is committed behind the answers. Beside
the rates stands what each delivery costs of processor, which does not suffer from a busy neighbour.

    python benchmarks/deliveries.py [--seconds 6] [--rounds 3]
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import multiprocessing
import os
import queue
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

from results import Beside, Figure, program

REPOSITORIES = 100
MOST = 15_000
"""Deliveries a second that no server here reaches."""

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
        """Milliseconds."""
        return statistics.median(self.latencies) * 1000

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return statistics.quantiles(self.latencies, n=100)[98] * 1000


class Pushes:
    """Whole HTTP requests, made before the clock starts: the load must not be the bottleneck."""

    def __init__(self, seconds: float) -> None:
        """Enough for a server that takes `MOST` a second."""
        started, count = os.urandom(4).hex(), int(MOST * seconds)
        self._made = [_request(f"{started}{number:032x}", number) for number in range(count)]
        self._next = iter(self._made)

    def take(self) -> bytes:
        """The next one, which nobody had."""
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


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server of ours."""

    port: int
    pid: int
    folder: Path


@contextmanager
def headgate(folder: Path) -> Iterator[Served]:
    jobs = "jobs:" + "".join(JOB.format(number=number) for number in range(REPOSITORIES))
    server = Headgate(folder, CONFIG, jobs)
    asyncio.run(server.start())
    try:
        yield Served(port=server.port, pid=server.process.pid, folder=folder)
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
        json.loads(body)
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


def judged(server: Served) -> tuple[int, int, int]:
    """How many deliveries are settled, decisions kept, builds queued: read from the file itself."""
    with closing(sqlite3.connect(f"file:{server.folder}/data/headgate.db?mode=ro", uri=True)) as database:
        one = "(SELECT count(*) FROM {})"
        counts = (one.format(of) for of in ("deliveries WHERE state <> 'recorded'", "decisions", "builds"))
        return database.execute(f"SELECT {', '.join(counts)}").fetchone()


def wait_until_judged(server: Served, count: int, *, within: float) -> float:
    """The moment at which all `count` deliveries were settled."""
    deadline = time.perf_counter() + within
    while judged(server)[0] < count:
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {judged(server)} of {count} judged in {within:g} s")
        time.sleep(0.05)
    return time.perf_counter()


def measure(seconds: float = 6.0, rounds: int = 3) -> list[Figure]:
    """Rounds of bare and ours in turn; medians."""
    figures = []
    best = 0.0
    for concurrency in (1, 32, 256):
        found = [_round(concurrency, seconds) for _ in range(rounds)]
        ours, bare = (_median([one[kind] for one in found]) for kind in (0, 1))
        best = max(best, ours.rate)
        at = f"{concurrency} at once"
        figures += [
            Figure(
                name=f"acknowledged deliveries, {at}",
                value=ours.rate,
                unit="/s",
                better="higher",
                beside=(Beside(name="bare durable handler", value=bare.rate, target=0.7 if concurrency > 1 else None),),
                series="acknowledged deliveries",
                axis="at once",
                at=concurrency,
            ),
            _latency(f"answer p50, {at}", ours.p50, bare.p50),
            _latency(f"answer p99, {at}", ours.p99, bare.p99),
            Figure(
                name=f"processor of a delivery, {at}",
                value=ours.cost * 1e6,
                unit="µs",
                better="lower",
                beside=(Beside(name="bare durable handler", value=bare.cost * 1e6),),
                note="what was routed meanwhile included",
            ),
        ]
    return [*figures, *_half(best, seconds), *_sustained(seconds)]


def _round(concurrency: int, seconds: float) -> tuple[Load, Load]:
    with tempfile.TemporaryDirectory() as folder, headgate(Path(folder)) as server:
        ours = measured(server.pid, flood(server.port, Pushes(seconds), concurrency, seconds))
    with tempfile.TemporaryDirectory() as folder, bare(Path(folder)) as (port, pid):
        return ours, measured(pid, flood(port, Pushes(seconds), concurrency, seconds))


def _median(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda one: one.rate)[len(loads) // 2]


def _latency(name: str, ours: float, bare: float) -> Figure:
    return Figure(
        name=name, value=ours, unit="ms", better="lower", beside=(Beside(name="bare durable handler", value=bare),)
    )


def _half(rate: float, seconds: float) -> list[Figure]:
    """The answers' times at half the highest rate, while everything is routed."""
    with tempfile.TemporaryDirectory() as folder, headgate(Path(folder)) as server:
        load = measured(server.pid, steady(server.port, Pushes(seconds), rate / 2, seconds))
        left = len(load.latencies) - judged(server)[0]
    return [
        Figure(name="answer p50 at half that rate", value=load.p50, unit="ms", better="lower"),
        Figure(
            name="answer p99 at half that rate",
            value=load.p99,
            unit="ms",
            better="lower",
            target=50.0,
            note=f"{load.rate:.0f}/s; {left} of {len(load.latencies)} still to be judged at the end",
        ),
    ]


def _sustained(seconds: float) -> list[Figure]:
    """From the first request until the last decision and build are on disk."""
    with tempfile.TemporaryDirectory() as folder, headgate(Path(folder)) as server:
        began = time.perf_counter()
        load = measured(server.pid, flood(server.port, Pushes(seconds), 256, seconds))
        count = len(load.latencies)
        behind = count - judged(server)[0]
        stopped = time.perf_counter()
        ended = wait_until_judged(server, count, within=120.0)
        settled, decisions, builds = judged(server)
    if not count == settled == decisions == builds:
        raise SystemExit(f"{count} acknowledged, {settled} settled, {decisions} decisions, {builds} builds")
    return [
        Figure(
            name="deliveries to kept decisions and queued builds",
            value=count / (ended - began),
            unit="/s",
            better="higher",
            target=1_500.0,
            note=f"{count} deliveries from 256 at once, one job each; {behind} were left when the senders stopped",
        ),
        Figure(
            name="backlog to kept decisions and queued builds",
            value=behind / (ended - stopped),
            unit="/s",
            better="higher",
            note="after the senders stopped",
        ),
    ]


if __name__ == "__main__":
    sys.exit(program(measure))
