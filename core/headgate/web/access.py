"""Who asks, and what they may: bearer tokens, and a Unix socket whose file mode is the key; not users or sessions.

A token is 256 random bits and only its SHA-256 is kept: looking the digest up tells nobody how close a guess was.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import msgspec
from aiohttp import hdrs, web

from headgate.storage import tokens
from headgate.storage.database import Connection, Database
from headgate.storage.errors import StorageError
from headgate.web.problems import Refusal

Permission: TypeAlias = Literal[
    "admin",
    "builds:read",
    "builds:write",
    "connections:read",
    "connections:write",
    "deliveries:read",
    "deliveries:write",
    "jobs:read",
    "metrics:read",
    "notifications:read",
    "notifications:write",
    "plugins:read",
    "self:read",
]
"""`admin` holds all; `…:write` holds the area's `…:read`; everybody with a token holds `self:read`."""

PERMISSIONS: Final = frozenset(get_args(Permission))

NOTE_USE_EVERY: Final = timedelta(minutes=10)

_TOKEN: Final = re.compile(r"hg_[A-Za-z0-9_-]{43}", re.ASCII)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks, proven. `name` goes into builds' reasons and the log."""

    name: str
    permissions: frozenset[str]
    via: Literal["token", "socket"]

    def may(self, permission: str) -> bool:
        """Whether the permission is held."""
        held = self.permissions
        area, _, verb = permission.partition(":")
        return (
            "admin" in held
            or permission == "self:read"
            or permission in held
            or (verb == "read" and f"{area}:write" in held)
        )


class Access:
    """Tells who asks. One instance per server."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        """`now` gives aware UTC."""
        self._database = database
        self._now = now
        self._noted: dict[str, datetime] = {}

    async def identify(self, request: web.BaseRequest) -> Actor:
        """The actor behind a request, or a 401 `Refusal` that does not say what was wrong with the token."""
        local = _local_admin(request)
        if local is not None:
            return local
        given = request.headers.getall(hdrs.AUTHORIZATION, ())
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        token = token.strip()
        if scheme.lower() == "bearer" and _TOKEN.fullmatch(token):
            async with self._database.reading() as connection:
                record = await tokens.by_hash(connection, tokens.hash_of(token))
            if record is not None:
                await self._note_use(record.id)
                return Actor(name=record.name, permissions=frozenset(record.permissions), via="token")
        raise Refusal(
            401,
            "This needs a token: Authorization: Bearer hg_…; the first start of the server printed one.",
            headers={"WWW-Authenticate": 'Bearer realm="headgate"'},
        )

    async def _note_use(self, token_id: str) -> None:
        """Keep when a token was last used, roughly: a write for each request would be dear. Never fails a request."""
        now = self._now()
        before = self._noted.get(token_id)
        if before is not None and now - before < NOTE_USE_EVERY:
            return
        self._noted[token_id] = now

        async def note(connection: Connection) -> None:
            await tokens.used(connection, token_id, now)

        with contextlib.suppress(StorageError):
            await self._database.writer.write(note)


def check_permission(actor: Actor, permission: str) -> None:
    """A 403 `Refusal` naming the permission that is missing."""
    if not actor.may(permission):
        raise Refusal(403, f"The token {actor.name!r} lacks the permission {permission}.")


async def ensure_admin_token(database: Database, now: datetime) -> str | None:
    """A new admin token in plain, once, when there is no token at all; otherwise `None`. Print it and forget it."""
    token, record = tokens.new_token("admin", ("admin",), now=now)

    async def create_first(connection: Connection) -> bool:
        return not await tokens.count(connection) and await tokens.create(connection, record)

    return token.reveal() if await database.writer.write(create_first) else None


def _local_admin(request: web.BaseRequest) -> Actor | None:
    """Whoever could open the Unix socket: its file is mode 0600, so this is the server's own user, or root."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None or peer.family != socket.AF_UNIX:
        return None
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(credentials)
    return Actor(name=f"local (uid {user})", permissions=frozenset({"admin"}), via="socket")


_PEER = struct.Struct("3i")
