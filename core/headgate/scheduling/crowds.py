"""How much of each connection waits in tasks, and of which connections that is too much; not what they wait for.

A git host that does not answer holds up every delivery of its connection that needs it, for a minute or more. They may
not fill the places that other connections' deliveries need, so beyond a share the rest stays in the database. A share
is as much as is still free (what switches do with their buffers: Choudhury and Hahne, "Dynamic queue length
thresholds", 1998): one connection may have half of all places, three a quarter each, and there is always one left.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from headgate.api.deliveries import Delivery

PLACES = 1_024
"""Deliveries of all connections that may wait in tasks."""

BYTES = 67_108_864
"""Bytes of their bodies, likewise; one delivery that is larger waits alone."""

STUCK = 2.0
"""Seconds after which a delivery in a task waits for somebody else; before, it just has not had its turn."""


class Crowds:
    """What waits in tasks, by connection. Of a crowded one nothing begins until half of its share is free again."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._since: defaultdict[str, dict[str, float]] = defaultdict(dict)  # connection → delivery → when it began
        self._bytes: Counter[str] = Counter()
        self._crowded: set[str] = set()

    def __contains__(self, connection: str) -> bool:
        """Whether it is crowded: its deliveries are left where they are, lest a later one overtakes an earlier."""
        return connection in self._crowded

    def enter(self, delivery: Delivery) -> None:
        """It waits in a task from now on."""
        self._since[delivery.connection][delivery.id] = time.monotonic()
        self._bytes[delivery.connection] += len(delivery.body)

    def leave(self, delivery: Delivery) -> None:
        """It waits no more."""
        self._since[delivery.connection].pop(delivery.id, None)
        self._bytes[delivery.connection] -= len(delivery.body)

    def is_full(self, connection: str) -> bool:
        """Whether it has all of its share."""
        return self._fills(connection, 1)

    def patience(self, connection: str) -> float:
        """Seconds for which it pays to wait until a full one has room; none when its oldest waits for somebody else."""
        oldest = next(iter(self._since[connection].values()))
        return oldest + STUCK - time.monotonic()

    def close(self, connection: str) -> None:
        """It is crowded from now on."""
        self._crowded.add(connection)

    def thinned(self, connection: str) -> bool:
        """Whether a crowded connection has room again: its deliveries may be looked for after a `reopen`."""
        return connection in self._crowded and not self._fills(connection, 2)

    def reopen(self) -> tuple[str, ...]:
        """Those that are still crowded; the thinned ones are so no more."""
        self._crowded = {name for name in self._crowded if not self.thinned(name)}
        return tuple(sorted(self._crowded))

    def _fills(self, connection: str, part: int) -> bool:
        """Whether it has a `part`th of its share or more."""
        own, own_bytes = len(self._since[connection]), self._bytes[connection]
        if not own:  # as mostly: nothing waits, and nothing need be counted
            return False
        free = PLACES - sum(map(len, self._since.values()))
        free_bytes = BYTES - sum(self._bytes.values())
        return own * part >= free or own_bytes * part >= free_bytes
