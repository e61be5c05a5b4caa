"""What the API asks for and several rooms do together: cancel and replay; not how each does its part."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace

from headgate.api.builds import Build
from headgate.api.errors import NotFound
from headgate.builds.worker import Worker
from headgate.storage import deliveries
from headgate.storage.database import Database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id


class Desk:
    """The admin's wishes, carried out."""

    def __init__(
        self,
        *,
        database: Database,
        worker: Worker,
        route: Callable[[NewDelivery], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """`route` takes a recorded delivery through the flow."""
        self._database = database
        self._worker = worker
        self._route = route
        self._now = now

    async def cancel_build(self, build_id: str, *, actor: str, reason: str) -> Build:
        """End a build. Idempotent; `NotFound` when there is none."""
        said = f"cancelled by {actor}" + (f": {reason}" if reason else "")
        _, build = await self._worker.cancel(build_id, said)
        if build is None:
            raise NotFound(f"there is no build {build_id}; `headgate builds` lists them")
        return build

    async def replay(self, delivery_id: str, *, actor: str, idempotency_key: str | None = None) -> str:
        """Record a kept delivery once more, as a new one, and route it; gives the new delivery's id.

        The same actor, delivery and `idempotency_key` give the same new delivery.
        """
        async with self._database.reading() as connection:
            kept = await deliveries.get(connection, delivery_id)
        if kept is None:
            raise NotFound(f"there is no delivery {delivery_id}; `headgate deliveries` lists them")
        now = self._now()
        again = NewDelivery(
            delivery=replace(kept.delivery, id=new_id("d", now), received_at=now),
            key=_replay_key(delivery_id, actor, idempotency_key),
            event=kept.event,
            replay_of=delivery_id,
        )
        recorded = await self._database.writer.add(deliveries.record, again)
        if recorded.duplicate_of is not None:
            return recorded.duplicate_of
        await self._route(again)
        return again.delivery.id


def _replay_key(delivery_id: str, actor: str, key: str | None) -> str | None:
    """A key no sender can have chosen, so that a replay asked for twice is one."""
    if key is None:
        return None
    return "replay " + hashlib.sha256(f"{delivery_id}\0{actor}\0{key}".encode()).hexdigest()
