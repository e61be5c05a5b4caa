"""Bytes and time to learn one head of a repository with 10,001: our narrow question against `git ls-remote`.

Run: python benchmarks/ls_refs.py
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from git_server import GitServer, commit_to, run_git
from git_server import git as blocking_git

from headgate import api
from headgate.git.command import Git
from headgate.git.refs import list_refs

HEADS = 10_000
ROUNDS = 9


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with GitServer(Path(folder) / "hosted") as server:
            bare = server.create("app")
            sha = commit_to(bare, {"a": "1\n"}, "One")
            lines = b"".join(b"create refs/heads/feature/branch-%05d %s\n" % (n, sha.encode()) for n in range(HEADS))
            blocking_git(bare, "update-ref", "--stdin", stdin=lines)
            blocking_git(bare, "pack-refs", "--all")
            git = Git(timeout=60, max_repository_size=10**9, home=Path(folder) / "home")
            source = api.CloneSource(url=server.url("app"))

            async def ours() -> None:
                refs = await list_refs(git, source, ["refs/heads/main"])
                assert refs.heads == {"refs/heads/main": sha}

            async def theirs() -> None:
                await run_git(Path(folder), "ls-remote", server.url("app"), "refs/heads/main")

            print(f"one head of {HEADS + 1:,}, over smart HTTP on loopback, median of {ROUNDS}")
            for name, ask in (("headgate ls-refs", ours), ("git ls-remote", theirs)):
                server.requests.clear()
                times = []
                for _ in range(ROUNDS):
                    started = time.perf_counter()
                    await ask()
                    times.append((time.perf_counter() - started) * 1000)
                sent = sum(request.sent for request in server.requests) // ROUNDS
                listing = server.requests[-1].sent
                print(f"{name:>17}: {sent:>9,} bytes, {listing:>9,} of them refs, {statistics.median(times):6.1f} ms")


asyncio.run(main())
