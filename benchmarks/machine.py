"""What the figures were measured on: the machine, its file system, the versions of what did the work; no figures."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

COMMANDS = {
    "git": ("git", "--version"),
    "bubblewrap": ("bwrap", "--version"),
    "adnanh/webhook": ("webhook", "-version"),
    "bash": ("bash", "--version"),
}
DISTRIBUTIONS = ("headgate", "aiohttp", "uvloop", "SQLAlchemy", "aiosqlite", "msgspec", "google-re2")


def machine() -> dict[str, str]:
    """For people who compare: nothing in it says whose machine it is."""
    memory = int(_after("/proc/meminfo", "MemTotal:").split()[0]) / 1024**2
    return {
        "processor": _after("/proc/cpuinfo", "model name").lstrip(": "),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "file system": _file_system(Path(tempfile.gettempdir())),
    }


def versions() -> dict[str, str]:
    """Ours, the libraries' and the commands'; what is not here is not in it."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, command in COMMANDS.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            found[name] = (said.stdout or said.stderr).partition("\n")[0].removeprefix(f"{command[0]} version ")
    return found


def _after(file: str, word: str) -> str:
    lines = (line for line in Path(file).read_text().splitlines() if line.startswith(word))
    return next(lines, f"{word} 0").removeprefix(word).strip()


def _file_system(place: Path) -> str:
    """Of the temporary folder, where everything is measured."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    within = [(point, kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(within, key=lambda mount: len(mount[0]), default=("", "unknown"))[1]
