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

from results import Beside, Figure, program

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from git_server import GitServer, commit_to, run_git
from git_server import git as blocking_git

from headgate import api
from headgate.git.command import Git
from headgate.git.refs import list_refs

HEADS = 10_000
ROUNDS = 9


def measure(heads: int = HEADS, rounds: int = ROUNDS) -> list[Figure]:
    """Medians of `rounds` questions."""
    return asyncio.run(_measure(heads, rounds))


async def _measure(heads: int, rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        async with GitServer(Path(folder) / "hosted") as server:
            bare = server.create("app")
            sha = commit_to(bare, {"a": "1\n"}, "One")
            lines = b"".join(b"create refs/heads/feature/branch-%05d %s\n" % (n, sha.encode()) for n in range(heads))
            blocking_git(bare, "update-ref", "--stdin", stdin=lines)
            blocking_git(bare, "pack-refs", "--all")
            git = Git(timeout=60, max_repository_size=10**9, home=Path(folder) / "home")
            source = api.CloneSource(url=server.url("app"))

            async def ours() -> None:
                refs = await list_refs(git, source, ["refs/heads/main"])
                assert refs.heads == {"refs/heads/main": sha}

            async def theirs() -> None:
                await run_git(Path(folder), "ls-remote", server.url("app"), "refs/heads/main")

            found = {}
            for name, ask in (("ours", ours), ("git ls-remote", theirs)):
                server.requests.clear()
                times = []
                for _ in range(rounds):
                    started = time.perf_counter()
                    await ask()
                    times.append((time.perf_counter() - started) * 1000)
                found[name] = statistics.median(times), sum(request.sent for request in server.requests) / rounds
    words = ("time", "ms", 0), ("bytes", "bytes", 1)
    return [
        Figure(
            name=f"one head of {heads + 1:,}, {what}",
            value=found["ours"][at],
            unit=unit,
            better="lower",
            beside=(Beside(name="git ls-remote", value=found["git ls-remote"][at]),),
        )
        for what, unit, at in words
    ]


if __name__ == "__main__":
    sys.exit(program(measure))
