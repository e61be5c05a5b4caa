"""Looking at builds: one, a page, the newest, the queue's depth; not how they move (`builds`, which gives these too)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from headgate.api import Build, Outcome, State
from headgate.storage import dialect
from headgate.storage.build_rows import QUEUED, RUNNING, build_of
from headgate.storage.connection import Reading
from headgate.storage.pages import Page, page_of
from headgate.storage.tables import builds, is_literally, job_numbers


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How full the queue is; `oldest_queued_at` is `None` when nothing waits."""

    queued: int
    running: int
    oldest_queued_at: datetime | None = None


async def get(conn: Reading, id: str) -> Build | None:  # noqa: A002 - the word everybody says
    """One by its id."""
    return await only_build(conn, sa.select(builds).where(builds.c.id == id))


async def by_number(conn: Reading, job: str, number: int) -> Build | None:
    """One as people say it: `web-tests #12`."""
    return await only_build(conn, sa.select(builds).where(builds.c.job == job, builds.c.number == number))


async def newest(conn: Reading, jobs: Sequence[str]) -> dict[str, Build]:
    """The last build of each of `jobs` that has one."""
    found: dict[str, Build] = {}
    for part in dialect.chunks(len(jobs)):
        query = (
            sa.select(builds)
            .join(job_numbers, sa.and_(builds.c.job == job_numbers.c.job, builds.c.number == job_numbers.c.last))
            .where(job_numbers.c.job.in_(jobs[part]))
        )
        found.update({row["job"]: build_of(row) for row in (await conn.execute(query)).mappings()})
    return found


async def page(
    conn: Reading,
    *,
    cursor: str | None = None,
    limit: int = 50,
    job: str | None = None,
    state: State | None = None,
) -> Page[Build]:
    """Newest first, of one job or state when asked."""
    query = sa.select(builds).order_by(builds.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(builds.c.id < cursor)
    if job is not None:
        # Few run: all of them are looked at, rather than all builds of the job. An expression uses no index.
        query = query.where(builds.c.job + "" == job if state is State.RUNNING else builds.c.job == job)
    if state is not None:
        query = query.where(is_literally(builds.c.state, state.value))
    found = [build_of(row) for row in (await conn.execute(query)).mappings()]
    return page_of(found, [one.id for one in found], limit)


async def depth(conn: Reading) -> Depth:
    """How many wait and run, and since when the longest waits."""
    queued = (
        sa.select(sa.func.count().label("count"), sa.func.min(builds.c.queued_at).label("oldest"))
        .select_from(builds)
        .where(QUEUED)
    )
    waiting = (await conn.execute(queued)).mappings().one()
    held = (await conn.execute(sa.select(sa.func.count()).select_from(builds).where(RUNNING))).scalar_one()
    return Depth(queued=waiting["count"], running=held, oldest_queued_at=waiting["oldest"])


async def previous(
    conn: Reading,
    job: str,
    ref: str | None,
    before_id: str,
    outcome: Outcome | None = None,
) -> Build | None:
    """The finished build of the same job and ref before this one, with `outcome` when asked, that knew its commit."""
    query = sa.select(builds).where(
        builds.c.job == job,
        builds.c.ref.is_(None) if ref is None else builds.c.ref == ref,
        builds.c.id < before_id,
        builds.c.state == State.FINISHED.value,
        builds.c.sha.is_not(None),
    )
    if outcome is not None:
        query = query.where(builds.c.outcome == outcome.value)
    return await only_build(conn, query.order_by(builds.c.id.desc()).limit(1))


async def only_build(conn: Reading, query: sa.Executable) -> Build | None:
    """The build of the one row that `query` gives, if it does."""
    row: Mapping[Any, Any] | None = (await conn.execute(query)).mappings().first()
    return build_of(row) if row else None
