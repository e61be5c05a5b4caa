"""Removes what builds leave, however they left it; not a decision what may go.

A build owns its folder while it runs: it may close it to us, nest a hundred thousand levels, and name things as it
likes. So nothing here recurses, keeps a descriptor a level, writes a path of more than one name or follows a link.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PATIENCE: Final = 600.0
"""Seconds; only a process that outlived its build and goes on writing can need so long."""


def remove(path: Path) -> None:
    """Remove a tree of any depth, also one whose folders were closed. What cannot be removed stays; never raises."""
    try:
        top = _open_folder(str(path), None)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        path.rmdir()


def _empty(top: int) -> None:
    """Empty a folder: what its folders hold is removed, and folders in them are moved up here, to be next."""
    mark = secrets.token_hex(8)  # no build can have guessed a name that is in the way
    names = (f"{mark}-{number}" for number in itertools.count())
    give_up = time.monotonic() + PATIENCE
    progress = True
    while progress and time.monotonic() < give_up:
        progress = False
        for name, is_folder in _entries(top):
            progress |= _dissolve(top, name, lambda: next(names)) if is_folder else _done(os.unlink, name, dir_fd=top)


def _dissolve(top: int, name: str, fresh: Callable[[], str]) -> bool:
    """Whether anything could be done with the folder `name`: the best is that it is gone."""
    progress = False
    try:
        folder = _open_folder(name, top)
    except OSError:
        return False
    try:
        for inner, is_folder in _entries(folder):
            progress |= _move_up(folder, inner, top, fresh()) if is_folder else _done(os.unlink, inner, dir_fd=folder)
    finally:
        os.close(folder)
    return _done(os.rmdir, name, dir_fd=top) or progress


def _move_up(folder: int, name: str, top: int, fresh: str) -> bool:
    if _done(os.rename, name, fresh, src_dir_fd=folder, dst_dir_fd=top):
        return True
    with contextlib.suppress(OSError):  # a folder that nobody may write cannot get another parent
        os.close(_open_folder(name, folder))
    return _done(os.rename, name, fresh, src_dir_fd=folder, dst_dir_fd=top)


def _open_folder(name: str, parent: int | None) -> int:
    """A descriptor of a folder, never of what a link leads to, after giving ourselves every right to it."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        way = f"/proc/self/fd/{place}"  # this very folder, whatever has its name by now
        with contextlib.suppress(OSError):
            os.chmod(way, stat.S_IRWXU)  # noqa: PTH101 - of a descriptor
        return os.open(way, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)


def _entries(folder: int) -> list[tuple[str, bool]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    return []


def _done(call: Callable[..., None], *names: str, **places: int) -> bool:
    try:
        call(*names, **places)
    except OSError:
        return False
    return True
