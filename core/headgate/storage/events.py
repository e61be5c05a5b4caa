"""Facts as they were understood; not the deliveries they came in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from headgate.api import ChangeRequest, CiStatus, Comment, Event, Manual, Observer, Push, Tag, event_type
from headgate.storage.connection import Many, Reading, Writing
from headgate.storage.tables import events


class EventRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An event and where it came from. `repository` is the normalised key; `None` for events without one."""

    id: str
    event: Event
    connection: str | None
    repository: str | None
    observer: Observer
    delivery_id: str | None = None
    transition_id: str | None = None
    created_at: datetime


async def add(conn: Writing, new: Sequence[EventRecord]) -> None:
    """Keep them."""
    if new:
        await conn.execute_many(_ADD, [_row(one) for one in new])


_ADD = Many(sa.insert(events))


async def get(conn: Reading, id: str) -> EventRecord | None:  # noqa: A002 - the word everybody says
    """One by its id."""
    row = (await conn.execute(sa.select(events).where(events.c.id == id))).mappings().first()
    return _record(row) if row else None


async def of_delivery(conn: Reading, delivery_id: str) -> tuple[EventRecord, ...]:
    """All that one delivery said, in order."""
    found = await conn.execute(sa.select(events).where(events.c.delivery_id == delivery_id).order_by(events.c.id))
    return tuple(_record(row) for row in found.mappings())


def sha_of(event: Event) -> str | None:
    """The commit an event is about, to find its decisions by."""
    match event:
        case Push():
            return event.after
        case Tag():
            return event.sha
        case ChangeRequest():
            return event.source.sha
        case Comment() | CiStatus() | Manual():
            return event.sha
        case _:
            return None


def _row(one: EventRecord) -> dict[str, object]:
    return {
        "id": one.id,
        "type": event_type(one.event),
        "event": one.event,
        "connection": one.connection,
        "repository": one.repository,
        "sha": sha_of(one.event),
        "observer": one.observer,
        "delivery_id": one.delivery_id,
        "transition_id": one.transition_id,
        "created_at": one.created_at,
    }


def _record(row: sa.RowMapping) -> EventRecord:
    values: dict[str, Any] = {name: row[name] for name in EventRecord.__struct_fields__}
    return EventRecord(**values)
