"""Until when the answer of a plugin's call is awaited, so that what it asks of others gives up before; not who waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float | None] = ContextVar("headgate_until", default=None)
"""By `time.monotonic`, for this task and those it starts."""


@contextmanager
def due_within(seconds: float) -> Iterator[None]:
    """What is done inside has so many seconds, or fewer where there was a nearer end already."""
    left = seconds_left()
    token = _UNTIL.set(time.monotonic() + (seconds if left is None else min(seconds, left)))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def seconds_left() -> float | None:
    """Seconds until the host gives up the call this is done for; `None`: nobody waits, or not any more.

    What a plugin goes on with when its call is over is done for nobody, and has its own time.
    """
    until = _UNTIL.get()
    left = None if until is None else until - time.monotonic()
    return left if left is None or left > 0 else None
