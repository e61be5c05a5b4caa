"""Why an attempt ends before its time, and which reason wins; not how it ends (`attempt`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

StopKind: TypeAlias = Literal["timed_out", "cancelled", "handed_back", "fenced"]
_RANK: Mapping[StopKind, int] = {"timed_out": 0, "cancelled": 1, "handed_back": 2, "fenced": 3}


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """One reason, in a sentence for the build."""

    kind: StopKind
    reason: str

    def outranks(self, other: Stop | None) -> bool:
        """Whether this one overtakes `other`; the first of equals stands."""
        return other is None or _RANK[self.kind] > _RANK[other.kind]
