"""What hosts said they speak, remembered, so that a question for refs takes one request and not two; not the question.

One of a host's repositories speaks for all; those that turned out to differ (another object format, an older server
behind the same address) are remembered by themselves. What is remembered is never trusted further than to ask by
it: an answer that cannot be read, or is empty, is asked for again in full, and then corrects what was remembered.
"""

from __future__ import annotations

from typing import Final

from headgate.git.names import Location
from headgate.git.packets import Advertisement

MOST: Final = 20_000
"""Repositories that differ from their host, and are remembered by themselves."""

_ASKED_BY = (b"agent", b"object-format")
"""The capabilities a question depends on; the others, and an agent's version, may differ from one machine of a host
to the next."""


class Advertisements:
    """By host, and by repository where that differs. Made once, used on the event loop."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._of_origin: dict[str, Advertisement] = {}
        self._apart: dict[str, Advertisement | None] = {}

    def of(self, location: Location) -> Advertisement | None:
        """By what to ask `location`; `None`: it has to be asked in full."""
        if location.url in self._apart:
            return self._apart[location.url]
        return self._of_origin.get(location.origin)

    def keep(self, location: Location, advertisement: Advertisement) -> None:
        """What it said when it was asked in full."""
        said = _asked_by(advertisement)
        if self._of_origin.setdefault(location.origin, said) == said:
            self._apart.pop(location.url, None)
        else:
            self._set_apart(location, said)

    def doubt(self, location: Location) -> None:
        """What is remembered may be why it refused: it is asked in full next time."""
        self._set_apart(location, None)

    def _set_apart(self, location: Location, said: Advertisement | None) -> None:
        if len(self._apart) >= MOST:
            self._apart.clear()
        self._apart[location.url] = said


def _asked_by(advertisement: Advertisement) -> Advertisement:
    known = {name: value for name, value in advertisement.capabilities.items() if name in _ASKED_BY}
    if b"agent" in known:
        known[b"agent"] = b""
    return Advertisement(version=advertisement.version, capabilities=known)
