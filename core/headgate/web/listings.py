"""Listings of Git hosts as pages: the next page goes on where the last one ended; not what is listed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress
from typing import Any, Final, TypeVar

from headgate.web.problems import Refusal

T = TypeVar("T")

KEPT: Final = 32
"""Listings under way at once; the oldest is given up for a new one."""

KEPT_FOR: Final = 300.0
"""Seconds for which a listing waits to be continued."""

_MOST_DIGITS: Final = 9


class Listings:
    """A cursor is the number of items seen, so it means the same to every server.

    While the listing is still open here it is continued; otherwise it is begun again and passed over up to there.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: for tests to turn."""
        self._monotonic = monotonic
        self._open: dict[tuple[Hashable, int], tuple[float, AsyncIterator[Any]]] = {}

    async def page(
        self, key: Hashable, start: Callable[[], AsyncIterator[T]], *, cursor: str | None, limit: int
    ) -> tuple[tuple[T, ...], str | None]:
        """Up to `limit` items from `cursor` on, and the cursor of the page after, `None` at the end.

        `key` says what is listed, `start` begins it. Raises what the listing raises, and a 400 `Refusal` for a cursor
        that is none.
        """
        seen = _position(cursor)
        await self._forget()
        _, items = self._open.pop((key, seen), (0.0, None))
        if items is None:
            items = start()
            for _ in range(seen):
                if await anext(items, _END) is _END:
                    return (), None
        found: list[T] = []
        while len(found) < limit:
            one = await anext(items, _END)
            if one is _END:
                return tuple(found), None
            found.append(one)  # type: ignore[arg-type]  # not the end
        self._open[key, seen + limit] = (self._monotonic() + KEPT_FOR, items)
        return tuple(found), str(seen + limit)

    async def _forget(self) -> None:
        now = self._monotonic()
        old = [place for place, (until, _) in self._open.items() if until < now]
        for place in [*old, *list(self._open)[: max(0, len(self._open) - len(old) - KEPT + 1)]]:
            _, items = self._open.pop(place, (0.0, None))
            if items is not None and hasattr(items, "aclose"):
                with suppress(Exception):  # it is given up; what it says to that is of no interest
                    await items.aclose()


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _MOST_DIGITS):
        raise Refusal(400, "The cursor is none of ours; take `next` of the page before.")
    return int(cursor)


_END: Final = object()
