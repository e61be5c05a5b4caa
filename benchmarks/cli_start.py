"""How long the command line takes to say its first word: `python benchmarks/cli_start.py [RUNS]`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET = 0.300
"""Seconds within which `headgate --help` must be done."""

COMMANDS = (("--help",), ("jobs", "--help"), ("plugins",))


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    program = Path(sys.executable).with_name("headgate")
    for command in COMMANDS:
        times = sorted(once(program, *command) for _ in range(runs))
        median = statistics.median(times)
        print(f"headgate {' '.join(command):<12} median {median * 1000:4.0f} ms, slowest {times[-1] * 1000:4.0f} ms")
        if command == ("--help",) and median > TARGET:
            print(f"slower than the target of {TARGET * 1000:.0f} ms")
            return 1
    return 0


def once(*command: str | Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
