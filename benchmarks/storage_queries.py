"""How long lists, explanations and the queue's questions take beside a million deliveries, builds and pieces of news.

    python benchmarks/storage_queries.py [--rows 1000000] [--waiting 10000] [--folder .]

The rows are made inside SQLite with the indexes left out until they are there; that is not what is measured. Every
question is asked as the API asks it, a page with its JSON. Filters are asked for both what nearly all rows are and
what few are: an index that serves one may scan for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from headgate.api import Outcome, Push, Repository, State
from headgate.storage import builds, deliveries, explanations, notifications
from headgate.storage.build_rows import NewBuild, build_of, row_of
from headgate.storage.database import Database, open_database
from headgate.storage.ids import microseconds, new_id
from headgate.storage.schema import migrate
from headgate.web.shaping import explanation_shape, notification_shape
from results import Figure, program

START = datetime(2026, 1, 1, tzinfo=UTC)
TRIES = 20
TARGET = 10.0
"""Milliseconds."""

REPOSITORY = Repository(host="git.example.org", path="acme/web")
SERIES = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)"

RARE = 20_011
"""One row of so many is of the rare kind."""

TABLES = {
    "deliveries": """
        (id, connection, key, received_at, event, state, reason, settled_at)
        SELECT printf('d_%026d', i), iif(i % :rare = 7, 'rare', 'hub'), 'k' || i, :start + i * 1000000, 'push',
            iif(i % :rare = 11, 'unreadable', 'routed'), '', :start + i * 1000000 FROM n""",
    "delivery_contents": """
        (delivery_id, method, hook, query, remote, headers, body)
        SELECT printf('d_%026d', i), 'POST', '', '[]', '127.0.0.1', '[["x-github-event","push"]]', zeroblob(200)
        FROM n""",
    "transitions": """
        (id, connection, repository, ref, generation, before, after, observed_at, by_webhook, by_poll, late)
        SELECT printf('t_%026d', i), 'hub', 'acme/web', 'refs/heads/b' || (i % 1000), i / 1000 + 1, NULL,
            printf('%040x', i), :start + i * 1000000, 1, 0, 0 FROM n""",
    "events": """
        (id, type, event, connection, repository, sha, observer, delivery_id, transition_id, created_at)
        SELECT printf('e_%026d', i), 'push', :event, 'hub', 'acme/web', printf('%040x', i), 'webhook',
            printf('d_%026d', i), printf('t_%026d', i), :start + i * 1000000 FROM n""",
    "decisions": """
        (id, event_id, job, definition, build, reason, rule, verdicts, build_id, created_at)
        SELECT printf('x_%026d', i), printf('e_%026d', i), 'job ' || (i % 100), printf('%064d', 1), 1, 'it was pushed',
            'triggers.push', '[]', printf('b_%026d', i), :start + i * 1000000 FROM n""",
    "builds": """
        (id, job, number, state, outcome, reason, "trigger", connection, repository, repository_key, ref, sha,
         definition, parameters, sealed, priority, rank, event_id, decision_id, delivery_id, transition_id, retries,
         queued_at, started_at, finished_at, attempt, fence, cancel_requested, begun, steps)
        SELECT printf('b_%026d', i), 'job ' || (i % 100), i / 100 + 1, 'finished',
            iif(i % 3, 'succeeded', 'failed'), 'it was pushed', 'push', 'hub', :repository, 'acme/web',
            'refs/heads/main', printf('%040x', i), printf('%064d', 1), '{}', '{}', 50, -50, printf('e_%026d', i),
            printf('x_%026d', i), printf('d_%026d', i), printf('t_%026d', i), 0, :start + i * 1000000,
            :start + i * 1000000, :start + i * 1000000, 1, 1, 0, 1, '[]' FROM n""",
    "notifications": """
        (id, build_id, notifier, options, phase, order_key, sequence, build, created_at, state, attempts,
         next_attempt_at)
        SELECT printf('n_%026d', i), printf('b_%026d', i), 'commit_status', '{}', 'finished', 'o' || (i % 5000), i,
            :build, :start + i * 1000000, iif(i % :rare = 3, 'superseded', 'told'), 1, :start + i * 1000000 FROM n""",
}

Question = Callable[[Any], Awaitable[object]]


def measure(rows: int = 1_000_000, waiting: int = 10_000, folder: Path = Path()) -> list[Figure]:
    """`waiting`: queued builds of a job that may not run more; `folder`: where the gigabytes stand for a while."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        url = f"sqlite+aiosqlite:///{name}/headgate.db"
        migrate(url)
        began = time.perf_counter()
        fill(Path(name, "headgate.db"), rows)
        print(f"{rows:,} rows a table made in {time.perf_counter() - began:.0f} s")
        return asyncio.run(ask_all(url, rows, waiting))


