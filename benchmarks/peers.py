"""The same pushes into Headgate, Buildbot and adnanh/webhook: acknowledged, built, and still built after `kill -9`.

All three are real servers on loopback with GitHub's signed pushes, the same client, and a build that is one `true`.
Buildbot: master and one worker with two builds at once, its `github` change hook, no collapsing of requests.
adnanh/webhook has no queue and keeps nothing: it starts the command at once, and what a kill loses is not in doubt.
Measured one after another, idle ones stopped. A peer that cannot be installed has no figures and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from results import Beside, Figure, program

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import SECRET, Headgate, free_port, github_headers, github_push

BUILDBOT = Path(__file__).parents[1] / ".venv-buildbot" / "bin"
CONCURRENCY = 32
QUIET_SECONDS = 15.0
BUILDING_SECONDS = 40.0

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
logs: {level: warning}
"""

JOBS = """
jobs:
  trivial:
    source: {connection: hub, repository: acme/trivial, checkout: none}
    triggers: {push: {}}
    run: {retries: 1, steps: [{name: nothing, run: "true"}]}
"""

MASTER = """
from buildbot.plugins import changes, schedulers, steps, util, worker
c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("w", "secret", max_builds=2)]
c["protocols"] = {"pb": {"port": "tcp:WORKER:interface=127.0.0.1"}}
c["change_source"] = []
c["schedulers"] = [schedulers.AnyBranchScheduler(name="all", treeStableTimer=None, builderNames=["trivial"])]
c["builders"] = [util.BuilderConfig(
    name="trivial", workernames=["w"], collapseRequests=False,
    factory=util.BuildFactory([steps.ShellCommand(command=["true"])]))]
c["www"] = {"port": "tcp:PORT:interface=127.0.0.1",
            "change_hook_dialects": {"github": {"secret": "SECRET", "strict": True}}}
c["db"] = {"db_url": "sqlite:///state.sqlite"}
c["buildbotNetUsageData"] = None
"""


class Peer(ABC):
    """One server; `count` says how many builds it has finished."""

    path: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @abstractmethod
    async def start(self) -> None:
        """Until it answers."""

    @abstractmethod
    async def kill(self) -> None:
        """SIGKILL, also for what it started."""

    @abstractmethod
    def count(self) -> int:
        """Builds finished."""


class Ours(Peer):
    """Headgate as `headgate serve`."""

    path = "/webhooks/hub"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = Headgate(folder, CONFIG, JOBS)
        self.port = self.server.port

    async def start(self) -> None:
        """Until it answers."""
        await self.server.start()

    async def kill(self) -> None:
        """SIGKILL."""
        await self.server.kill()

    def count(self) -> int:
        """Builds finished."""
        return _count(self.folder / "data" / "headgate.db", "SELECT count(*) FROM builds WHERE outcome = 'succeeded'")


class Buildbot(Peer):
    """A master and a worker, each a process of its own."""

    path = "/change_hook/github"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        worker = free_port()
        self.master, self.worker = folder / "master", folder / "worker"
        subprocess.run([BUILDBOT / "buildbot", "create-master", self.master], check=True, capture_output=True)
        text = MASTER.replace("WORKER", str(worker)).replace("PORT", str(self.port)).replace("SECRET", SECRET)
        (self.master / "master.cfg").write_text(text)
        command = [BUILDBOT / "buildbot-worker", "create-worker", "--maxdelay=1", self.worker, f"127.0.0.1:{worker}"]
        subprocess.run([*command, "w", "secret"], check=True, capture_output=True)
        self.processes: list[subprocess.Popen] = []

    async def start(self) -> None:
        """Until it answers."""
        for program_, place in (("buildbot", self.master), ("buildbot-worker", self.worker)):
            (place / "twistd.pid").unlink(missing_ok=True)
            command = [BUILDBOT / program_, "start", "--nodaemon", place]
            self.processes.append(_spawn(command, place / "out.txt"))
        await _until(lambda: "attached" in _tail(self.master / "twistd.log"), 60)
        await _answers(self.port)

    async def kill(self) -> None:
        """SIGKILL."""
        for process in self.processes:
            _kill(process)
        self.processes = []
        if (log := self.master / "twistd.log").exists():
            log.unlink()

    def count(self) -> int:
        """Builds finished."""
        query = "SELECT count(DISTINCT buildrequestid) FROM builds WHERE results = 0"
        return _count(self.master / "state.sqlite", query)


class Webhook(Peer):
    """adnanh/webhook: a command for each request, nothing kept."""

    path = "/hooks/push"

    async def start(self) -> None:
        """Until it answers."""
        self.told = self.folder / "told"
        self.told.touch()
        rule = {"type": "payload-hmac-sha256", "secret": SECRET}
        rule["parameter"] = {"source": "header", "name": "X-Hub-Signature-256"}
        script = self.folder / "build.sh"
        script.write_text(f"#!/bin/sh\ntrue\necho >> {self.told}\n")
        script.chmod(0o755)
        hook = {"id": "push", "execute-command": str(script), "trigger-rule": {"match": rule}}
        (self.folder / "hooks.json").write_text(json.dumps([hook]))
        command = ["webhook", "-hooks", self.folder / "hooks.json", "-ip", "127.0.0.1", "-port", str(self.port)]
        self.process = _spawn(command, self.folder / "out.txt")
        await _answers(self.port)

    async def kill(self) -> None:
        """SIGKILL."""
        _kill(self.process)

    def count(self) -> int:
        """Builds finished."""
        return self.told.stat().st_size


