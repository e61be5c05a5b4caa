"""A Git mirror of each Fossil repository, brought up to date when it is asked for; not what is built of it.

`fossil pull` into a clone of ours, then `fossil git export` into a Git repository beside it: incremental both, and
every check-in keeps its Git hash for as long as the folder is kept.
https://fossil-scm.org/home/doc/trunk/www/mirrortogithub.md
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
from functools import partial
from pathlib import Path

from headgate import api
from headgate_plugins.fossil.program import exchange, run_fossil

MAIN_BRANCH = "trunk"
"""Fossil's own word; `fossil git export` would else call it `master`."""


class Mirrors:
    """Those of one connection. `close` ends what runs."""

    def __init__(self, folder: Path, base_url: str, *, host: api.Host) -> None:
        """`folder`: where they are kept, also under `git.local_roots`."""
        self._folder = folder
        self._base_url = base_url.rstrip("/")
        self._host = host
        self._tasks: dict[str, asyncio.Task[Path]] = {}

    async def fresh(self, path: str) -> Path:
        """The mirror of a normalised `path`, as it is at the server no earlier than now. Raises `ProviderError`.

        Callers at the same time share one look that began after the last of them came. It goes on when a caller
        stops waiting: a first clone may take longer than anybody waits.
        """
        running = self._tasks.get(path)
        if running is not None and not running.done():
            with contextlib.suppress(Exception):
                await asyncio.shield(running)
        task = self._tasks.get(path)
        if task is None or task is running:
            task = self._tasks[path] = asyncio.create_task(self._refreshed(path))
            task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End every look under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _refreshed(self, path: str) -> Path:
        url = self._base_url if path == "." else f"{self._base_url}/{path}"
        place = self._folder / hashlib.sha256(url.encode()).hexdigest()[:32]
        clone, mirror = place / "clone.fossil", place / "git"
        await self._host.blocking(partial(place.mkdir, parents=True, exist_ok=True))
        if clone.exists():
            arguments = ["pull", url, "--once", "-R", str(clone)]
            await exchange(arguments, home=place, what=f"pulling from {url}")
        else:
            part = place / "part.fossil"
            await self._host.blocking(partial(part.unlink, missing_ok=True))
            arguments = ["clone", "--once", "--admin-user", "headgate", url, str(part)]
            await exchange(arguments, home=place, what=f"cloning {url}")
            part.rename(clone)
        arguments = ["git", "export", str(mirror), "--mainbranch", MAIN_BRANCH, "--quiet", "-R", str(clone)]
        try:
            await run_fossil(arguments, home=place, what=f"exporting {url} to git")
        except api.ProviderError:
            if not (mirror / ".git" / "HEAD").exists():
                await self._host.blocking(partial(shutil.rmtree, mirror, ignore_errors=True))
            raise
        return mirror


def _seen(task: asyncio.Task[Path]) -> None:
    """Its error is told to whoever waits; that nobody does is none."""
    if not task.cancelled():
        task.exception()
