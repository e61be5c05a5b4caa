"""Webhook requests as evidence, each kept once and settled once; not what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec
import sqlalchemy as sa

from headgate.api import Delivery
from headgate.storage import dialect
from headgate.storage.columns import storable
from headgate.storage.connection import Many, Reading, Together, Writing
from headgate.storage.pages import Page, page_of
from headgate.storage.tables import DEDUPE, deliveries, delivery_contents, delivery_digests, is_literally

DeliveryState: TypeAlias = Literal["recorded", "routed", "ignored", "unreadable"]


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is the sender's own id (`Seal.key`), `event` the word it calls the event by, for lists.

    `state` and `reason`: what is known already of one that needs no routing, which is then settled as it is recorded.
    `replay_window`: seconds for which the same body is the same delivery, whatever its key; `None`: it may come again.
    """

    delivery: Delivery
    key: str | None = None
    event: str | None = None
    replay_of: str | None = None
    state: Literal["recorded", "ignored", "unreadable"] = "recorded"
    reason: str = ""
    replay_window: float | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """`duplicate_of` is the delivery that had this key before; then nothing was recorded."""

    id: str
    duplicate_of: str | None = None


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery in a list: without headers and body."""

    id: str
    connection: str
    received_at: datetime
    key: str | None
    event: str | None
    state: DeliveryState
    reason: str
    settled_at: datetime | None
    replay_of: str | None


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery and what became of it. `reason` says why it was ignored or could not be read."""

    delivery: Delivery
    key: str | None
    event: str | None
    state: DeliveryState
    reason: str
    settled_at: datetime | None
    replay_of: str | None

    @property
    def summary(self) -> DeliverySummary:
        """What a list shows of it."""
        return DeliverySummary(
            id=self.delivery.id,
            connection=self.delivery.connection,
            received_at=self.delivery.received_at,
            key=self.key,
            event=self.event,
            state=self.state,
            reason=self.reason,
            settled_at=self.settled_at,
            replay_of=self.replay_of,
        )


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery."""

    id: str
    state: Literal["routed", "ignored", "unreadable"]
    reason: str = ""
    at: datetime


_SUMMARY = [column for column in deliveries.columns]  # noqa: C416 - a list of columns, not of names
_CONTENT = [column for column in delivery_contents.columns if column.name != "delivery_id"]


async def record(conn: Writing, new: Sequence[NewDelivery]) -> Sequence[Recorded]:
    """Record each, or say which earlier one, here or in the database, has its (connection, key). For `Writer.add`."""
    replayed = await _replayed(conn, [one for one in new if one.replay_window is not None])
    if not replayed:
        return await _record_fresh(conn, new)
    fresh = await _record_fresh(conn, [one for one in new if one.delivery.id not in replayed])
    recorded = {one.id: one for one in fresh}
    # Nobody replays the body of a delivery beside it that was a duplicate itself, by its key, and so was not kept.
    not_kept = {one.id for one in fresh if one.duplicate_of}
    again = [one for one in new if replayed.get(one.delivery.id) in not_kept]
    if again:
        recorded |= {one.id: one for one in await record(conn, again)}
    ids = [one.delivery.id for one in new]
    return [recorded.get(one) or Recorded(id=one, duplicate_of=replayed[one]) for one in ids]


async def _record_fresh(conn: Writing, new: Sequence[NewDelivery]) -> Sequence[Recorded]:
    kept = {one.delivery.id for one in new}
    # Counted, and asked for only when some are missing: a RETURNING would give up Python's lock for every row.
    if await conn.execute_many(_RECORD, [_row(one) for one in new]) < len(new):
        kept = {row["id"] for row in await _THERE.ask(conn, {"ids": list(kept)})}
    await conn.execute_many(_RECORD_CONTENT, [_content_row(one.delivery) for one in new if one.delivery.id in kept])
    watched = [one for one in new if one.replay_window is not None and one.delivery.id in kept]
    await conn.execute_many(_RECORD_DIGEST, [_digest_row(one) for one in watched])
    if len(kept) == len(new):
        return [Recorded(id=one.delivery.id) for one in new]
    first = await _known(conn, [one for one in new if one.delivery.id not in kept])
    return [
        Recorded(id=one.delivery.id, duplicate_of=None if one.delivery.id in kept else first[_dedupe_key(one)])
        for one in new
    ]


_RECORD = Many(dialect.insert_unless(deliveries, *DEDUPE))
_IDS = dialect.each("ids")
_THERE = Together(sa.select(deliveries.c.id).join(_IDS, deliveries.c.id == _IDS.c.value))
_RECORD_CONTENT = Many(sa.insert(delivery_contents))


async def _replayed(conn: Reading, new: Sequence[NewDelivery]) -> dict[str, str]:
    """Those whose body came before within their window, with the delivery it came by, here or in the database."""
    found: dict[str, str] = {}
    here: dict[tuple[str, bytes], str] = {}
    for one in new:
        connection, digest = one.delivery.connection, _digest(one)
        since = one.delivery.received_at - timedelta(seconds=one.replay_window or 0)
        values = {"connection": connection, "digest": digest, "since": since}
        first = here.get((connection, digest)) or (await conn.execute(_FIRST_OF_DIGEST, values)).scalar()
        if first is None:
            here[connection, digest] = one.delivery.id
        else:
            found[one.delivery.id] = first
    return found


_FIRST_OF_DIGEST = (
    sa.select(delivery_digests.c.delivery_id)
    .where(
        delivery_digests.c.connection == sa.bindparam("connection"),
        delivery_digests.c.digest == sa.bindparam("digest"),
        delivery_digests.c.received_at >= sa.bindparam("since"),
    )
    .order_by(delivery_digests.c.delivery_id)
    .limit(1)
)
_RECORD_DIGEST = Many(sa.insert(delivery_digests))


def _digest(one: NewDelivery) -> bytes:
    return hashlib.sha256(one.delivery.body).digest()


async def pending(
    conn: Reading, *, limit: int, size: int | None = None, start: str = "", without: Sequence[str] = ()
) -> tuple[DeliveryRecord, ...]:
    """The oldest that nobody settled, from the id `start` on; but for those of some connections.

    No more than `limit`, and none after those whose bodies have `size` bytes together.
    """
    wanted = [deliveries.c.state == "recorded", deliveries.c.id >= start]
    if without:
        wanted.append(deliveries.c.connection.not_in(without))
    if size is not None and (last := await _last_within(conn, wanted, limit, size)):
        wanted.append(deliveries.c.id <= last)
    found = await conn.execute(_whole().where(*wanted).order_by(deliveries.c.id).limit(limit))
    return tuple(_record(row) for row in found)


async def _last_within(conn: Reading, wanted: Sequence[sa.ColumnElement[bool]], limit: int, size: int) -> str | None:
    """The id with which the bodies reach `size` bytes, without reading one of them."""
    length = sa.func.length(delivery_contents.c.body).label("length")
    query = sa.select(deliveries.c.id, length).join_from(deliveries, delivery_contents).where(*wanted)
    for row in await conn.execute(query.order_by(deliveries.c.id).limit(limit)):
        size -= row.length
        if size <= 0:
            return str(row.id)
    return None


async def waiting(conn: Reading) -> int:
    """How many nobody settled."""
    query = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state == "recorded")
    found: int = (await conn.execute(query)).scalar_one()
    return found


async def recorded_keys(conn: Reading, connection: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of `keys` that a delivery of the connection has."""
    names = sorted({storable(key) for key in keys})
    found: set[str] = set()
    for part in dialect.chunks(len(names)):
        query = sa.select(deliveries.c.key).where(
            deliveries.c.connection == connection, deliveries.c.key.in_(names[part])
        )
        found.update(row.key for row in await conn.execute(query))
    return frozenset(key for key in keys if storable(key) in found)


