"""Time to make a workspace of 3,000 files from a mirror that is there, beside what `git clone` takes.

Run: python benchmarks/workspace.py [FOLDER]

Each round writes a new folder and nothing is removed until the end: ext4 without a journal gives an inode that
was just freed no new file for minutes, which would measure the file system's memory of the last round.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from results import Beside, Figure, program

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from git_server import GitServer, commit_to, run_git

from headgate import api
from headgate.git.command import Git
from headgate.git.mirrors import Mirrors
from headgate.git.workspaces import make_workspace

FILES = 3000
ROUNDS = 15


def measure(rounds: int = ROUNDS, folder: Path | None = None) -> list[Figure]:
    """`folder`: the disk to measure."""
    return asyncio.run(_measure(rounds, folder))


async def _measure(rounds: int, place: Path | None) -> list[Figure]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root = Path(folder)
        async with GitServer(root / "hosted") as server:
            chance = random.Random(1)
            files = {
                f"src/d{n % 300}/f{n}.py": "".join(f"line {chance.random()}\n" for _ in range(60)) for n in range(FILES)
            }
            bare = server.create("app")
            sha = commit_to(bare, files, "One")
            for n in range(60):
                sha = commit_to(bare, {f"src/d{n}/f{n}.py": f"{n}\n" * 60}, f"c{n}", when=1_700_000_000 + n)
            git = Git(timeout=60, max_repository_size=10**9, home=root / "home")
            mirrors = Mirrors(git, root / "mirrors")
            source = api.CloneSource(url=server.url("app"))
            started = time.perf_counter()
            mirror = await mirrors.fetch(source, sha=sha)
            first = (time.perf_counter() - started) * 1000
            size = mirrors.size(mirror) / 1e6
            print(f"{FILES:,} files, {size:.1f} MB of packs; first fetch of the mirror {first:.0f} ms; {rounds} rounds")

            async def ours(path: Path, **options: int) -> None:
                checkout = api.Checkout(**options)
                found = await mirrors.fetch(source, sha=sha)
                await make_workspace(
                    mirrors, found, path, sha=sha, ref="refs/heads/main", checkout=checkout, source=source
                )

            async def clone(path: Path) -> None:
                await run_git(
                    root, "clone", "--quiet", "--branch=main", "--local", "--no-hardlinks", str(mirror.path), str(path)
                )

            rows = (
                ("from the mirror", ours),
                ("from the mirror, depth 1", lambda path: ours(path, depth=1)),
                ("git clone of the mirror", clone),
            )
            found = {}
            for name, make in rows:
                times = []
                for n in range(rounds):
                    path = root / name.replace(" ", "-") / str(n)
                    path.parent.mkdir(exist_ok=True)
                    started = time.perf_counter()
                    await make(path)
                    times.append((time.perf_counter() - started) * 1000)
                found[name] = statistics.median(times)
    clone = Beside(name="git clone of the mirror", value=found.pop("git clone of the mirror"))
    return [
        Figure(name=f"workspace {name}, {FILES:,} files", value=value, unit="ms", better="lower", beside=(clone,))
        for name, value in found.items()
    ]


if __name__ == "__main__":
    sys.exit(program(measure))
