"""When to stop calling something that keeps failing, and when to try again; not what a failure is.

Closed, it lets everything through. `FAULTS` in a row, or `BLOCKS` within `MEMORY`, open it: everything is refused at
once. After a pause one call is let through as a trial. A trial that works closes it, one that fails opens it for
twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FAULTS = 5
"""Faults in a row, none of them older than `MEMORY`. One strange delivery is fewer, and whatever works starts anew."""

BLOCKS = 3
"""Times within `MEMORY` that everybody had to stand still; such a call "works", so these are not undone by others."""

MEMORY = 600.0
"""Seconds after which a fault no longer counts."""

FIRST_PAUSE = 30.0
"""Seconds until the first trial: a host that restarts, a file that is written, are often back by then."""

LONGEST_PAUSE = 600.0

TRIAL = 60.0
"""Seconds until another trial, when nothing was heard of one: longer than any call but a build's may take."""


class Circuit:
    """The circuit of one method of one plugin. `opened`: whether it refuses; `reason`: why."""

    __slots__ = ("_blocks", "_clock", "_faults", "_last", "_pause", "_trying", "_until", "opened", "reason")

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self.opened = False
        self.reason = ""
        self._clock = clock
        self._faults = 0
        self._last = 0.0
        self._blocks: deque[float] = deque(maxlen=BLOCKS)
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._trying = False

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.opened and not self._faults and not self._blocks

    @property
    def faults(self) -> int:
        """How many in a row."""
        return self._faults

    @property
    def last_block(self) -> float:
        """When everybody had to stand still for it, by the clock."""
        return self._blocks[-1] if self._blocks else float("-inf")

    @property
    def seconds_left(self) -> float:
        """Until a trial is let through; 0 when it is closed or a trial is due."""
        return max(0.0, self._until - self._clock()) if self.opened else 0.0

    def admits(self) -> bool:
        """Whether a call may go through. Where that is a trial, it is the only one for a while."""
        if not self.opened:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._trying = True
        self._until = now + TRIAL
        return True

    def worked(self) -> None:
        """A call kept its contract. Of an open circuit only a trial counts: others began before it opened."""
        if self.opened and not self._trying:
            return
        self.opened = self._trying = False
        self._faults = 0
        self._pause = FIRST_PAUSE
        if self._clock() - self.last_block > MEMORY:
            self._blocks.clear()

    def failed(self, reason: str, *, weight: int = 1) -> None:
        """A call broke its contract. `weight`: as how many faults it counts."""
        now = self._clock()
        self._faults = self._faults + weight if now - self._last <= MEMORY else weight
        self._last = now
        if self._trying or (not self.opened and self._faults >= FAULTS):
            self.open(reason)

    def blocked(self, reason: str) -> None:
        """A call let everybody wait."""
        now = self._clock()
        self._blocks.append(now)
        if self._trying or (not self.opened and len(self._blocks) == BLOCKS and now - self._blocks[0] <= MEMORY):
            self.open(reason)

    def open(self, reason: str) -> None:
        """Refuse from now on; longer each time that a trial fails."""
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if self.opened else FIRST_PAUSE
        self.opened, self._trying = True, False
        self.reason = reason
        self._until = self._clock() + self._pause
