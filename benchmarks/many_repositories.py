"""A git server that stands for any number of repositories: protocol v2's `ls-refs` over HTTP, answered from memory.

Every path that ends in `.git` is a repository with the same heads, but for those that were moved. A real git behind
each request would cost thirty times what a poll does and hide it; `check` shows that git itself cannot tell the two
apart. It is no server for anything but questions for refs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

ADVERTISEMENT = (
    b"001e# service=git-upload-pack\n0000000eversion 2\n000eagent=git\n0013ls-refs=unborn\n0017object-format=sha1\n0000"
)
HEAD = b"HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nContent-Type: application/x-git-upload-pack-%s\r\nContent-Length: %d\r\n\r\n"
BRANCHES = 20
MAIN = b"refs/heads/main"


class Repositories(asyncio.Protocol):
    """One connection; what it counts is the process's."""

    seen: ClassVar = {"advertisements": 0, "questions": 0, "received": 0, "sent": 0, "connections": 0}
    seconds: ClassVar[dict[int, int]] = {}
    heads: ClassVar[dict[bytes, bytes]] = {}
    moved: ClassVar[dict[bytes, bytes]] = {}

    def connection_made(self, transport):
        """Somebody came."""
        self.transport, self.buffer = transport, b""
        self.seen["connections"] += 1

    def data_received(self, data):
        """Answer every request that is whole."""
        self.buffer += data
        while (request := self.take()) is not None:
            self.answer(*request)

    def take(self):
        """The next whole request: its path and body."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.buffer[:end]
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        total = end + 4 + length
        if len(self.buffer) < total:
            return None
        body, self.buffer = self.buffer[end + 4 : total], self.buffer[total:]
        path = head.split(b" ", 2)[1]
        if not path.startswith(b"/-/"):
            self.seen["received"] += total
        return path, body

    def answer(self, path, body):
        """Count it, and answer."""
        if path.startswith(b"/-/"):
            self.told(path, body)
            return
        second = int(time.monotonic())
        self.seconds[second] = self.seconds.get(second, 0) + 1
        if path.endswith(b"/info/refs?service=git-upload-pack"):
            self.seen["advertisements"] += 1
            self.write(b"advertisement", ADVERTISEMENT)
        elif path.endswith(b"/git-upload-pack"):
            self.seen["questions"] += 1
            self.write(b"result", self.list_refs(path[: -len(b"/git-upload-pack")], body))
        else:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def list_refs(self, repository, body):
        """The answer to one `ls-refs`; https://git-scm.com/docs/protocol-v2."""
        lines = body.split(b"\n")
        prefixes = tuple(line.partition(b"ref-prefix ")[2] for line in lines if b"ref-prefix " in line)
        heads = self.heads | ({MAIN: self.moved[repository]} if repository in self.moved else {})
        told = []
        if not prefixes or b"HEAD".startswith(prefixes):
            told.append(heads[MAIN] + b" HEAD symref-target:" + MAIN + b"\n")
        told += [sha + b" " + name + b"\n" for name, sha in heads.items() if not prefixes or name.startswith(prefixes)]
        return b"".join(b"%04x%s" % (len(line) + 4, line) for line in told) + b"0000"

    def told(self, path, body):
        """Not git's: what was counted so far, and which heads move."""
        if path == b"/-/move":
            for repository, sha in json.loads(body).items():
                self.moved[repository.encode()] = sha.encode()
        answer = json.dumps({**self.seen, "peak": max(self.seconds.values(), default=0)}).encode()
        if path == b"/-/forget":
            self.seen.update(dict.fromkeys(self.seen, 0))
            self.seconds.clear()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    def write(self, kind, body):
        """Send and count; `kind` is `advertisement` or `result`."""
        whole = HEAD % (kind, len(body)) + body
        self.seen["sent"] += len(whole)
        self.transport.write(whole)


@contextlib.contextmanager
def many_repositories(folder: Path) -> Iterator[str]:
    """The server in a process of its own, while the context lasts; gives its address. `folder`: for the real one."""
    folder.mkdir()
    run_git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    tree = run_git(folder, "mktree")
    sha = run_git(folder, "commit-tree", "-m", "One", tree)
    for name in ("main", *(f"feature/{number}" for number in range(BRANCHES))):
        run_git(folder, "update-ref", f"refs/heads/{name}", sha)
    listed = run_git(folder, "for-each-ref", "--format=%(refname) %(objectname)").split()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(listed, theirs), daemon=True)
    process.start()
    try:
        address = f"http://127.0.0.1:{ours.recv()}"
        check(address, folder)
        yield address
    finally:
        process.kill()
        process.join()


def check(address: str, folder: Path) -> None:
    """Git sees here what it sees in the real repository, by its own protocol and not by an older one."""
    for words in (["HEAD", "refs/heads/main"], []):
        real, ours = (
            run_git(folder, "-c", "protocol.version=2", "ls-remote", "--symref", url, *words)
            for url in (str(folder), f"{address}/any.git")
        )
        if real != ours:
            raise SystemExit(f"git sees {ours!r} here, and {real!r} in a real repository")


def counted(address: str, *, forget: bool = False) -> dict[str, int]:
    """What was asked since the last `forget`; `peak` is the most requests within one second, bytes are with headers."""
    with urllib.request.urlopen(f"{address}/-/{'forget' if forget else 'counted'}") as answer:
        return json.load(answer)


def move(address: str, heads: dict[str, str]) -> None:
    """Move `main` of some repositories: path with its slash → sha."""
    urllib.request.urlopen(f"{address}/-/move", json.dumps(heads).encode()).close()


def run_git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {
        f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True, env=environment
    )
    return done.stdout.decode().strip()


def _serve(listed: list[str], ready) -> None:
    import uvloop

    Repositories.heads = {name.encode(): sha.encode() for name, sha in zip(listed[::2], listed[1::2], strict=True)}

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Repositories, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
