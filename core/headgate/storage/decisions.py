"""For one event and one job: build, or not, and why; not how that was judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.api import Verdict
from headgate.storage import dialect
from headgate.storage.connection import Many, Reading, Writing
from headgate.storage.tables import decisions, events


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """`rule` is the key path of the rule that decided; `verdicts` has what every rule said.

    `build_id` is the build it made, `existing_build_id` one that the same transition had made before.
    """

    id: str
    event_id: str
    job: str
    definition: str
    build: bool
    reason: str
    rule: str
    verdicts: tuple[Verdict, ...]
    build_id: str | None = None
    existing_build_id: str | None = None
    created_at: datetime


async def add(conn: Writing, new: Sequence[Decision]) -> None:
    """Keep them; their events must have been added before."""
    if new:
        await conn.execute_many(
            _ADD, [{name: getattr(one, name) for name in Decision.__struct_fields__} for one in new]
        )


_ADD = Many(sa.insert(decisions))


async def of_events(conn: Reading, event_ids: Sequence[str]) -> tuple[Decision, ...]:
    """All decisions on these events, by event and job."""
    found: list[Decision] = []
    for part in dialect.chunks(len(event_ids)):
        query = sa.select(decisions).where(decisions.c.event_id.in_(event_ids[part]))
        found += await _found(conn, query.order_by(decisions.c.event_id, decisions.c.job))
    return tuple(found)


async def of_build(conn: Reading, build_id: str) -> tuple[Decision, ...]:
    """The decision that made a build, and those that found it made already, oldest first."""
    query = sa.select(decisions).where((decisions.c.build_id == build_id) | (decisions.c.existing_build_id == build_id))
    return tuple(await _found(conn, query.order_by(decisions.c.id)))


async def of_job_and_sha(conn: Reading, job: str, sha: str) -> tuple[Decision, ...]:
    """What was decided for a job on the events about a commit (full sha), newest first."""
    query = (
        sa.select(decisions)
        .join(events, events.c.id == decisions.c.event_id)
        .where(events.c.sha == sha, decisions.c.job == job)
        .order_by(decisions.c.id.desc())
    )
    return tuple(await _found(conn, query))


async def _found(conn: Reading, query: sa.Select[tuple[object, ...]]) -> list[Decision]:
    return [Decision(**row) for row in (await conn.execute(query)).mappings()]