async def settle(conn: Writing, settled: Sequence[Settled]) -> dict[str, int]:
    """Say what became of each; only a recorded one changes. What became of many alike is written at once.

    Gives how many changed for each id: 0 means it was settled before, and what a second routing would write must
    not be written.
    """
    changed = {one.id: 0 for one in settled}
    alike: dict[tuple[str, str], list[Settled]] = {}
    for one in {one.id: one for one in reversed(settled)}.values():  # of two for the same id the first stands
        alike.setdefault((one.state, storable(one.reason)), []).append(one)
    for (state, reason), those in alike.items():
        ids, moment = [one.id for one in those], max(one.at for one in those)
        changed.update((row["id"], 1) for row in await _UNSETTLED.ask(conn, {"ids": ids}))
        await conn.execute(_SETTLE, {"ids": ids, "new_state": state, "new_reason": reason, "moment": moment})
    return changed


_IS_RECORDED = deliveries.c.state + "" == "recorded"  # not by the index of all that are: by the ids
_SETTLE = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(sa.select(_IDS.c.value)), _IS_RECORDED)
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"), settled_at=sa.bindparam("moment"))
)
_UNSETTLED = Together(sa.select(deliveries.c.id).join(_IDS, deliveries.c.id == _IDS.c.value).where(_IS_RECORDED))


