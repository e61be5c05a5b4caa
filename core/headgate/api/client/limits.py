"""How a provider says how much may still be asked, and when it has had enough; not what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeAlias

import msgspec

from headgate.api.client.answers import Answer, Headers

_MOST_DIGITS = 10
"""Seconds, or an epoch that `datetime` can hold."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What may still be asked. `near`: the provider itself says that it is little."""

    remaining: int | None = None
    reset_at: datetime | None = None
    near: bool = False


BudgetReader: TypeAlias = Callable[[Headers, datetime], Budget | None]


def no_budget(headers: Headers, now: datetime) -> Budget | None:  # noqa: ARG001 - a reader's signature
    """The provider does not tell beforehand."""
    return None


def one_budget(path: str) -> str:  # noqa: ARG001 - the signature of `RateLimits.resource`
    """All paths share one budget."""
    return ""


def budget_headers(*, remaining: str, reset: str, in_seconds: bool = False) -> BudgetReader:
    """A reader for two headers, named in lower case: `reset` is an epoch, or seconds from now with `in_seconds`."""

    def read(headers: Headers, now: datetime) -> Budget | None:
        left, until = _number(headers.get(remaining)), _number(headers.get(reset))
        if left is None or until is None:
            return None
        return Budget(remaining=left, reset_at=now + timedelta(seconds=until) if in_seconds else _epoch(until))

    return read


def near_header(name: str) -> BudgetReader:
    """A reader for a header, named in lower case, that is `true` when little is left."""

    def read(headers: Headers, now: datetime) -> Budget | None:  # noqa: ARG001 - a reader's signature
        return Budget(near=headers[name].strip().lower() == "true") if name in headers else None

    return read


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's ways to limit.

    `statuses` are always a limit; those of `sometimes` when `Retry-After`, a budget of 0 or one of `words` says so.
    `resource` gives the name of the budget that a path draws on.
    """

    budget: BudgetReader = no_budget
    resource: Callable[[str], str] = one_budget
    statuses: frozenset[int] = frozenset({429})
    sometimes: frozenset[int] = frozenset()
    words: tuple[str, ...] = ("rate limit",)
    pause: timedelta = timedelta(minutes=1)
    """When nothing says for how long."""
    longest: timedelta = timedelta(hours=2)
    """A header that says more is not believed."""

    def ends_at(self, answer: Answer, words: str, now: datetime) -> datetime | None:
        """When the limit that refused this request ends, aware UTC; `None`: it was no limit.

        `words`: what the answer says. First `Retry-After` counts, then the reset of a spent budget, then `pause`.
        """
        if answer.status not in self.statuses and answer.status not in self.sometimes:
            return None
        if (after := retry_after(answer.headers, now)) is not None:
            return min(after, now + self.longest)
        budget = self.budget(answer.headers, now)
        if budget is not None and budget.remaining == 0 and budget.reset_at is not None:
            return min(max(budget.reset_at, now), now + self.longest)
        if answer.status in self.statuses or any(word in words.lower() for word in self.words):
            return now + self.pause
        return None


def retry_after(headers: Headers, now: datetime) -> datetime | None:
    """The header as a moment (RFC 9110 10.2.3: seconds or a date); `None` when absent, odd or a date that is over."""
    text = headers.get("retry-after", "").strip()
    if (seconds := _number(text)) is not None:
        try:
            return now + timedelta(seconds=seconds)
        except OverflowError:
            return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if moment >= now else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
