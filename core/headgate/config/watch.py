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

_State: TypeAlias = dict[Path, tuple[int, int, int]]


async def watch(paths: Sequence[Path]) -> AsyncGenerator[None, None]:
    """Yields after each settled burst of changes to YAML files at or under `paths`, which need not exist yet.

    The kernel's notices only make it quick: what counts is whether a file came, went or changed its time, size or
    inode, so replaced files and folders, links turned elsewhere and network disks are noticed too.
    """
    wanted = [path.absolute() for path in paths]
    seen = await asyncio.to_thread(_state, wanted)
    while True:
        folders = await asyncio.to_thread(_folders, wanted)
        async with aclosing(_notices(list(folders))) as notices:
            async for _ in notices:
                now = await asyncio.to_thread(_state, wanted)
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


def _state(wanted: Sequence[Path]) -> _State:
    state: _State = {}
    for file in yaml_files(wanted)[0]:
        try:
            status = file.stat()
        except OSError:
            continue
        state[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return state


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
