"""Whether anything more fits on a disk; not whose fault that is."""

from __future__ import annotations

import os
from pathlib import Path

LEAST_ROOM = 1_048_576
"""A disk with fewer bytes free is called full: what is written next probably does not fit."""


def is_full(folder: Path) -> bool:
    """Whether nothing more fits where the folder is: too few bytes, or not one more file."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False  # not there yet, or not ours to see
    no_files = found.f_files > 0 and found.f_favail == 0
    return no_files or found.f_bavail * found.f_frsize < LEAST_ROOM
