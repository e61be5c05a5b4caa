"""How long a build is surely ours, by a clock that all processes of this machine share; not the lease in the database.

Whoever works for a build looks here before it does what another attempt must not meet: its log writes nothing and
its commands end (`supervisor.py`, by itself) once the time is over, also when the server stands still meanwhile.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

MARGIN = 0.1
"""The share of a lease by which we end before the database lets another have the build."""


class Lease:
    """One attempt's lease. `until` is in seconds of `time.monotonic`."""

    def __init__(self, seconds: float, *, asked: float) -> None:
        """`asked`: when the claim was asked for; the lease in the database began no earlier."""
        self._seconds = seconds
        self._followers: set[Callable[[float], None]] = set()
        self.until = asked + seconds * (1 - MARGIN)

    @property
    def held(self) -> bool:
        """Whether nobody else can have the build yet."""
        return time.monotonic() < self.until

    def renewed(self, *, asked: float) -> None:
        """The database has agreed to a renewal that was asked for then."""
        self._move(asked + self._seconds * (1 - MARGIN))

    def lost(self) -> None:
        """The database says that the build is not ours any more: everything ends now."""
        self._move(0.0)

    def _move(self, until: float) -> None:
        self.until = until
        for tell in self._followers:
            tell(until)

    @contextlib.contextmanager
    def followed(self, tell: Callable[[float], None]) -> Iterator[None]:
        """`tell(until)` is called whenever it changes while the context lasts."""
        self._followers.add(tell)
        try:
            yield
        finally:
            self._followers.discard(tell)
