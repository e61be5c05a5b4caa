"""Notices that configuration files changed; not what changed in them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

from watchfiles import awatch

from headgate.config.files import yaml_files

_SETTLE_MS = 300
"""How long a burst of changes may last until it is told."""

_LOOK_AGAIN = 2.0
"""Seconds after which is looked even when nothing was noticed: folders appear and are replaced, disks tell nothing."""

Look: TypeAlias = dict[Path, tuple[int, int, int]]
"""What was there at one moment: each YAML file with its time, size and inode."""


def look(paths: Sequence[Path]) -> Look:
    """The YAML files at or under `paths` now. Taken before they are read, it lets `watch` miss no change since."""
    found: Look = {}
    for file in yaml_files([path.absolute() for path in paths])[0]:
        try:
            status = file.stat()
        except OSError:
            continue
        found[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


async def watch(paths: Sequence[Path], *, since: Look | None = None) -> AsyncGenerator[None, None]:
    """Yields after each settled burst of changes to YAML files at or under `paths`, which need not exist yet.

    `since`: what `look` found before they were read; what has changed meanwhile is told at once. `None`: from now.

    The kernel's notices only make it quick: what counts is whether a file came, went or changed its time, size or
    inode, so replaced files and folders, links turned elsewhere and network disks are noticed too.
    """
    wanted = [path.absolute() for path in paths]
    seen = since if since is not None else await asyncio.to_thread(look, wanted)
    while True:
        if (now := await asyncio.to_thread(look, wanted)) != seen:
            seen = now
            yield
        folders = await asyncio.to_thread(_folders, wanted)
        async with aclosing(_notices(list(folders))) as notices:
            async for _ in notices:
                now = await asyncio.to_thread(look, wanted)
                if now != seen:
                    seen = now
                    yield
                if await asyncio.to_thread(_folders, wanted) != folders:
                    break


async def _notices(folders: Sequence[Path]) -> AsyncGenerator[None, None]:
    """Yields when something happened in one of the folders, and when it is time to look again."""
    try:
        changes = awatch(
            *folders,
            watch_filter=None,
            recursive=False,
            debounce=_SETTLE_MS,
            step=100,
            rust_timeout=int(_LOOK_AGAIN * 1000),
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            async for _ in changes:
                yield
    except OSError:
        # A folder went away this moment, or the kernel gives no more watches: then looking again has to do.
        await asyncio.sleep(_LOOK_AGAIN)
        yield


def _folders(wanted: Sequence[Path]) -> dict[Path, int]:
    """The folders in which something may happen, with their inodes: a folder made again is another one.

    Those that are there with all below, or the nearest above those that are not.
    """
    folders: set[Path] = set()
    for path in wanted:
        if path.is_dir():
            folders.update(Path(here) for here, _, _ in os.walk(path))
        else:
            folders.add(next(parent for parent in path.parents if parent.is_dir()))
    return {folder: folder.stat().st_ino for folder in sorted(folders) if folder.is_dir()}
