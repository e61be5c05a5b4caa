"""Runs the benchmarks one after another and writes docs/benchmarks: `make bench`, `make bench ARGS="builds --compare"`.

Each program is a process of its own with a bounded time; one that fails leaves the figures it had before and a word
on the terminal, never invented ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from guard import Table, compare
from machine import machine, versions
from report import write
from results import Figure

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "docs" / "benchmarks"
FIRST = ("deliveries", "builds", "peers", "webhook_to_step", "polling")
LIMIT_SECONDS = 300.0
LAST_LINE = "\n    sys.exit(program(measure))\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("programs", nargs="*", help=f"of: {', '.join(known())}")
    parser.add_argument("--compare", action="store_true", help="end with 1 when a ratio got worse; write nothing")
    parser.add_argument("--into", type=Path, default=FOLDER, help="where the table and the plots go")
    given = parser.parse_args()
    if unknown := set(given.programs) - set(known()):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known())}")
    last = read(given.into / "results.json")
    found, failed = {}, []
    for name in given.programs or known():
        figures = run(name)
        if figures is None:
            failed.append(name)
        else:
            found[name] = figures
    moved = compare(last.programs if last else {}, found)
    for one in moved:
        print(f"{'WORSE' if one.worse else 'better'}  {one}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    if not given.compare:
        together = {**(last.programs if last else {}), **found}
        ordered = {name: together[name] for name in known() if name in together}
        today = datetime.now(UTC).date().isoformat()
        write(Table(date=today, machine=machine(), versions=versions(), programs=ordered), given.into)
    return 1 if failed or (given.compare and any(one.worse for one in moved)) else 0


def known() -> list[str]:
    """All programs that speak the common form, the most asked for first."""
    names = sorted(path.stem for path in HERE.glob("*.py") if LAST_LINE in path.read_text())
    return [*(name for name in FIRST if name in names), *(name for name in names if name not in FIRST)]


def read(file: Path) -> Table | None:
    """The last table, where there is one."""
    return msgspec.json.decode(file.read_bytes(), type=Table) if file.exists() else None


def run(name: str) -> list[Figure] | None:
    """One program's figures; `None`: it failed or took too long."""
    began = time.monotonic()
    print(f"== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "figures.json")
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(target)]
        with subprocess.Popen(command) as process:
            try:
                code = process.wait(LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()  # it ends its own servers
                code = None
        print(f"   {time.monotonic() - began:.0f} s\n", flush=True)
        return msgspec.json.decode(target.read_bytes(), type=list[Figure]) if code == 0 else None


if __name__ == "__main__":
    sys.exit(main())
