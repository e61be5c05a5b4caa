"""Sees that the process grows and whose code keeps the memory; not memory that C code takes behind Python's back.

To know who allocates costs too much to do all the time. So the size of the process is looked at, and only when it has
grown by a set amount every allocation is traced for some seconds. A plugin is named when what its code took and kept
grows in every part of that time; its circuit opens when at that rate the same amount again would be gone soon and the
process itself grows along. A leak of a few kilobytes a minute is not found this way, nor one that has stopped.
"""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import structlog

from headgate.plugins.guard import Guards

LOOK = 2.0
"""Seconds between two looks at the size of the process."""

PART = 2.0
"""Seconds of each of the `PARTS` of a tracing, at whose ends what was kept is counted."""

PARTS = 3

FRAMES = 16
"""Callers remembered with each allocation: a plugin's own code is rarely further away from what it has allocated."""

LEAST = 65_536
"""Bytes that a part must add, lest a cache that fills is taken for a leak."""

SOON = 600.0
"""Seconds: a plugin that would take the set amount again within them is not called any more."""

log = structlog.get_logger(__name__)


class MemoryWatch:
    """Watches this process, from `start` to `stop`, in a thread."""

    def __init__(self, guards: Guards, *, growth: int, resident: Callable[[], int] | None = None) -> None:
        """`growth`: bytes by which the process may grow before somebody looks why; 0: nobody does.

        `resident`: the size of the process.
        """
        self._guards = guards
        self._growth = growth
        self._resident = resident or resident_size
        self._stop = threading.Event()

    def start(self) -> None:
        """What is there now is where growth starts."""
        if self._growth and self._resident():
            threading.Thread(target=self._run, name="memory watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no more; what is being traced is no more, soon."""
        self._stop.set()

    def _run(self) -> None:
        usual = self._resident()
        while not self._stop.wait(LOOK):
            size = self._resident()
            usual = min(usual, size)
            if size - usual >= self._growth:
                self._find_out(size - usual)
                usual = self._resident()

    def _find_out(self, grown: int) -> None:
        before = self._resident()
        parts = self._trace()
        if len(parts) < PARTS:
            return
        taken = self._resident() - before
        named = False
        for plugin, sizes in _by_plugin(parts).items():
            guard = self._guards.named(plugin)
            if guard is None or any(after - earlier < LEAST for earlier, after in pairwise(sizes)):
                continue
            kept, seconds = sizes[-1] - sizes[0], PART * (PARTS - 1)
            goes_on = kept / seconds * SOON >= self._growth and taken >= kept / 2
            guard.grew(sizes[-1], seconds=PART * PARTS, goes_on=goes_on)
            named = True
        if not named:
            log.warning("the server's memory has grown, and no plugin's code keeps on taking it", bytes=grown)

    def _trace(self) -> list[dict[str, int]]:
        """What each plugin's code has kept at the end of each part; fewer parts when somebody wants us to stop."""
        if tracemalloc.is_tracing():
            return []  # somebody else's tracing knows more than a few seconds
        parts: list[dict[str, int]] = []
        tracemalloc.start(FRAMES)
        try:
            while len(parts) < PARTS and not self._stop.wait(PART):
                parts.append(self._kept())
        finally:
            tracemalloc.stop()
        return parts

    def _kept(self) -> dict[str, int]:
        sizes: dict[str, int] = defaultdict(int)
        for trace in tracemalloc.take_snapshot().traces:
            inner_first = (frame.filename for frame in reversed(trace.traceback))
            if plugin := self._guards.culprits.of_files(inner_first):
                sizes[plugin] += trace.size
        return sizes


def _by_plugin(parts: list[dict[str, int]]) -> dict[str, list[int]]:
    return {plugin: [part.get(plugin, 0) for part in parts] for plugin in {name for part in parts for name in part}}


def resident_size() -> int:
    """Bytes of memory this process has; 0 where the system does not say (only Linux does)."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
