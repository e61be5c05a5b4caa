"""How many connections are open at once; not what they say.

Every connection is an open file, and the database, git and the builds need files too: a crowd at the door must not
take the last one. When there are too many, whoever has been silent longest makes room, so that a sender with
something to say still gets in.
"""

from __future__ import annotations

import resource
from typing import Final, Protocol

MOST: Final = 10_000
"""However many files we may open."""

RESERVED: Final = 256
"""Open files that connections never take."""

_AT_LEAST: Final = 16


class Guest(Protocol):
    """One connection."""

    def is_silent(self) -> bool:
        """Whether no request of it is under way."""

    def force_close(self) -> None:
        """End it."""


class Crowd:
    """The connections that are open, who was heard last at the end."""

    def __init__(self, most: int) -> None:
        """`most`: how many may stay."""
        self._most = most
        self._guests: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> None:
        """One more; somebody leaves when that is one too many: the new one itself when all others are busy."""
        self._guests[guest] = None
        if len(self._guests) > self._most:
            silent = next((one for one in self._guests if one.is_silent()), guest)
            self.leave(silent)
            silent.force_close()

    def heard(self, guest: Guest) -> None:
        """It has asked for something."""
        if guest in self._guests:
            del self._guests[guest]
            self._guests[guest] = None

    def leave(self, guest: Guest) -> None:
        """It is closed, or about to be."""
        self._guests.pop(guest, None)


def room(files: int | None = None) -> tuple[int, int]:
    """How many connections may be open, and how many may wait to be accepted (they are accepted all at once).

    `files` is how many this process may have open, by default what the system says (`ulimit -n`, `LimitNOFILE`).
    """
    if files is None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        files = MOST * 2
    waiting = min(1024, max(_AT_LEAST, files // 8))
    return min(MOST, max(_AT_LEAST, files - RESERVED - waiting)), waiting
