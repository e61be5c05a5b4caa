"""When each repository was last asked for its heads, and whether it answered; not when it will be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.storage import dialect
from headgate.storage.connection import Many, Reading, Writing
from headgate.storage.tables import polls


class PollState(msgspec.Struct, frozen=True, kw_only=True):
    """The last question: `prefixes` is what it was narrowed to; `error` is why it failed, `None` when it did not."""

    connection: str
    repository: str
    default_branch: str | None = None
    prefixes: tuple[str, ...] = ()
    asked_at: datetime
    succeeded_at: datetime | None = None
    error: str | None = None


async def get(conn: Reading, connection: str, repository: str) -> PollState | None:
    """The last question to one repository."""
    query = sa.select(polls).where(polls.c.connection == connection, polls.c.repository == repository)
    row = (await conn.execute(query)).mappings().first()
    return PollState(**row) if row else None


async def put(conn: Writing, states: Sequence[PollState]) -> None:
    """Keep them, each in place of the one before."""
    if states:
        rows = [{name: getattr(one, name) for name in PollState.__struct_fields__} for one in states]
        await conn.execute_many(_PUT, rows)


_PUT = Many(dialect.insert_or_update(polls))


async def all(conn: Reading) -> tuple[PollState, ...]:  # noqa: A001 - reads as polls.all
    """Of every repository that was ever asked, by connection and repository."""
    found = await conn.execute(sa.select(polls).order_by(polls.c.connection, polls.c.repository))
    return tuple(PollState(**row) for row in found.mappings())
