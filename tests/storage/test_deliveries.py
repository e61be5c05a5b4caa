"""Deliveries: recorded once, settled once, given back byte for byte."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
import sqlalchemy as sa

from headgate.storage import deliveries
from headgate.storage.connection import Many
from headgate.storage.deliveries import Recorded, Settled
from headgate.storage.tables import deliveries as table


async def record(database, *new):
    return await database.writer.write(lambda conn: deliveries.record(conn, new))


async def test_a_delivery_comes_back_as_it_came(database, make_delivery):
    new = make_delivery(key="k1", body=bytes(range(256)), hook="notifyCommit", query=(("a", "1"), ("a", "2")))
    assert await record(database, new) == [Recorded(id=new.delivery.id)]
    async with database.reading() as conn:
        found = await deliveries.get(conn, new.delivery.id)
        assert await deliveries.get(conn, "d_unknown") is None
    assert found.delivery == new.delivery
    assert (found.key, found.event, found.state, found.reason, found.settled_at) == ("k1", "push", "recorded", "", None)


async def test_headers_that_are_no_utf8_are_kept_as_evidence(database, make_delivery):
    """aiohttp hands such bytes on as lone surrogates, which neither JSON nor SQLite takes as they are."""
    odd = b"caf\xe9".decode(errors="surrogateescape")
    new = make_delivery(key=odd, headers=(("x-odd", odd),), hook=odd, query=(("q", odd),))
    await record(database, new)
    async with database.reading() as conn:
        found = await deliveries.get(conn, new.delivery.id)
    assert found.delivery.headers == (("x-odd", odd),)
    assert found.delivery.query == (("q", odd),)
    assert found.key == "caf\\udce9"
    again = make_delivery(key=odd)
    assert (await record(database, again))[0].duplicate_of == new.delivery.id


async def test_the_same_key_of_a_connection_is_recorded_once(database, make_delivery):
    first, twin, other = make_delivery(key="k"), make_delivery(key="k"), make_delivery(key="k", connection="other")
    nameless = [make_delivery(), make_delivery()]
    recorded = await record(database, first, twin, other, *nameless)
    assert [one.duplicate_of for one in recorded] == [None, first.delivery.id, None, None, None]
    later = await record(database, make_delivery(key="k"))
    assert later[0].duplicate_of == first.delivery.id
    async with database.reading() as conn:
        assert (await conn.execute(sa.select(sa.func.count()).select_from(table))).scalar() == 4
        assert await deliveries.get(conn, twin.delivery.id) is None


async def test_a_body_is_no_replay_of_a_delivery_that_was_not_kept(database, make_delivery):
    """The first with that body is long ago; told again under its own id, it is a duplicate and says nothing of others."""

    def watched(key, seconds):
        return msgspec.structs.replace(make_delivery(key=key, seconds=seconds), replay_window=60.0)

    first = watched("1", 0)
    await record(database, first)
    again, other, replay = watched("1", 3600), watched("2", 3601), watched("3", 3602)
    found = await record(database, again, other, replay)
    assert [one.duplicate_of for one in found] == [first.delivery.id, None, other.delivery.id]
    async with database.reading() as connection:
        assert (await deliveries.get(connection, other.delivery.id)) is not None


async def test_a_doubled_key_that_is_not_left_out_is_refused(database, make_delivery, monkeypatch):
    """Negative control: `record` leaves duplicates out, and the unique index stands behind it."""
    await record(database, make_delivery(key="k"))
    monkeypatch.setattr(deliveries, "_RECORD", Many(sa.insert(table).returning(table.c.id)))
    with pytest.raises(sqlite3.IntegrityError):
        await record(database, make_delivery(key="k"))


async def test_more_keys_than_one_statement_may_hold(database, make_delivery):
    many = [make_delivery(key=str(number)) for number in range(9_000)]
    await record(database, *many)
    again = await record(database, *(make_delivery(key=str(number)) for number in range(9_000)))
    assert [one.duplicate_of for one in again] == [one.delivery.id for one in many]
    settled = [Settled(id=one.delivery.id, state="routed", at=many[0].delivery.received_at) for one in many]
    changed = await database.writer.write(lambda conn: deliveries.settle(conn, settled))
    assert set(changed.values()) == {1}


async def test_pending_gives_the_oldest_until_they_are_settled(database, make_delivery, now):
    new = [make_delivery(seconds=seconds) for seconds in (3, 1, 2)]
    await record(database, *new)
    async with database.reading() as conn:
        assert [one.delivery for one in await deliveries.pending(conn, limit=2)] == [new[1].delivery, new[2].delivery]
    settled = [Settled(id=new[1].delivery.id, state="ignored", reason="no job", at=now)]
    assert await database.writer.write(lambda conn: deliveries.settle(conn, settled)) == {new[1].delivery.id: 1}
    async with database.reading() as conn:
        assert [one.delivery for one in await deliveries.pending(conn, limit=9)] == [new[2].delivery, new[0].delivery]
        assert [one.delivery for one in await deliveries.pending(conn, limit=9, start=new[0].delivery.id)] == [
            new[0].delivery
        ]
        assert await deliveries.waiting(conn) == 2
        found = await deliveries.get(conn, new[1].delivery.id)
    assert (found.state, found.reason, found.settled_at) == ("ignored", "no job", now)


async def test_pending_gives_no_more_than_fits_and_always_one(database, make_delivery):
    new = [make_delivery(body=b"x" * 100, seconds=number) for number in range(4)]
    await record(database, *new)
    ids = [one.delivery.id for one in new]
    async with database.reading() as conn:
        for size, count in ((1, 1), (100, 1), (101, 2), (300, 3), (400, 4), (9_000, 4), (None, 4)):
            assert [one.delivery.id for one in await deliveries.pending(conn, limit=9, size=size)] == ids[:count]
        found = await deliveries.pending(conn, limit=9, size=150, start=ids[1])
        assert [one.delivery.id for one in found] == ids[1:3]
        assert len(await deliveries.pending(conn, limit=1, size=9_000)) == 1


async def test_a_settled_delivery_stays_as_it_is(database, make_delivery, now):
    new = make_delivery()
    await record(database, new)
    first = Settled(id=new.delivery.id, state="routed", reason="first", at=now)
    second = Settled(id=new.delivery.id, state="ignored", reason="second", at=now)
    await database.writer.write(lambda conn: deliveries.settle(conn, [first, second]))
    changed = await database.writer.write(
        lambda conn: deliveries.settle(conn, [second, Settled(id="d_unknown", state="routed", at=now)])
    )
    assert changed == {new.delivery.id: 0, "d_unknown": 0}
    async with database.reading() as conn:
        assert (await deliveries.get(conn, new.delivery.id)).reason == "first"


async def test_pages_go_from_new_to_old_and_end(database, make_delivery, now):
    new = [make_delivery(seconds=number, connection="ab"[number % 2]) for number in range(7)]
    await record(database, *new)
    ids = [one.delivery.id for one in reversed(new)]
    async with database.reading() as conn:
        seen, cursor = [], None
        while True:
            page = await deliveries.page(conn, cursor=cursor, limit=3)
            seen += [one.id for one in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert seen == ids
        of_b = await deliveries.page(conn, limit=10, connection="b")
        assert [one.id for one in of_b.items] == ids[1::2]
        assert (await deliveries.page(conn, limit=7)).next is None
        assert (await deliveries.page(conn, limit=7, state="routed")).items == ()


async def test_of_many_keys_those_that_are_recorded_are_known_by_the_index(database, make_delivery):
    await record(
        database, make_delivery(key="a"), make_delivery(key="odd \udcff"), make_delivery(key="b", connection="b")
    )
    async with database.reading() as conn:
        keys = ["a", "b", "odd \udcff", *(f"other {number}" for number in range(9_000))]
        assert await deliveries.recorded_keys(conn, "acme", keys) == {"a", "odd \udcff"}
        assert await deliveries.recorded_keys(conn, "acme", []) == frozenset()
        plan = await conn.execute(
            sa.text("EXPLAIN QUERY PLAN SELECT key FROM deliveries WHERE connection = :c AND key IN (:a, :b)"),
            {"c": "acme", "a": "a", "b": "b"},
        )
        assert [row.detail for row in plan] == [
            "SEARCH deliveries USING COVERING INDEX deliveries_key (connection=? AND key=?)"
        ]
