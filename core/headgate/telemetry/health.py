"""Which parts of the server work, and why not; not whether builds succeed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["ok", "degraded", "down"]

SHOWN: Final = 3
"""Repositories of which a report tells what is wrong."""

_WORST_FIRST: tuple[Status, ...] = ("down", "degraded", "ok")


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part and how it is. `reason` is for an admin, empty when all is well."""

    name: str
    status: Status
    reason: str = ""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """All parts, sorted by name; `status` is the worst of them."""

    status: Status
    components: tuple[Component, ...]

    @property
    def ready(self) -> bool:
        """Whether work may be sent here: nothing is down. Degraded parts still leave something useful to do."""
        return self.status != "down"


class Health:
    """A board that parts of the server write their state on. An expected part that never reports counts as down."""

    def __init__(self, *, expected: Iterable[str] = ()) -> None:
        """`expected`: parts that must report before the server is ready."""
        self._components = {
            name: Component(name=name, status="down", reason="it has not started yet") for name in expected
        }

    def set(self, component: str, status: Status, reason: str = "") -> None:
        """Replace what is known about one part. `reason` says what an admin can do, for anything but ok."""
        self._components[component] = Component(name=component, status=status, reason=reason)

    def remove(self, component: str) -> None:
        """Forget a part that was configured away."""
        self._components.pop(component, None)

    def report(self) -> HealthReport:
        """How everything is right now."""
        # A copy, because plugins' components come and go in other threads as well (`plugins.guard`).
        components = tuple(component for _, component in sorted(self._components.copy().items()))
        found = {component.status for component in components}
        worst: Status = next((status for status in _WORST_FIRST if status in found), "ok")
        return HealthReport(status=worst, components=components)


def summary(troubles: Mapping[str, str], *before: str) -> str:
    """A reason for a component: what is said `before` all, then of the first repositories, and how many more there are."""
    texts = [*before, *(f"{repository}: {text}" for repository, text in list(troubles.items())[:SHOWN])]
    if len(troubles) > SHOWN:
        texts.append(f"{len(troubles) - SHOWN} more repositories")
    return "; ".join(texts)
