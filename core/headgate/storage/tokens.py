"""Who may call the API: hashes of tokens; the tokens themselves are shown once and never stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from headgate.api import Secret
from headgate.storage.connection import Reading
from headgate.storage.ids import new_id
from headgate.storage.tables import tokens

_PREFIX = "hg_"
_TOKEN_BYTES = 32


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`hash` is the SHA-256 (hex) of the token. A plain hash will do: the token has 256 random bits."""

    id: str
    name: str
    hash: str
    permissions: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None = None


def new_token(name: str, permissions: Sequence[str], *, now: datetime) -> tuple[Secret, TokenRecord]:
    """A random token, to be shown once, and what to store of it."""
    token = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    return Secret(token), TokenRecord(
        id=new_id("k", now), name=name, hash=hash_of(token), permissions=tuple(permissions), created_at=now
    )


def hash_of(token: str) -> str:
    """The hash a token is found by."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


async def create(conn: Reading, record: TokenRecord) -> bool:
    """Keep it; `False` when there is one of that name."""
    taken = await conn.execute(sa.select(tokens.c.id).where(tokens.c.name == record.name))
    if taken.first():
        return False
    row = {name: getattr(record, name) for name in TokenRecord.__struct_fields__}
    await conn.execute(sa.insert(tokens), [row])
    return True


async def by_hash(conn: Reading, hash: str) -> TokenRecord | None:  # noqa: A002 - the column's name
    """The token with this hash."""
    row = (await conn.execute(sa.select(tokens).where(tokens.c.hash == hash))).mappings().first()
    return TokenRecord(**row) if row else None


async def used(conn: Reading, id: str, now: datetime) -> None:  # noqa: A002 - the word everybody says
    """Note that it was used; call it at most every few minutes for one token."""
    await conn.execute(sa.update(tokens).where(tokens.c.id == id).values(last_used_at=now))


async def list(conn: Reading) -> tuple[TokenRecord, ...]:  # noqa: A001 - reads as tokens.list
    """All, by name."""
    found = await conn.execute(sa.select(tokens).order_by(tokens.c.name))
    return tuple(TokenRecord(**row) for row in found.mappings())


async def remove(conn: Reading, name: str) -> bool:
    """Forget the token of this name; `False` when there is none."""
    removed = await conn.execute(sa.delete(tokens).where(tokens.c.name == name).returning(tokens.c.id))
    return removed.first() is not None


async def count(conn: Reading) -> int:
    """How many there are."""
    found: int = (await conn.execute(sa.select(sa.func.count()).select_from(tokens))).scalar_one()
    return found
