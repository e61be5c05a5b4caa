"""News kept until told, the newest of each order only; not how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
import sqlalchemy as sa

from headgate.api import Build, Phase
from headgate.storage import dialect
from headgate.storage.columns import storable
from headgate.storage.connection import Many, Reading, Writing
from headgate.storage.pages import Page, page_of
from headgate.storage.tables import is_literally, notifications

NotificationState: TypeAlias = Literal["waiting", "told", "superseded", "dead"]


class NewNotification(msgspec.Struct, frozen=True, kw_only=True):
    """`build` is the build as it was then. Of equal `order_key`s only the highest `sequence` need be told."""

    id: str
    build_id: str
    notifier: str
    options: dict[str, Any]
    phase: Phase
    order_key: str
    sequence: int
    build: Build
    created_at: datetime


class NotificationRecord(NewNotification, frozen=True, kw_only=True):
    """`attempts` counts the failed ones; `dead`: given up, until somebody says `retry`."""

    state: NotificationState
    attempts: int
    next_attempt_at: datetime
    last_error: str | None


_WAITING = is_literally(notifications.c.state, "waiting")


async def add(conn: Writing, new: Sequence[NewNotification]) -> None:
    """Keep them, due at once."""
    if new:
        await conn.execute_many(_ADD, [_row(one) for one in new])


_ADD = Many(sa.insert(notifications))


async def due(
    conn: Reading,
    now: datetime,
    limit: int,
    *,
    without: Sequence[str] = (),
    past: Sequence[NotificationRecord] = (),
) -> tuple[NotificationRecord, ...]:
    """What to tell now, longest due first; nothing of the notifiers `without`, nor what is for the same as one of `past`.

    For the same: by the same notifier with the same options, of builds of the same connection.

    Of each `order_key` it is the newest that waits, and nothing older than what was told already. What that leaves
    behind is marked superseded, so this runs inside a unit of the writer.
    """
    newer = notifications.alias("newer")
    await conn.execute(
        sa.update(notifications)
        .where(
            _WAITING,
            notifications.c.next_attempt_at <= now,
            sa.exists().where(
                newer.c.order_key == notifications.c.order_key,
                newer.c.sequence > notifications.c.sequence,
                newer.c.state.in_(("waiting", "told")),
            ),
        )
        .values(state="superseded")
    )
    query = sa.select(notifications).where(_WAITING, notifications.c.next_attempt_at <= now)
    if without:
        query = query.where(notifications.c.notifier.not_in(without))
    for one in past:
        query = query.where(
            (notifications.c.notifier != one.notifier)
            | (notifications.c.options != one.options)
            | (dialect.field(notifications.c.build, "connection") != one.build.connection)
        )
    found = await conn.execute(query.order_by(notifications.c.next_attempt_at, notifications.c.id).limit(limit))
    return tuple(NotificationRecord(**row) for row in found.mappings())


async def told(conn: Reading, id: str) -> bool:  # noqa: A002 - the word everybody says
    """It arrived, even if it was superseded meanwhile. `False`: it was told or given up before."""
    return await _change(conn, id, ("waiting", "superseded"), {"state": "told", "last_error": None})


async def failed(conn: Reading, id: str, error: str, next_attempt_at: datetime | None) -> bool:  # noqa: A002 - the word everybody says
    """It did not arrive: try again then; `None`: give it up. `False`: it no longer waits."""
    values: dict[str, Any] = {"attempts": notifications.c.attempts + 1, "last_error": storable(error)}
    values |= {"state": "dead"} if next_attempt_at is None else {"next_attempt_at": next_attempt_at}
    return await _change(conn, id, ("waiting",), values)


async def postponed(conn: Reading, id: str, error: str, next_attempt_at: datetime) -> bool:  # noqa: A002 - the word everybody says
    """It was not tried: no earlier than then. `False`: it no longer waits."""
    return await _change(conn, id, ("waiting",), {"last_error": storable(error), "next_attempt_at": next_attempt_at})


async def retry(conn: Reading, id: str) -> bool:  # noqa: A002 - the word everybody says
    """Let one that was given up wait again, due at once, with all its attempts. `False`: it was not given up."""
    values = {"state": "waiting", "attempts": 0, "next_attempt_at": notifications.c.created_at}
    return await _change(conn, id, ("dead",), values)


async def get(conn: Reading, id: str) -> NotificationRecord | None:  # noqa: A002 - the word everybody says
    """One by its id."""
    row = (await conn.execute(sa.select(notifications).where(notifications.c.id == id))).mappings().first()
    return NotificationRecord(**row) if row else None


async def of_build(conn: Reading, build_id: str) -> tuple[NotificationRecord, ...]:
    """All news of one build, oldest first."""
    query = sa.select(notifications).where(notifications.c.build_id == build_id).order_by(notifications.c.id)
    return tuple(NotificationRecord(**row) for row in (await conn.execute(query)).mappings())


async def page(
    conn: Reading,
    *,
    cursor: str | None = None,
    limit: int = 50,
    state: NotificationState | None = None,
) -> Page[NotificationRecord]:
    """Newest first, of one state when asked."""
    query = sa.select(notifications).order_by(notifications.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(notifications.c.id < cursor)
    if state is not None:
        query = query.where(is_literally(notifications.c.state, state))
    found = [NotificationRecord(**row) for row in (await conn.execute(query)).mappings()]
    return page_of(found, [one.id for one in found], limit)


async def next_attempt(conn: Reading) -> datetime | None:
    """When the next that waits is due; `None`: nothing waits."""
    query = sa.select(sa.func.min(notifications.c.next_attempt_at)).where(_WAITING)
    moment: datetime | None = (await conn.execute(query)).scalar()
    return moment


async def _change(
    conn: Reading,
    id: str,  # noqa: A002 - the word everybody says
    states: Sequence[NotificationState],
    values: dict[str, Any],
) -> bool:
    changed = await conn.execute(
        sa.update(notifications)
        .where(notifications.c.id == id, notifications.c.state.in_(states))
        .values(**values)
        .returning(notifications.c.id)
    )
    return changed.first() is not None


def _row(one: NewNotification) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(one, name) for name in NewNotification.__struct_fields__}
    return row | {"state": "waiting", "attempts": 0, "next_attempt_at": one.created_at, "last_error": None}
