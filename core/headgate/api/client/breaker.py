"""Leaves a failing host alone for a while and then tries it with one request; it does not judge answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class HostLeftAlone(Exception):
    """The request was not made; the message says why, and for how long."""

    def __init__(self, message: str, *, seconds: int | None) -> None:
        """`seconds` until it is asked again; `None` while the request that tries it is under way."""
        self.seconds = seconds
        super().__init__(message)


class Breaker:
    """Closed → open after `failures` in a row → after `rest` seconds half open: one request → closed or open again."""

    def __init__(self, *, failures: int, rest: float, monotonic: Callable[[], float]) -> None:
        """`rest` and what `monotonic` gives are seconds."""
        self._most = failures
        self._rest = rest
        self._monotonic = monotonic
        self._failures = 0
        self._opened_at: float | None = None
        self._reason = ""
        self._trying = False

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around one request; raises `HostLeftAlone` instead. Call `answered` or `failed` inside.

        A trial that does neither, because its caller was cancelled, leaves the next request to try.
        """
        trial = self._opened_at is not None
        if trial:
            self._check()
            self._trying = True
        try:
            yield
        finally:
            if trial:
                self._trying = False

    def answered(self) -> None:
        """The host is there."""
        self._failures, self._opened_at = 0, None

    def failed(self, reason: str) -> None:
        """It gave no usable answer; `reason` is what others are told while it is left alone."""
        self._failures += 1
        self._reason = reason
        if self._failures >= self._most:
            self._opened_at = self._monotonic()

    def _check(self) -> None:
        left = (self._opened_at or 0.0) + self._rest - self._monotonic()
        if left > 0 or self._trying:
            seconds = math.ceil(left) if left > 0 else None
            when = f"for {seconds} s" if seconds else "until the request that tries it is back"
            reason = f"left alone {when} after {self._failures} failures, the last: {self._reason}"
            raise HostLeftAlone(reason, seconds=seconds)
