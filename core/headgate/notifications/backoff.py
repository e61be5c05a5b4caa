"""When to tell again after a failure; pure, and not how often it was tried."""

from __future__ import annotations

from datetime import datetime, timedelta

TRIES = 12
"""Tries before news is given up: about 22 hours after the first."""

_FIRST = timedelta(seconds=5)
_GROWTH = 2.5
_JITTER = 0.2
_LONGEST = timedelta(days=1)
_SHORTEST = timedelta(seconds=1)


def next_try(failures: int, now: datetime, *, chance: float, asked: datetime | None = None) -> datetime | None:
    """When to try again after `failures` (from 1) failed tries; `None`: give up.

    Five seconds, then 2.5 times as long each time, a fifth more or less by `chance` (0 to 1), so that what
    failed together does not come back together. `asked` is when the target said to come back: never earlier,
    and never more than a day later, whatever it says.
    """
    if failures >= TRIES:
        return None
    wait = _FIRST * _GROWTH ** (failures - 1) * (1 - _JITTER + 2 * _JITTER * chance)
    if asked is not None:
        wait = max(asked - now, _SHORTEST) + _FIRST * _JITTER * chance
    return now + min(wait, _LONGEST)
