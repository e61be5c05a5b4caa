"""Up to when nothing of each connection's stream is missing, so that a later life asks for what it missed."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.storage import dialect
from headgate.storage.connection import Reading, Writing
from headgate.storage.tables import streams


class StreamMark(msgspec.Struct, frozen=True, kw_only=True):
    """All that one connection's stream told until `complete_to` is kept; of what happened since perhaps not all."""

    connection: str
    complete_to: datetime


async def put(conn: Writing, mark: StreamMark) -> None:
    """Keep it in place of the one before."""
    await conn.execute(_PUT, msgspec.structs.asdict(mark))


_PUT = dialect.insert_or_update(streams)


async def complete_to(conn: Reading, connection: str) -> datetime | None:
    """Of one connection; `None`: it never streamed."""
    found: datetime | None
    found = (await conn.execute(sa.select(streams.c.complete_to).where(streams.c.connection == connection))).scalar()
    return found
