"""Acknowledged webhooks a second, beside a bare handler that does the least that makes a 202 true.

Both run in the same way, one after the other: one server process with one event loop, one process that loads it
with keep-alive connections, signed GitHub pushes that are all different, every 2xx durable before it is sent. The
bare handler reads the body, checks the HMAC and commits (id, body) to SQLite in groups with `synchronous=FULL`; it
has no limits, headers, dedupe, parsing, ids, metrics or problems.

    python benchmarks/webhook_throughput.py [--seconds 10] [--connections 128] [--rounds 3] [--padding 0]
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

SECRET = "It's a Secret to Everybody"


async def headgate_server(folder: Path, ready) -> None:
    from web_server import running_server

    async with running_server(folder) as server:
        server.parts.received = Forgetful()
        ready.send(server.port)
        await asyncio.Event().wait()


class Forgetful(list):
    """Stands for the flow: takes what is handed on and keeps nothing."""

    def append(self, _):
        """Nothing."""


async def bare_server(folder: Path, ready) -> None:
    from aiohttp import web

    waiting: queue.SimpleQueue = queue.SimpleQueue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=commit_groups, args=(folder / "bare.db", waiting, loop), daemon=True).start()

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


def commit_groups(file: Path, waiting: queue.SimpleQueue, loop: asyncio.AbstractEventLoop) -> None:
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
        loop.call_soon_threadsafe(answer, [done for _, _, done in group])


def answer(futures) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def serve(kind: str, folder: str, ready) -> None:
    import uvloop

    run = {"headgate": headgate_server, "bare": bare_server}[kind]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(Path(folder), ready))


def requests_for(worker: int, count: int, padding: int) -> list[bytes]:
    """Whole HTTP requests, made before the clock starts: the load must not be the bottleneck."""
    from web_server import github_headers, push_body

    made = []
    more = {"padding": "x" * padding} if padding else {}
    for number in range(count):
        body = push_body(after=f"{worker:08x}{number:032x}", **more)
        headers = github_headers(body, delivery=f"{worker}-{number}")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST /webhooks/acme HTTP/1.1", "Host: ci", f"Content-Length: {len(body)}", *lines])
        made.append(head.encode() + b"\r\n\r\n" + body)
    return made


async def load(port: int, prepared: list[bytes], deadline: float, latencies: list[float]) -> int:
    """One connection, one request at a time; gives how many were acknowledged."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    acknowledged = 0
    for request in prepared:
        began = time.perf_counter()
        if began > deadline:
            break
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if length:
            await reader.readexactly(length)
        if status != 202:
            raise SystemExit(f"answered {status}")
        acknowledged += 1
        latencies.append(time.perf_counter() - began)
    else:
        raise SystemExit("the prepared requests ran out; the figure would be too low")
    writer.close()
    return acknowledged


async def measure(port: int, connections: int, seconds: float, prepared: list[list[bytes]]):
    latencies: list[float] = []
    began = time.perf_counter()
    deadline = began + seconds
    counts = await asyncio.gather(*(load(port, prepared[worker], deadline, latencies) for worker in range(connections)))
    return sum(counts) / (time.perf_counter() - began), latencies


def round_of(kind: str, connections: int, seconds: float, prepared: list[list[bytes]]):
    import uvloop

    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, folder, theirs))
        process.start()
        try:
            port = ours.recv()
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
            before = cpu_seconds(process.pid)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rate, latencies = runner.run(measure(port, connections, seconds, prepared))
            return rate, latencies, (cpu_seconds(process.pid) - before) / len(latencies)
        finally:
            process.kill()
            process.join()


def cpu_seconds(pid: int) -> float:
    """What the server has used of all processors; unlike the rate, it does not suffer from a busy neighbour."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--connections", type=int, default=128)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--padding", type=int, default=0, help="bytes added to each body")
    given = arguments.parse_args()
    each = int(given.seconds * 15_000 / given.connections)
    prepared = [requests_for(worker, each, given.padding) for worker in range(given.connections)]
    print(f"{len(prepared[0][0])} bytes a request, {given.connections} connections, {given.seconds:g} s a round")
    rates: dict[str, list[float]] = {"bare": [], "headgate": []}
    costs: dict[str, list[float]] = {"bare": [], "headgate": []}
    for number in range(given.rounds):
        for kind, found in rates.items():
            rate, latencies, cost = round_of(kind, given.connections, given.seconds, prepared)
            found.append(rate)
            costs[kind].append(cost)
            p50, p99 = statistics.median(latencies) * 1000, statistics.quantiles(latencies, n=100)[98] * 1000
            print(
                f"round {number + 1} {kind:<9} {rate:6.0f} acknowledged/s  p50 {p50:5.1f} ms  p99 {p99:5.1f} ms  "
                f"{cost * 1e6:4.0f} µs of processor each"
            )
    bare, ours = statistics.median(rates["bare"]), statistics.median(rates["headgate"])
    cheap, dear = statistics.median(costs["bare"]), statistics.median(costs["headgate"])
    print(f"median: bare {bare:.0f}/s, headgate {ours:.0f}/s = {ours / bare:.0%} of bare")
    print(f"processor: bare {cheap * 1e6:.0f} µs, headgate {dear * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
