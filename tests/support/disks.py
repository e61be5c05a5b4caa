"""Disks that fail: system calls of a running server that strace answers with an error, and small disks that fill up.

A small disk is a tmpfs in a mount namespace of the server's own, which ends with it: nothing stays mounted, and an
ordinary user may have one where user namespaces are allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from live import PROGRAM, Headgate, github_headers, github_push
from needs import missing, need

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 2}
logs: {level: info}
"""

JOBS = """
jobs:
  count:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: one, run: "true"}]}
"""


class Pushes:
    """Pushes to new branches, posted one after another. `acknowledged`: the commits that were answered 2xx."""

    def __init__(self, headgate: Headgate, *, seed: int, padding: int = 0) -> None:
        """`padding`: bytes that each body is longer than it needs to be."""
        self._headgate = headgate
        self._random = random.Random(seed)
        self._padding = padding
        self.acknowledged: list[str] = []

    async def post(self) -> tuple[int, dict[str, str]]:
        """One: the status and headers of the answer; status 0 when there was none."""
        sha = f"{self._random.getrandbits(160):040x}"
        body = github_push("acme/web", f"refs/heads/b{sha[:12]}", None, sha)
        # Not compressible, and no part of what is read of a push.
        body = body[:-1] + f', "padding": "{self._random.randbytes(self._padding // 2).hex()}"}}'.encode()
        return await self.send(sha, body)

    async def send(self, sha: str, body: bytes) -> tuple[int, dict[str, str]]:
        url = f"{self._headgate.url}/webhooks/hub"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
                http.post(url, data=body, headers=github_headers(body)) as answer,
            ):
                if answer.ok:
                    self.acknowledged.append(sha)
                return answer.status, dict(answer.headers)
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}


async def health(headgate: Headgate) -> dict[str, str]:
    """What is wrong, by component, as a local admin sees it."""
    connector = aiohttp.UnixConnector(str(headgate.folder / "data" / "headgate.sock"))
    async with aiohttp.ClientSession(connector=connector) as http, http.get("http://local/api/v1/health") as answer:
        report: dict[str, Any] = await answer.json()
    return {part["name"]: part["reason"] for part in report["components"] if part["status"] != "ok"}


async def until_health(headgate: Headgate, component: str, *, says: str, within: float = 20.0) -> None:
    """Wait until a component's reason has these words; with no words, until nothing is wrong with it."""
    deadline = time.monotonic() + within
    while True:
        reason = (await health(headgate)).get(component, "")
        if says in reason if says else not reason:
            return
        assert time.monotonic() < deadline, f"{component}: {reason!r}, not {says!r}"
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def failing(headgate: Headgate, calls: str, *, error: str, of: Path, when: str = "1+") -> AsyncIterator[None]:
    """Within it, `calls` of the running server on the file `of` fail with `error`: the `when`th of each thread."""
    assert headgate.process is not None
    strace = need("strace")
    tracer = subprocess.Popen(
        [
            *(strace, "-f", "-p", str(headgate.process.pid), "-P", str(of), "-o", os.devnull),
            *("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    try:
        first = await asyncio.to_thread(tracer.stderr.readline)
        if b"attached" not in first:
            missing(f"strace cannot trace here ({first.decode().strip()})")
        yield
    finally:
        tracer.terminate()
        await asyncio.to_thread(tracer.wait, 10)
        tracer.stderr.close()


def on_small_disk(folder: Path, *, size: str) -> tuple[str, ...]:
    """The program of a `Headgate` for whom `folder` is a disk of that size; skips the test where that is not allowed."""
    unshare = need("unshare")
    folder.mkdir(parents=True, exist_ok=True)
    for more in ((), ("--user", "--map-root-user")):
        argv = (unshare, *more, "--mount", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', folder)
        program = tuple(str(one) for one in argv)
        if subprocess.run([*program, "true"], capture_output=True, check=False).returncode == 0:
            return (*program, PROGRAM)
    return missing("this user may mount nothing, not even in a namespace of its own")


class Filler:
    """A file that takes all the room a server's small disk has left."""

    def __init__(self, headgate: Headgate, folder: Path) -> None:
        assert headgate.process is not None
        self._path = Path(f"/proc/{headgate.process.pid}/root{folder}/filler")

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with self._path.open("ab", buffering=0) as file:
            for size in (65_536, 4_096, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def remove(self) -> None:
        """Give it back."""
        self._path.unlink()


async def exit_code(headgate: Headgate, *, within: float) -> int:
    """How the server ended by itself."""
    assert headgate.process is not None
    return await asyncio.to_thread(headgate.process.wait, within)


def last_line(headgate: Headgate) -> str:
    """What the server said last."""
    return headgate.output.read_text().strip().splitlines()[-1]


async def built(headgate: Headgate, shas: Sequence[str], *, within: float = 30.0) -> dict[str, int]:
    """How often each commit was built, once all of `shas` are, or the time is over."""
    deadline = time.monotonic() + within
    while True:
        counts: dict[str, int] = {}
        for build in await headgate.builds():
            if build["state"] == "finished":
                counts[build["sha"]] = counts.get(build["sha"], 0) + 1
        if set(shas) <= set(counts) or time.monotonic() > deadline:
            return counts
        await asyncio.sleep(0.1)
