"""The networks that hosts last said their webhooks come from, kept so that a silent host locks nobody out."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.storage import dialect
from headgate.storage.connection import Reading, Writing
from headgate.storage.tables import sender_addresses


class SenderAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection's host said. `networks` in CIDR notation."""

    connection: str
    networks: tuple[str, ...]
    learned_at: datetime


async def put(conn: Writing, said: SenderAddresses) -> None:
    """Keep it in place of what was said before."""
    await conn.execute(_PUT, msgspec.structs.asdict(said))


_PUT = dialect.insert_or_update(sender_addresses)


async def all(conn: Reading) -> tuple[SenderAddresses, ...]:  # noqa: A001 - reads as sender_addresses.all
    """Of every connection."""
    found = await conn.execute(sa.select(sender_addresses))
    return tuple(SenderAddresses(**row) for row in found.mappings())
