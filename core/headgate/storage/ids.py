"""Names of stored things that sort by time; not secrets, though nobody can guess one."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_BYTES = 7
_RANDOM_BYTES = 9


def new_id(prefix: str, now: datetime) -> str:
    """`prefix`, an underscore and 26 characters of base32hex: 56 bits of microseconds, then 72 random bits.

    Ids of one prefix sort as their times do, in the database as in Python. `now` is aware UTC. Prefixes in use:
    d delivery, e event, b build, x decision, n notification, t transition, k token.
    """
    time = microseconds(now).to_bytes(_TIME_BYTES, "big")
    text = base64.b32hexencode(time + os.urandom(_RANDOM_BYTES)).rstrip(b"=")
    return f"{prefix}_{text.decode().lower()}"


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact (a float of seconds is not). `ValueError` for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without time zone cannot be stored; use datetime.now(UTC)")
    return (moment - EPOCH) // _MICROSECOND
