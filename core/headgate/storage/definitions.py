"""Job definitions by the hash of their content, so that a build can be read long after its job changed."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from headgate.api import Job
from headgate.storage import dialect
from headgate.storage.connection import Many, Reading, Writing
from headgate.storage.tables import definitions


async def keep(conn: Writing, jobs: Sequence[Job]) -> None:
    """Keep those that are not kept yet; `Job.definition` must be set."""
    rows = {job.definition: {"hash": job.definition, "job": job} for job in jobs}
    if rows:
        await conn.execute_many(_KEEP, list(rows.values()))


_KEEP = Many(dialect.insert_new(definitions))


async def get(conn: Reading, definition: str) -> Job | None:
    """The job with this hash."""
    found = await conn.execute(sa.select(definitions.c.job).where(definitions.c.hash == definition))
    job: Job | None = found.scalar()
    return job
