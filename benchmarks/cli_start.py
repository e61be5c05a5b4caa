"""How long the command line takes to say its first word: beside an interpreter that does nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from results import Beside, Figure, program

TARGET = 0.300
"""Seconds within which `headgate --help` must be done."""

COMMANDS = (("--help",), ("jobs", "--help"), ("plugins",))


def measure(runs: int = 10) -> list[Figure]:
    """The median of `runs` starts."""
    program_ = Path(sys.executable).with_name("headgate")
    bare = statistics.median(once(sys.executable, "-c", "pass") for _ in range(runs)) * 1e3
    return [
        Figure(
            name=f"headgate {' '.join(command)}",
            value=statistics.median(once(program_, *command) for _ in range(runs)) * 1e3,
            unit="ms",
            better="lower",
            target=TARGET * 1e3 if command == ("--help",) else None,
            beside=(Beside(name="python -c pass", value=bare),),
        )
        for command in COMMANDS
    ]


def once(*command: str | Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(program(measure))
