"""The outbox's rows: the newest of each order is told, never an older one after it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headgate.api import Outcome
from headgate.storage import builds, notifications
from headgate.storage.build_rows import build_of, row_of
from headgate.storage.ids import new_id
from headgate.storage.notifications import NewNotification


@pytest.fixture
def run(database):
    """Runs one function as a unit of its own."""

    async def run(function, *arguments, **named):
        return await database.writer.write(lambda conn: function(conn, *arguments, **named))

    return run


@pytest.fixture
def news(make_build, now):
    """Makes news about a build."""
    build = build_of(row_of(make_build(), 1))

    def make(order_key, sequence, seconds=0):
        moment = now + timedelta(seconds=seconds)
        return NewNotification(
            id=new_id("n", moment), build_id=build.id, notifier="commit_status", options={"a": [1]}, phase="queued",
            order_key=order_key, sequence=sequence, build=build, created_at=moment,
        )  # fmt: skip

    return make


async def test_news_come_back_as_they_were(run, database, news, now):
    new = news("k", 1)
    await run(notifications.add, [new])
    (one,) = await run(notifications.due, now, 10)
    assert (one.build, one.options, one.order_key, one.sequence) == (new.build, {"a": [1]}, "k", 1)
    assert (one.state, one.attempts, one.next_attempt_at, one.last_error) == ("waiting", 0, now, None)
    async with database.reading() as conn:
        assert await notifications.of_build(conn, new.build_id) == (one,)
        assert await notifications.next_attempt(conn) == now


async def test_only_the_newest_of_an_order_is_due(run, database, news, now):
    new = [news("a", 1), news("a", 3), news("a", 2), news("b", 1, seconds=1)]
    await run(notifications.add, new)
    due = await run(notifications.due, now + timedelta(seconds=1), 10)
    assert [one.id for one in due] == [new[1].id, new[3].id]
    async with database.reading() as conn:
        superseded = (await notifications.page(conn, state="superseded")).items
    assert {one.id for one in superseded} == {new[0].id, new[2].id}


async def test_nothing_older_than_what_was_told_is_due(run, news, now):
    newer, older = news("a", 2), news("a", 1)
    await run(notifications.add, [newer])
    assert await run(notifications.told, newer.id)
    await run(notifications.add, [older])
    assert await run(notifications.due, now, 10) == ()


async def test_news_that_were_given_up_hold_nobody_back(run, news, now):
    newer, older = news("a", 2), news("a", 1)
    await run(notifications.add, [newer, older])
    assert await run(notifications.failed, newer.id, "410 Gone", None)
    assert [one.id for one in await run(notifications.due, now, 10)] == [older.id]


async def test_a_failure_waits_and_is_given_up_in_the_end(run, database, news, now):
    new = news("a", 1)
    await run(notifications.add, [new])
    later = now + timedelta(minutes=1)
    assert await run(notifications.failed, new.id, "503", later)
    assert await run(notifications.due, now, 10) == ()
    (one,) = await run(notifications.due, later, 10)
    assert (one.attempts, one.last_error) == (1, "503")
    assert await run(notifications.failed, new.id, "503 again", None)
    assert await run(notifications.due, later, 10) == ()
    async with database.reading() as conn:
        assert (await notifications.get(conn, new.id)).state == "dead"
        assert await notifications.next_attempt(conn) is None
    assert not await run(notifications.told, new.id)
    assert await run(notifications.retry, new.id)
    assert not await run(notifications.retry, new.id)
    (one,) = await run(notifications.due, now, 10)
    assert (one.attempts, one.last_error) == (0, "503 again")


async def test_an_older_one_is_superseded_even_while_the_newer_waits_for_its_next_try(run, news, now):
    older, newer = news("a", 1), news("a", 2)
    await run(notifications.add, [older, newer])
    await run(notifications.failed, newer.id, "503", now + timedelta(hours=1))
    assert await run(notifications.due, now, 10) == ()


async def test_what_was_superseded_while_it_was_told_was_still_told(run, database, news, now):
    older, newer = news("a", 1), news("a", 2)
    await run(notifications.add, [older])
    await run(notifications.due, now, 10)
    await run(notifications.add, [newer])
    await run(notifications.due, now, 10)
    assert await run(notifications.told, older.id)
    assert not await run(notifications.failed, older.id, "late", None)
    async with database.reading() as conn:
        assert [one.state for one in (await notifications.page(conn, limit=5)).items].count("told") == 1


async def test_a_result_and_its_news_are_one_unit(run, database, make_build, news, now):
    """The build is not finished when its news cannot be kept."""
    await run(builds.plan, [make_build()])
    (one,) = await run(builds.claim, worker="w", now=now, lease_until=now, limit=1)
    twin = news("a", 1)

    async def unit(conn):
        await builds.finish(conn, one.build.id, 1, outcome=Outcome.FAILED, reason="", steps=(), now=now)
        await notifications.add(conn, [twin, twin])

    with pytest.raises(Exception, match="UNIQUE"):
        await database.writer.write(unit)
    async with database.reading() as conn:
        assert (await builds.get(conn, one.build.id)).state == "running"
