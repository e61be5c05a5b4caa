"""How many lines a second a build's log takes, masked, framed and indexed; run it with `python benchmarks/log_throughput.py`."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from headgate.builds.logs import Logs
from headgate.credentials.redaction import Redactor

LINES = 1_000_000
PIECE = 65_536
LINE = b"2026-01-01T00:00:00Z compiling module %07d of the long and winding program\n"


async def write(root: Path, secrets: list[str]) -> float:
    data = b"".join(LINE % number for number in range(LINES))
    writer = Logs(root).writer("b_1", redactor=Redactor().scoped(secrets), limit=10**9)
    began = time.perf_counter()
    for at in range(0, len(data), PIECE):
        writer.write(1, data[at : at + PIECE])
    writer.close()
    return time.perf_counter() - began


def main() -> None:
    for label, secrets in (("no secrets", []), ("20 secrets", [f"secret-number-{n}-of-many" for n in range(20)])):
        with tempfile.TemporaryDirectory() as name:
            seconds = asyncio.run(write(Path(name), secrets))
            began = time.perf_counter()
            page = Logs(Path(name)).reader("b_1").page(LINES - 1_000, 1_000)
            paging = time.perf_counter() - began
            assert len(page.lines) == 1_000
        print(f"{label}: {LINES / seconds:,.0f} lines/s; the last page of {LINES:,} lines in {paging * 1000:.1f} ms")


if __name__ == "__main__":
    main()
