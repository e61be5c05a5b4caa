"""Processes found by a mark in their environment, wherever they went."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


class Marked:
    """Finds processes by a mark in their environment, which all descendants inherit."""

    def __init__(self) -> None:
        self.mark = f"TEST_MARK={uuid.uuid4().hex}"
        self.environment = {**ENVIRONMENT, **dict([self.mark.split("=")])}

    def pids(self) -> list[int]:
        found = []
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                try:
                    environment = (place / "environ").read_bytes()
                    state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if self.mark.encode() in environment.split(b"\0") and state not in "ZX":
                    found.append(int(place.name))
        return found

    async def at_least(self, count, seconds=5.0):
        """Wait until so many are there: some shells replace themselves by their last command, others do not."""
        end = time.monotonic() + seconds
        while len(self.pids()) < count:
            assert time.monotonic() < end, f"{self.pids()}, not {count} processes after {seconds} s"
            await asyncio.sleep(0.01)

    async def until(self, count, seconds=5.0):
        """Wait until exactly `count` are there."""
        end = time.monotonic() + seconds
        while len(self.pids()) != count:
            assert time.monotonic() < end, f"{self.pids()} instead of {count} processes after {seconds} s"
            await asyncio.sleep(0.01)
