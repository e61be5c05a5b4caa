"""Names of stored things that sort by time; not secrets, though nobody can guess one."""

from __future__ import annotations

import os
from collections import deque
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 7
_RANDOM_BYTES = 9
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)
"""Ten bits at a time, as there is an id for each delivery: `base64` takes five times as long."""

_drawn: deque[bytes] = deque()
"""Random bytes that no id has yet, drawn for some hundred at a time: each question to the kernel lets go of Python's
lock, which under load costs more than all the rest of an id. `deque.pop` is safe between threads."""

_DRAWN_AT_ONCE = 256
_PADDING = 2
_PLACES = range(120, -1, -10)


def new_id(prefix: str, now: datetime) -> str:
    """`prefix`, an underscore and 26 characters of base32hex: 56 bits of microseconds, then 72 random bits.

    The bits last until the year 4253.
    Ids of one prefix sort as their times do, in the database as in Python. `now` is aware UTC. Prefixes in use:
    d delivery, e event, b build, x decision, n notification, t transition, k token.
    """
    time = microseconds(now).to_bytes(_TIME_BYTES, "big")
    try:
        drawn = _drawn.pop()
    except IndexError:
        drawn = _draw()
    bits = int.from_bytes(time + drawn, "big") << _PADDING
    return prefix + "_" + "".join([_PAIRS[bits >> place & 1023] for place in _PLACES])


def _draw() -> bytes:
    fresh = os.urandom(_RANDOM_BYTES * _DRAWN_AT_ONCE)
    first, *more = (fresh[start : start + _RANDOM_BYTES] for start in range(0, len(fresh), _RANDOM_BYTES))
    _drawn.extend(more)
    return first


os.register_at_fork(after_in_child=_drawn.clear)  # a child must not give the same ids as its parent


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact (a float of seconds is not). `ValueError` for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without time zone cannot be stored; use datetime.now(UTC)")
    return (moment - EPOCH) // _MICROSECOND
