"""What came, as evidence: raw bytes, headers, when, from where; not what it means."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from headgate.api.events import Event

STREAM: Final = "STREAM"
"""The `method` of a message of a stream."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook request or a message of a stream, unread. `headers` keep order and doubles; names are lower-case.

    `hook` is what stood behind the connection's name in the URL (`/webhooks/acme/notifyCommit` → `notifyCommit`),
    empty for the usual `/webhooks/acme`. `received_at` is aware UTC. `remote` is the peer's address. `method` is that
    of the request, `STREAM` for what a stream told.
    """

    id: str
    connection: str
    received_at: datetime
    headers: tuple[tuple[str, str], ...]
    body: bytes
    remote: str = ""
    method: str = "POST"
    hook: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @property
    def streamed(self) -> bool:
        """Whether a stream told it."""
        return self.method == STREAM

    def header(self, name: str) -> str | None:
        """The value of `name` when it was sent exactly once; a header sent twice says nothing we could trust."""
        wanted = name.lower()
        values = [value for key, value in self.headers if key == wanted]
        return values[0] if len(values) == 1 else None

    def argument(self, name: str) -> str | None:
        """The value of a query argument when it was sent exactly once."""
        values = [value for key, value in self.query if key == name]
        return values[0] if len(values) == 1 else None


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a delivery is from whom it says. `key` is the sender's own id of it, the same on a redelivery.

    `None` as key: the sender gives none, and every delivery is new. `secret` says which configured secret
    matched, counting from 0, so that an admin sees when the old one is no longer used.
    """

    key: str | None = None
    secret: int = 0


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says; at least one event."""

    events: tuple[Event, ...]


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A valid delivery that says nothing to us, and why, in words an admin can act on."""

    reason: str


Reading: TypeAlias = Parsed | Ignored