def fill(file: Path, rows: int) -> None:
    build = build_of(row_of(new_build(rows, job="job 7"), 1))
    event = Push(repository=REPOSITORY, ref="refs/heads/main", before=None, after="a" * 40)
    values = {
        "rows": rows, "rare": RARE, "start": microseconds(START), "event": msgspec.json.encode(event).decode(),
        "repository": msgspec.json.encode(REPOSITORY).decode(), "build": msgspec.json.encode(build).decode(),
    }  # fmt: skip
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        for table, select in TABLES.items():
            head, _, rest = select.strip().partition("SELECT")
            connection.execute(f"INSERT INTO {table} {head} {SERIES} SELECT{rest}", values)
        connection.executemany("INSERT INTO job_numbers VALUES (?, ?)", [(f"job {n}", rows // 100) for n in range(100)])
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


async def ask_all(url: str, rows: int, waiting: int) -> list[Figure]:
    async with open_database(url, on_fatal=print) as database:
        now = START + timedelta(seconds=rows)
        busy = [new_build(rows + number, job="busy", max_running=1) for number in range(waiting)]
        await database.writer.write(lambda conn: builds.plan(conn, busy))
        figures = []
        for name, question in questions(rows, now).items():
            figures.append(figure(name, await times_of(database, question), rows))
        figures.append(figure("claim behind a saturated job", await claims(database, rows, now), rows))
    return figures


def questions(rows: int, now: datetime) -> dict[str, Question]:
    """Each as a function of a reading connection."""
    deep_build, deep_delivery = f"b_{rows // 2:026d}", f"d_{rows // 2:026d}"
    old_delivery, old_news = f"d_{rows // 1000:026d}", f"n_{rows // 2:026d}"
    sha = f"{rows // 3:040x}"

    def page_of(read: Callable[..., Awaitable[Any]], **how: Any) -> Question:
        async def ask(conn: Any) -> bytes:
            return msgspec.json.encode((await read(conn, limit=50, **how)).items)

        return ask

    async def news(conn: Any) -> bytes:
        page = await notifications.page(conn, limit=50, cursor=old_news)
        return msgspec.json.encode([notification_shape(one) for one in page.items])

    def explained(read: Callable[..., Awaitable[Any]], *what: str) -> Question:
        async def ask(conn: Any) -> bytes:
            found = await read(conn, *what)
            assert found is not None
            return msgspec.json.encode(explanation_shape(found))

        return ask

    return {
        "list builds": page_of(builds.page),
        "list builds, page in the middle": page_of(builds.page, cursor=deep_build),
        "list a job's builds, page in the middle": page_of(builds.page, job="job 7", cursor=deep_build),
        "list a job's finished builds": page_of(builds.page, job="job 7", state=State.FINISHED),
        "list a job's queued builds, none": page_of(builds.page, job="job 7", state=State.QUEUED),
        "list a job's queued builds, many": page_of(builds.page, job="busy", state=State.QUEUED),
        "list a job's running builds": page_of(builds.page, job="job 7", state=State.RUNNING),
        "list running builds": page_of(builds.page, state=State.RUNNING),
        "list queued builds": page_of(builds.page, state=State.QUEUED),
        "list finished builds": page_of(builds.page, state=State.FINISHED),
        "list deliveries": page_of(deliveries.page),
        "list deliveries, page in the middle": page_of(deliveries.page, cursor=deep_delivery),
        "list deliveries, nearly the last page": page_of(deliveries.page, cursor=old_delivery),
        "list a common state's deliveries": page_of(deliveries.page, state="routed", cursor=deep_delivery),
        "list a rare state's deliveries": page_of(deliveries.page, state="unreadable"),
        "list a small connection's deliveries": page_of(deliveries.page, connection="rare"),
        "list a large connection's deliveries of a rare state": page_of(
            deliveries.page, connection="hub", state="unreadable"
        ),
        "list a small connection's deliveries of a common state": page_of(
            deliveries.page, connection="rare", state="routed"
        ),
        "list a large connection's deliveries of a common state": page_of(
            deliveries.page, connection="hub", state="routed", cursor=deep_delivery
        ),
        "list a small connection's deliveries of a state without any": page_of(
            deliveries.page, connection="rare", state="ignored"
        ),
        "list news, page in the middle": news,
        "list news that waits, none": page_of(notifications.page, state="waiting"),
        "list news of a rare state": page_of(notifications.page, state="superseded"),
        "explain a delivery": explained(explanations.explain_delivery, deep_delivery),
        "explain a build": explained(explanations.explain_build, deep_build),
        "explain a commit": explained(explanations.explain_commit, f"job {rows // 3 % 100}", sha),
        "newest build of 50 jobs": lambda conn: builds.newest(conn, [f"job {n}" for n in range(50)]),
        "the previous success": lambda conn: builds.previous(
            conn, "job 7", "refs/heads/main", deep_build, Outcome.SUCCEEDED
        ),
        "expired leases": lambda conn: builds.expired(conn, now),
        "depth of the queue": builds.depth,
        "deliveries not routed yet": lambda conn: deliveries.pending(conn, limit=100),
        "when news is due next": notifications.next_attempt,
    }


async def times_of(database: Database, question: Question) -> list[float]:
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        async with database.reading() as conn:
            await question(conn)
        times.append(time.perf_counter() - began)
    return times


async def claims(database: Database, rows: int, now: datetime) -> list[float]:
    """To the claim's commit."""
    times = []
    for number in range(TRIES):
        free = new_build(2 * rows + number, job="free")
        await database.writer.write(lambda conn, free=free: builds.plan(conn, [free]))
        began = time.perf_counter()
        claimed = await database.writer.write(
            lambda conn: builds.claim(conn, worker="w", now=now, lease_until=now + timedelta(hours=9), limit=2)
        )
        times.append(time.perf_counter() - began)
        assert any(one.build.job == "free" for one in claimed)
    return times


def figure(name: str, times: list[float], rows: int) -> Figure:
    ordered = sorted(times)
    median, worst = ordered[len(ordered) // 2] * 1e3, ordered[-1] * 1e3
    return Figure(
        name=f"{rows:,} stored: {name}", value=median, unit="ms", better="lower", target=TARGET,
        note=f"worst of {len(times)}: {worst:.1f} ms",
    )  # fmt: skip


def new_build(number: int, *, job: str, max_running: int | None = None) -> NewBuild:
    moment = START + timedelta(seconds=number)
    return NewBuild(
        id=new_id("b", moment), job=job, reason="branch main was pushed", trigger="push", connection="hub",
        repository=REPOSITORY, repository_key="acme/web", ref="refs/heads/main", sha="a" * 40, definition="f" * 64,
        event_id=new_id("e", moment), decision_id=new_id("x", moment), transition_id=new_id("t", moment),
        queued_at=moment, max_running=max_running,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(program(measure))
