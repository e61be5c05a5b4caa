"""How far the histories of hosts were looked through, and which deliveries were asked for again; not the deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.storage import dialect
from headgate.storage.columns import storable
from headgate.storage.connection import Reading, Writing
from headgate.storage.tables import hook_looks, redelivered


class HookLook(msgspec.Struct, frozen=True, kw_only=True):
    """All that failed until `looked_at` is recorded or was asked for again.

    `newest_id` and `newest_at`: the newest entry that the history had then, `None` when it was empty.
    """

    connection: str
    repository: str
    looked_at: datetime
    newest_id: str | None = None
    newest_at: datetime | None = None


class Redelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was asked for again, `times` so far, last at `asked_at`.

    `delivery` is its key; `keyed` is false where it had none.
    """

    connection: str
    delivery: str
    repository: str
    keyed: bool
    asked_at: datetime
    times: int = 1


async def look_of(conn: Reading, connection: str, repository: str) -> HookLook | None:
    """The last one; `None`: there was none."""
    query = sa.select(hook_looks).where(
        hook_looks.c.connection == connection, hook_looks.c.repository == storable(repository)
    )
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else HookLook(**row)


async def put_look(conn: Writing, look: HookLook) -> None:
    """Keep it in place of the one before."""
    await conn.execute(_PUT_LOOK, _storable(look, "repository", "newest_id"))


async def put_redelivered(conn: Writing, one: Redelivered) -> None:
    """Keep that it was asked for now; `times` is added to what is kept of it."""
    await conn.execute(_PUT_REDELIVERED, _storable(one, "delivery", "repository"))


_PUT_LOOK = dialect.insert_or_update(hook_looks)
_PUT_REDELIVERED = dialect.insert_or_update(redelivered, added=["times"])


async def redelivered_of(conn: Reading, connection: str, deliveries: Sequence[str]) -> dict[str, Redelivered]:
    """What is kept of each of these; those never asked for are left out."""
    found: dict[str, Redelivered] = {}
    for part in dialect.chunks(len(deliveries)):
        rows = await conn.execute(
            sa.select(redelivered).where(
                redelivered.c.connection == connection,
                redelivered.c.delivery.in_([storable(one) for one in deliveries[part]]),
            )
        )
        found.update((row["delivery"], Redelivered(**row)) for row in rows.mappings())
    return {one: found[kept] for one in deliveries if (kept := storable(one)) in found}


async def keyless_redelivered_at(conn: Reading, connection: str, repository: str) -> datetime | None:
    """When one without a key was last asked for in a repository."""
    found: datetime | None
    query = (
        sa.select(redelivered.c.asked_at)
        .where(
            redelivered.c.connection == connection,
            redelivered.c.repository == storable(repository),
            redelivered.c.keyed.is_(False),
        )
        .order_by(redelivered.c.asked_at.desc())
        .limit(1)
    )
    found = (await conn.execute(query)).scalar()
    return found


async def forget_redelivered(conn: Writing, before: datetime) -> None:
    """Those asked for before then: their hosts have forgotten them, too."""
    await conn.execute(sa.delete(redelivered).where(redelivered.c.asked_at < before))


def _storable(row: msgspec.Struct, *texts: str) -> dict[str, object]:
    values = msgspec.structs.asdict(row)
    return {**values, **{name: storable(values[name]) for name in texts if values[name] is not None}}
