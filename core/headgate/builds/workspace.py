"""A build's own folder, and what has to get the repository into it; not git itself.

`<data>/workspaces/<build>-<fence>/` holds `work` (where the steps start), `home` and `tmp`. It is made for one
attempt and removed after it; the fence is in its name so that a stale attempt cannot remove another's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec

from headgate import api
from headgate.builds.removal import remove

FULL_SHA = 40
"""Digits; an id with fewer is the start of one."""


class CheckedOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkout came from: the URL without credentials, and the commit."""

    url: str
    commit: api.Commit


class Sources(Protocol):
    """Gets repositories; every method raises `ProviderError` or `CredentialError` in words for the build's log."""

    async def resolve(self, connection: str, repository: str, ref: str | None) -> tuple[str, str]:
        """The full ref and its sha now; of the default branch when `ref` is `None`."""

    async def full_sha(self, connection: str, repository: str, sha: str) -> str:
        """The full id behind the first digits of one; `Conflict` when they fit several."""

    async def check_out(
        self, connection: str, repository: str, path: Path, *, sha: str, ref: str | None, checkout: api.Checkout
    ) -> CheckedOut:
        """Put the commit's files at `path`, which does not exist yet."""


class Folder:
    """One attempt's folder."""

    def __init__(self, root: Path, build_id: str, fence: int) -> None:
        """`root`: the folder of all workspaces."""
        self.own = root / f"{build_id}-{fence}"
        self.work = self.own / "work"
        self.home = self.own / "home"
        self.tmp = self.own / "tmp"

    def make(self, *, empty: bool) -> None:
        """Make it anew; `empty` also makes an empty workspace, where no checkout will."""
        remove(self.own)
        self.own.mkdir(parents=True, mode=0o700)
        for path in (self.home, self.tmp, *((self.work,) if empty else ())):
            path.mkdir(mode=0o700)

    def keep_file(self, name: str, text: str) -> Path:
        """A file only the build can read, beside its workspace: keys, which tools want as files."""
        folder = self.own / "credentials"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text if text.endswith("\n") else text + "\n")
        return path

    async def remove(self) -> None:
        """Remove it, in a thread: a build may leave a hundred thousand files."""
        await asyncio.to_thread(remove, self.own)


async def remove_leftovers(root: Path, running: Callable[[], Awaitable[Collection[str]]]) -> None:
    """Remove what earlier lives of this server left behind, but nothing of builds that another worker runs here."""
    # Looked at first and asked after: a build that starts between the two is not in what was seen.
    seen = await asyncio.to_thread(_folders, root)
    kept = await running()
    for path in seen:
        if path.name.partition("-")[0] not in kept:
            await asyncio.to_thread(remove, path)


def _folders(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.exists() else []
