"""What is asked all the time is answered from an index: SQLite says how it would, whatever the number of rows."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.api import State
from headgate.storage import builds, decisions, deliveries, events, notifications, refs
from headgate.storage.refs import RefKey
from headgate.storage.tables import builds as table

KEY = RefKey(connection="c", repository="r", ref="refs/heads/main")

READS = {
    "builds": lambda conn, now: builds.page(conn, cursor="b_9"),
    "builds of a job": lambda conn, now: builds.page(conn, cursor="b_9", job="web"),
    "builds of a state": lambda conn, now: builds.page(conn, cursor="b_9", state=State.RUNNING),
    "a build": lambda conn, now: builds.get(conn, "b_1"),
    "a build by number": lambda conn, now: builds.by_number(conn, "web", 1),
    "the newest of jobs": lambda conn, now: builds.newest(conn, ["lib", "web"]),
    "the previous build": lambda conn, now: builds.previous(conn, "web", "refs/heads/main", "b_9"),
    "what expired": builds.expired,
    "what runs": lambda conn, now: builds.running(conn, "w"),
    "the next to claim": lambda conn, now: builds._candidates(conn, 3),
    "the queue's depth": lambda conn, now: builds.depth(conn),
    "builds of a job that wait": lambda conn, now: builds.page(conn, cursor="b_9", job="web", state=State.QUEUED),
    "builds of a job that run": lambda conn, now: builds.page(conn, cursor="b_9", job="web", state=State.RUNNING),
    "builds of a job that ended": lambda conn, now: builds.page(conn, cursor="b_9", job="web", state=State.FINISHED),
    "deliveries": lambda conn, now: deliveries.page(conn, cursor="d_9"),
    "deliveries of a connection": lambda conn, now: deliveries.page(conn, cursor="d_9", connection="c"),
    "deliveries of a state": lambda conn, now: deliveries.page(conn, cursor="d_9", state="unreadable"),
    "a delivery": lambda conn, now: deliveries.get(conn, "d_1"),
    "what is pending": lambda conn, now: deliveries.pending(conn, limit=10),
    "how much is pending": lambda conn, now: deliveries.waiting(conn),
    "events of a delivery": lambda conn, now: events.of_delivery(conn, "d_1"),
    "decisions of events": lambda conn, now: decisions.of_events(conn, ["e_1", "e_2"]),
    "decisions of a build": lambda conn, now: decisions.of_build(conn, "b_1"),
    "decisions on a commit": lambda conn, now: decisions.of_job_and_sha(conn, "web", "a" * 40),
    "states of refs": lambda conn, now: refs.load(conn, [KEY, KEY]),
    "heads of a repository": lambda conn, now: refs.heads(conn, "c", "r"),
    "a ref's history": lambda conn, now: refs.history(conn, KEY),
    **{
        f"news that is {state}": lambda conn, now, state=state: notifications.page(conn, cursor="n_9", state=state)
        for state in ("waiting", "superseded", "dead", "told")
    },
    "news of a build": lambda conn, now: notifications.of_build(conn, "b_1"),
    "the next attempt": lambda conn, now: notifications.next_attempt(conn),
}

WRITES = {
    "claim": lambda conn, now: builds.claim(conn, worker="w", now=now, lease_until=now, limit=2),
    "renew": lambda conn, now: builds.renew(conn, "b_1", 1, now),
    "cancel": lambda conn, now: builds.cancel(conn, "b_1", reason="", now=now),
    "due": lambda conn, now: notifications.due(conn, now, 10),
    "told": lambda conn, now: notifications.told(conn, "n_1"),
    "settle": lambda conn, now: deliveries.settle(conn, [deliveries.Settled(id="d_1", state="routed", at=now)]),
}


async def plans(conn, question):
    """How SQLite would run each statement of `question`."""
    asked = []

    def remember(_conn, _cursor, statement, parameters, *_):
        asked.append((statement, parameters))

    asks = conn.sync_connection if isinstance(conn, AsyncConnection) else conn._connection
    sa.event.listen(asks, "before_cursor_execute", remember)
    await question(conn)
    sa.event.remove(asks, "before_cursor_execute", remember)
    steps = []
    for statement, parameters in asked:
        one = parameters[0] if isinstance(parameters, list) else parameters
        explain = f"EXPLAIN QUERY PLAN {statement}"
        if isinstance(conn, AsyncConnection):
            steps += [row[3] for row in await conn.exec_driver_sql(explain, one)]
        else:
            steps += [row[3] for row in asks.exec_driver_sql(explain, one)]
    return steps


SMALL = re.compile(r"SCAN \w+ USING (COVERING )?INDEX (builds_queued|builds_running|notifications_waiting)(_by_id)?")
"""A walk along a partial index meets only what waits or runs."""

SORTED = ("what expired", "decisions of a build", "decisions on a commit")
"""Questions whose few answers may be sorted after they were found."""


def slow(steps):
    """Steps that cost more the more rows a table has; a virtual table is the list that was asked for."""
    harmless = ("SCAN CONSTANT ROW", "VIRTUAL TABLE")
    scans = [step for step in steps if "SCAN" in step and not any(word in step for word in harmless)]
    return [step for step in scans if not SMALL.fullmatch(step)]


@pytest.mark.parametrize("name", READS)
async def test_questions_use_indexes(database, name, now):
    async with database.reading() as conn:
        steps = await plans(conn, lambda conn: READS[name](conn, now))
    assert steps
    assert slow(steps) == []
    assert name in SORTED or not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("name", WRITES)
async def test_changes_use_indexes(database, name, now, make_delivery):
    async def question(conn):
        return await plans(conn, lambda conn: WRITES[name](conn, now))

    assert slow(await database.writer.write(question)) == []


CHOSEN = {
    "builds of a job that wait": "builds_queued_of_job",
    "builds of a job that run": "builds_running_by_id",
    "news that is waiting": "notifications_waiting_by_id",
    "news that is superseded": "notifications_superseded",
    "news that is dead": "notifications_dead",
}


@pytest.mark.parametrize("name", CHOSEN)
async def test_what_is_few_is_found_by_the_index_of_the_few(database, name, now):
    """Walking all rows backwards until fifty fit is a search too, for SQLite, and takes seconds when few are left."""
    async with database.reading() as conn:
        steps = await plans(conn, lambda conn: READS[name](conn, now))
    assert any(f"INDEX {CHOSEN[name]} " in f"{step} " for step in steps), steps


@pytest.mark.parametrize(
    ("state", "index"),
    [
        ("routed", "deliveries_of_connection"),
        ("ignored", "deliveries_ignored"),
        ("unreadable", "deliveries_of_state"),
        ("recorded", "deliveries_of_state"),
    ],
)
async def test_deliveries_of_a_connection_and_a_state_use_the_index_that_leaves_less(database, now, state, index):
    async with database.reading() as conn:
        steps = await plans(conn, lambda conn: deliveries.page(conn, cursor="d_9", connection="c", state=state))
    assert any(index in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps)


async def test_a_question_without_index_would_be_seen(database, now):
    """Negative control."""
    async with database.reading() as conn:

        async def question(conn):
            await conn.execute(sa.select(table.c.id).where(table.c.worker == "w"))

        assert slow(await plans(conn, question))