async def get(conn: Reading, id: str) -> DeliveryRecord | None:  # noqa: A002 - the word everybody says
    """One, with headers and body."""
    row = (await conn.execute(_whole().where(deliveries.c.id == id))).first()
    return _record(row) if row else None


async def page(
    conn: Reading,
    *,
    cursor: str | None = None,
    limit: int = 50,
    connection: str | None = None,
    state: DeliveryState | None = None,
) -> Page[DeliverySummary]:
    """Newest first, of one connection or state when asked."""
    query = sa.select(deliveries).order_by(deliveries.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(deliveries.c.id < cursor)
    if connection is not None and state is not None:
        query = query.where(*_of_connection_and_state(connection, state))
    elif connection is not None:
        query = query.where(deliveries.c.connection == connection)
    elif state is not None:
        query = query.where(deliveries.c.state == state)
    found = [DeliverySummary(**row) for row in (await conn.execute(query)).mappings()]
    return page_of(found, [one.id for one in found], limit)


def _of_connection_and_state(connection: str, state: DeliveryState) -> tuple[sa.ColumnElement[bool], ...]:
    """Both, by the index that leaves little to look at, whatever SQLite believes: an expression uses no index.

    What was routed is most of any connection's; the other states are few of all, but for what was ignored, which
    has an index by connection.
    """
    if state == "ignored":
        return deliveries.c.connection == connection, is_literally(deliveries.c.state, state)
    if state == "routed":
        return deliveries.c.connection == connection, deliveries.c.state + "" == state
    return deliveries.c.connection + "" == connection, deliveries.c.state == state


async def _known(conn: Reading, duplicates: Sequence[NewDelivery]) -> dict[tuple[str, str | None], str]:
    """The first of each (connection, key), by it."""
    keys = list({_dedupe_key(one) for one in duplicates})
    known: dict[tuple[str, str | None], str] = {}
    for part in dialect.chunks(len(keys)):
        found = await conn.execute(
            sa.select(deliveries.c.connection, deliveries.c.key, deliveries.c.id).where(
                sa.tuple_(deliveries.c.connection, deliveries.c.key).in_(keys[part])
            )
        )
        known.update(((row.connection, row.key), row.id) for row in found)
    return known


def _dedupe_key(one: NewDelivery) -> tuple[str, str | None]:
    return one.delivery.connection, None if one.key is None else storable(one.key)


def _row(one: NewDelivery) -> dict[str, object]:
    return {
        "id": one.delivery.id,
        "connection": one.delivery.connection,
        "key": None if one.key is None else storable(one.key),
        "received_at": one.delivery.received_at,
        "event": None if one.event is None else storable(one.event),
        "state": one.state,
        "reason": storable(one.reason),
        "settled_at": None if one.state == "recorded" else one.delivery.received_at,
        "replay_of": one.replay_of,
    }


def _digest_row(one: NewDelivery) -> dict[str, object]:
    return {
        "connection": one.delivery.connection,
        "digest": _digest(one),
        "delivery_id": one.delivery.id,
        "received_at": one.delivery.received_at,
    }


def _content_row(delivery: Delivery) -> dict[str, object]:
    return {
        "delivery_id": delivery.id,
        "method": delivery.method,
        "hook": storable(delivery.hook),
        "query": delivery.query,
        "remote": delivery.remote,
        "headers": delivery.headers,
        "body": delivery.body,
    }


def _whole() -> sa.Select[tuple[object, ...]]:
    return sa.select(*_SUMMARY, *_CONTENT).join_from(deliveries, delivery_contents)


def _record(row: sa.Row[tuple[object, ...]]) -> DeliveryRecord:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's documented name
    return DeliveryRecord(
        delivery=Delivery(
            id=values["id"],
            connection=values["connection"],
            received_at=values["received_at"],
            headers=values["headers"],
            body=values["body"],
            remote=values["remote"],
            method=values["method"],
            hook=values["hook"],
            query=values["query"],
        ),
        key=values["key"],
        event=values["event"],
        state=values["state"],
        reason=values["reason"],
        settled_at=values["settled_at"],
        replay_of=values["replay_of"],
    )
