"""Changes of builds, told to whoever listens right now; not kept: the database has every build's state.

A listener who was away resumes by the id of the last change it saw. Where that is too long ago, or of another run of
the server, it is told to read the list again (`reset`) rather than left with a gap it cannot see.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from headgate.api import Build
from headgate.web.sse import ServerEvent

REMEMBERED: Final = 1_000
"""Changes one can resume over."""

RESET: Final = "reset"


class BuildChanges:
    """A board of the last changes; any number of listeners, none of whom can hold up a build."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(4)
        self._last = 0
        self._recent: deque[tuple[int, Build]] = deque(maxlen=REMEMBERED)
        self._news = asyncio.Event()

    def publish(self, build: Build) -> None:
        """A build was queued, started, progressed or finished. Cheap; call it after the commit."""
        self._last += 1
        self._recent.append((self._last, build))
        self._news.set()
        self._news = asyncio.Event()

    async def listen(self, last_id: str | None, *, job: str | None = None) -> AsyncIterator[tuple[ServerEvent, ...]]:
        """Changes after `last_id` (`None`: from now on), without end; `job` keeps only that job's."""
        seen = self._last if last_id is None else self._place_of(last_id)
        while True:
            oldest = self._recent[0][0] if self._recent else self._last + 1
            if seen is None or seen < oldest - 1:
                seen = self._last
                yield (ServerEvent(event=RESET, data={}, id=self._id(seen)),)
            news = self._news
            fresh = [
                ServerEvent(event="build", data=build, id=self._id(number))
                for number, build in self._recent
                if number > seen and job in (None, build.job)
            ]
            seen = self._last
            if fresh:
                yield tuple(fresh)
            if news is self._news:
                await news.wait()

    def _id(self, number: int) -> str:
        return f"{self._run}-{number}"

    def _place_of(self, event_id: str) -> int | None:
        run, _, number = event_id.partition("-")
        if run != self._run or not number.isascii() or not number.isdecimal() or len(number) > len(str(self._last)):
            return None
        return min(int(number), self._last)
