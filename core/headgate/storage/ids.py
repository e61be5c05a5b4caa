"""Names of stored things that sort by time; not secrets, though nobody can guess one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 7
_RANDOM_BYTES = 9
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = tuple(first + second for first in _DIGITS for second in _DIGITS)
"""Ten bits at a time, as there is an id for each delivery: `base64` takes five times as long."""

_PADDING = 2
_PLACES = range(120, -1, -10)


def new_id(prefix: str, now: datetime) -> str:
    """`prefix`, an underscore and 26 characters of base32hex: 56 bits of microseconds, then 72 random bits.

    The bits last until the year 4253.
    Ids of one prefix sort as their times do, in the database as in Python. `now` is aware UTC. Prefixes in use:
    d delivery, e event, b build, x decision, n notification, t transition, k token.
    """
    time = microseconds(now).to_bytes(_TIME_BYTES, "big")
    bits = int.from_bytes(time + os.urandom(_RANDOM_BYTES), "big") << _PADDING
    return prefix + "_" + "".join([_PAIRS[bits >> place & 1023] for place in _PLACES])


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact (a float of seconds is not). `ValueError` for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without time zone cannot be stored; use datetime.now(UTC)")
    return (moment - EPOCH) // _MICROSECOND