def measure(seconds: float = 4.0, latencies: int = 12, builds: int = 100, killed: int = 150) -> list[Figure]:
    """`seconds` of acknowledging, `latencies` pushes one by one, `builds` queued at once, `killed` pushes cut short."""
    found: dict[str, dict[str, float]] = {}
    missing: dict[str, str] = {}
    for name, kind in (("headgate", Ours), ("Buildbot", Buildbot), ("adnanh/webhook", Webhook)):
        if (name == "Buildbot" and not (BUILDBOT / "buildbot").exists()) or (
            name == "adnanh/webhook" and shutil.which("webhook") is None
        ):
            missing[name] = "not installed"
        else:
            found[name] = asyncio.run(_measure(kind, seconds, latencies, builds, killed))
            print(name, {key: round(value, 3) for key, value in found[name].items()}, flush=True)
    forms = (
        ("webhooks acknowledged, 32 at once", "rate", "/s", "higher"),
        ("webhook to finished build, p50", "latency", "ms", "lower"),
        ("trivial builds, many queued", "builds", "builds/s", "higher"),
        ("acknowledged pushes never built after kill -9", "lost", "%", "lower"),
    )
    return [
        Figure(
            name=name,
            value=found["headgate"][key],
            unit=unit,
            better=better,
            target=0.0 if key == "lost" else None,
            beside=tuple(_beside(peer, found, missing, key) for peer in ("Buildbot", "adnanh/webhook")),
        )
        for name, key, unit, better in forms
    ]


def _beside(peer: str, found: dict[str, dict[str, float]], missing: dict[str, str], key: str) -> Beside:
    note = missing.get(peer, "")
    if peer == "adnanh/webhook" and not note:
        note = {"rate": "keeps nothing", "builds": "no queue: all at once", "lost": "it has no queue to lose"}.get(
            key, ""
        )
    return Beside(name=peer, value=found.get(peer, {}).get(key), kind="peer", note=note)


async def _measure(kind: type[Peer], seconds: float, latencies: int, builds: int, killed: int) -> dict[str, float]:
    figures = {}
    async with _serving(kind) as peer:
        took = []
        for number in range(latencies):
            before, began = peer.count(), time.perf_counter()
            await _load(peer, [_push(number)], 1)
            await _until(lambda before=before: peer.count() > before, 30)
            took.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(0.1)
        figures["latency"] = statistics.median(took[2:])
        before, began = peer.count(), time.perf_counter()
        await _load(peer, [_push(1_000 + number) for number in range(builds)], CONCURRENCY)
        with contextlib.suppress(TimeoutError):  # the rate of as many as there were
            await _until(lambda: peer.count() >= before + builds, BUILDING_SECONDS)
        figures["builds"] = (peer.count() - before) / (time.perf_counter() - began)
    async with _serving(kind) as peer:
        pushes = [_push(number) for number in range(int(6_000 * seconds))]
        began = time.perf_counter()
        figures["rate"] = await _load(peer, pushes, CONCURRENCY, until=began + seconds) / (time.perf_counter() - began)
    if kind is not Webhook:
        async with _serving(kind) as peer:
            await _load(peer, [_push(number) for number in range(killed)], CONCURRENCY)
            await peer.kill()
            await peer.start()
            figures["lost"] = 100 * (killed - await _settled(peer, killed)) / killed
    return figures


async def _settled(peer: Peer, most: int) -> int:
    """How many were built in the end: all, or nothing more for a while."""
    count, since = peer.count(), time.monotonic()
    while count < most and time.monotonic() - since < QUIET_SECONDS:
        await asyncio.sleep(0.2)
        if (now := peer.count()) != count:
            count, since = now, time.monotonic()
    return count


@contextlib.asynccontextmanager
async def _serving(kind: type[Peer]):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        peer = kind(Path(folder))
        try:
            await peer.start()
            yield peer
        finally:
            await peer.kill()


def _push(number: int) -> bytes:
    body = json.loads(
        github_push("acme/trivial", "refs/heads/main", f"{number:040x}", f"{number + 1:040x}", paths=["a"])
    )
    for commit in (body["head_commit"], *body["commits"]):
        commit |= {"committer": commit["author"], "distinct": True}  # what GitHub says too, and Buildbot reads
    return json.dumps(body).encode()


async def _load(peer: Peer, bodies: Sequence[bytes], connections: int, *, until: float = float("inf")) -> int:
    """Post all, or as many as the time allows, over connections that are kept; how many were acknowledged."""
    requests = []
    for body in bodies:
        # Buildbot knows GitHub's older signature only; GitHub sends both.
        older = {"X-Hub-Signature": f"sha1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (github_headers(body) | older).items())
        head = f"POST {peer.path} HTTP/1.1\r\nHost: ci\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        requests.append(head.encode() + body)
    began, left = time.perf_counter(), iter(requests)
    until = until if until == float("inf") else began + (until - began)

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        count = 0
        with contextlib.closing(writer):
            for request in left:
                if time.perf_counter() > until:
                    break
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                assert head[9:10] == b"2", head
                if b"content-length: " in head:
                    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                elif b"transfer-encoding: chunked" in head:
                    await reader.readuntil(b"0\r\n\r\n")
                count += 1
        return count

    return sum(await asyncio.gather(*(one() for _ in range(connections))))


def _count(file: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchone()[0]


async def _until(true, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def _answers(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.05)


def _tail(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _spawn(command: Sequence[str | Path], output: Path) -> subprocess.Popen:
    with output.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True)


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(program(measure))
