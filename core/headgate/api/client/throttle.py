"""Keeps within a provider's limits: one at a time when little is left, waiting when nothing is; it reads no headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime

from headgate.api.client.limits import Budget

Sleep = Callable[[float], Awaitable[None]]


class Spent(Exception):
    """The budget is used up for longer than the caller waits."""

    def __init__(self, until: datetime) -> None:
        """`until`: aware UTC."""
        self.until = until
        super().__init__(f"nothing may be asked before {until:%Y-%m-%d %H:%M:%S} UTC")


class Throttle:
    """The budgets of one client, by resource."""

    def __init__(
        self, *, near: int, now: Callable[[], datetime], sleep: Sleep, waited: Callable[[float], None]
    ) -> None:
        """`near`: with so many requests left they queue; `waited` is told the seconds before they are waited."""
        self._near = near
        self._now = now
        self._sleep = sleep
        self._waited = waited
        self._lanes: dict[str, _Lane] = {}
        self._closed_until: datetime | None = None

    @asynccontextmanager
    async def turn(self, resource: str, *, patience: float) -> AsyncIterator[None]:
        """Around one request: waits for its turn and for the budget; raises `Spent` when that takes too long.

        In the queue each request learns what the one before it left, so the budget is not overdrawn.
        """
        lane = self._lanes.setdefault(resource, _Lane())
        async with lane.queue if lane.is_near(self._near, self._now()) else nullcontext():
            await self._wait(lane, patience)
            yield

    def learn(self, resource: str, budget: Budget) -> None:
        """What an answer said is left. Answers may overtake each other: within one period the least counts."""
        lane = self._lanes.setdefault(resource, _Lane())
        known = lane.budget
        same_period = known is not None and known.reset_at == budget.reset_at and known.reset_at is not None
        if known is not None and same_period and _left(known) < _left(budget):
            return
        lane.budget = budget

    def close(self, resource: str | None, until: datetime) -> None:
        """Nothing of `resource` before `until`; `None`: nothing at all."""
        if resource is None:
            self._closed_until = _later(self._closed_until, until)
        else:
            lane = self._lanes.setdefault(resource, _Lane())
            lane.closed_until = _later(lane.closed_until, until)

    async def _wait(self, lane: _Lane, patience: float) -> None:
        until = max(filter(None, (self._closed_until, lane.closed_until, lane.spent_until())), default=None)
        if until is None or (seconds := (until - self._now()).total_seconds()) <= 0:
            return
        if seconds > patience:
            raise Spent(until)
        self._waited(seconds)
        await self._sleep(seconds)


class _Lane:
    """One resource. `queue` is held around a request while little is left."""

    def __init__(self) -> None:
        self.queue = asyncio.Lock()
        self.budget: Budget | None = None
        self.closed_until: datetime | None = None

    def is_near(self, near: int, now: datetime) -> bool:
        if self.budget is None or (self.budget.reset_at is not None and self.budget.reset_at <= now):
            return False
        return self.budget.near or _left(self.budget) <= near

    def spent_until(self) -> datetime | None:
        return self.budget.reset_at if self.budget is not None and _left(self.budget) <= 0 else None


def _left(budget: Budget) -> float:
    return float("inf") if budget.remaining is None else budget.remaining


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
