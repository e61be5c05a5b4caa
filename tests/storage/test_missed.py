"""How far histories were looked through, and what was asked for again: kept, replaced, forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headgate.storage import missed
from headgate.storage.missed import HookLook, Redelivered

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def asked(delivery, *, connection="hub", repository="acme/web", keyed=True, at=NOW):
    return Redelivered(connection=connection, delivery=delivery, repository=repository, keyed=keyed, asked_at=at)


async def test_the_last_look_replaces_the_one_before(database):
    first = HookLook(connection="hub", repository="acme/web", looked_at=NOW)
    second = HookLook(
        connection="hub", repository="acme/web", looked_at=NOW + timedelta(hours=1), newest_id="9", newest_at=NOW
    )
    for look in (first, second):
        await database.writer.write(lambda conn, look=look: missed.put_look(conn, look))
    async with database.reading() as conn:
        assert await missed.look_of(conn, "hub", "acme/web") == second
        assert await missed.look_of(conn, "hub", "acme/lib") is None
        assert await missed.look_of(conn, "bub", "acme/web") is None


async def test_what_was_asked_for_is_known_of_its_connection_until_it_is_forgotten(database):
    later = NOW + timedelta(days=2)
    rows = [asked("a"), asked("b"), asked("b", at=later), asked("odd \udcff"), asked("a", connection="other")]
    for row in rows:
        await database.writer.write(lambda conn, row=row: missed.put_redelivered(conn, row))
    many = ["a", "b", "odd \udcff", *(f"other {number}" for number in range(9_000))]
    async with database.reading() as conn:
        found = await missed.redelivered_of(conn, "hub", many)
    assert {key: (one.asked_at, one.times) for key, one in found.items()} == {
        "a": (NOW, 1),
        "b": (later, 2),
        "odd \udcff": (NOW, 1),
    }
    await database.writer.write(lambda conn: missed.forget_redelivered(conn, later))
    async with database.reading() as conn:
        assert list(await missed.redelivered_of(conn, "hub", many)) == ["b"]


async def test_the_last_one_without_a_key_is_known_by_repository(database):
    later = NOW + timedelta(hours=1)
    rows = [asked("x", keyed=False), asked("y", keyed=False, at=later), asked("k", at=later + timedelta(hours=1))]
    for row in rows:
        await database.writer.write(lambda conn, row=row: missed.put_redelivered(conn, row))
    async with database.reading() as conn:
        assert await missed.keyless_redelivered_at(conn, "hub", "acme/web") == later
        assert await missed.keyless_redelivered_at(conn, "hub", "acme/lib") is None
