"""One page of a long list, newest first; not the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """`next` is the cursor of the page after this one: the last id on this one; `None`: this is the last page."""

    items: tuple[T, ...]
    next: str | None


def page_of(found: Sequence[T], ids: Sequence[str], limit: int) -> Page[T]:
    """The first `limit` of `found`, which was asked for with one more than `limit`, to see whether there is more."""
    more = len(found) > limit
    return Page(items=tuple(found[:limit]), next=ids[limit - 1] if more else None)
