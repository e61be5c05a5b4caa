"""Sees that the event loop stands still and whose code is to blame; it cannot end that code.

A thread asks the loop to turn, twice a second. When it does not, the thread looks at the loop's stack again and again
until it does, and holds the time against the plugin on it. What keeps Python's own lock (a regular expression in C)
stops the thread as well and is only seen when it is over.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import structlog

from headgate.plugins.culprits import Culprit
from headgate.plugins.guard import Guards

LOOK = 0.5
"""Seconds between two questions."""

STILL = 1.0
"""Seconds without an answer that count as standing still: more than a busy machine takes, less than a sender waits.

What takes longer than `LOOK` and this together is surely seen.
"""

SAMPLE = 0.1
"""Seconds between two looks at the stack meanwhile."""

log = structlog.get_logger(__name__)


class Watchdog:
    """Watches one event loop, from `start` to `stop`, which are called in its thread."""

    def __init__(self, guards: Guards) -> None:
        """`guards`: whom to tell."""
        self._guards = guards
        self._turned = threading.Event()
        self._stop = threading.Event()

    def start(self) -> None:
        """Watch the running loop."""
        place = (asyncio.get_running_loop(), threading.get_ident())
        threading.Thread(target=self._run, args=place, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _run(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._stop.wait(LOOK):
            self._turned.clear()
            asked = time.monotonic()
            try:
                loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._turned.wait(STILL):
                self._look(thread, asked)

    def _look(self, thread: int, since: float) -> None:
        told: set[tuple[str, str]] = set()
        counted = since
        while not self._stop.is_set():
            culprit = self._guards.culprits.of_frame(sys._current_frames().get(thread))  # noqa: SLF001 - CPython's documented way
            now = time.monotonic()
            if culprit is not None and (guard := self._guards.named(culprit.plugin)) is not None:
                again = (culprit.plugin, culprit.function) in told
                guard.stood_still(culprit, now - counted, again=again)
                if not again:
                    told.add((culprit.plugin, culprit.function))
                    _tell(culprit)
                counted = now
            if self._turned.wait(SAMPLE):
                break
        if not told:
            log.warning("the event loop stood still", seconds=round(time.monotonic() - since, 1))


def _tell(culprit: Culprit) -> None:
    log.error("the event loop stands still", plugin=culprit.plugin, function=culprit.function, place=culprit.place)
