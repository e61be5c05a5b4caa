"""What differs between providers when they are called, as one value each of them makes; no provider is named here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from headgate.api.client.answers import Answer
from headgate.api.client.limits import RateLimits
from headgate.api.client.pages import Paging, link_header
from headgate.api.errors import Conflict, NotFound, ProviderError, Refused, Unavailable

MEANINGS: Mapping[int, type[ProviderError]] = {
    401: Refused,
    403: Refused,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    425: Unavailable,
}
"""Statuses that mean the same everywhere (RFC 9110); all from 500 on are `Unavailable`, the rest `ProviderError`."""

Needs = Callable[[Answer], tuple[str, ...]]
"""The scopes or permissions an answer says are needed and missing."""

Meaning = Callable[[Answer], type[ProviderError] | None]
"""What a failed answer means, where its body says more than its status; `None`: what its status means."""


def meaning_of_status(answer: Answer) -> type[ProviderError] | None:  # noqa: ARG001 - the signature of `Meaning`
    """The status says it."""
    return None


_CHALLENGE = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s",]+))')


def challenge_scope(answer: Answer) -> tuple[str, ...]:
    """`WWW-Authenticate: Bearer error="insufficient_scope", scope="api"` (RFC 6750 3.1)."""
    found = {
        name.lower(): quoted or plain
        for name, quoted, plain in _CHALLENGE.findall(answer.headers.get("www-authenticate", ""))
    }
    return tuple(found.get("scope", "").split()) if found.get("error") == "insufficient_scope" else ()


def scope_headers(*, accepted: str, granted: str) -> Needs:
    """A reader for two headers, named in lower case, of scopes between commas: any of `accepted` would do."""

    def read(answer: Answer) -> tuple[str, ...]:
        wanted, has = _listed(answer.headers.get(accepted, "")), _listed(answer.headers.get(granted, ""))
        return () if set(wanted) & set(has) else wanted

    return read


def needed_header(name: str) -> Needs:
    """A reader for one header, named in lower case, of permissions between commas."""

    def read(answer: Answer) -> tuple[str, ...]:
        return _listed(answer.headers.get(name, ""))

    return read


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of provider is spoken to. `name` is for messages, as people write it.

    `meanings` come before `MEANINGS`, also for a status below 400: a sign-in page with 203 can be `Refused`.
    `meaning` is asked before both, of failures only: AWS names all of its errors in the body of a 400. `needs` are asked in order when a credential was refused. `prefix` is taken off bodies before they are read.
    """

    name: str
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: {"Accept": "application/json"})
    limits: RateLimits = RateLimits()
    paging: Paging = Paging(next=link_header)
    meanings: Mapping[int, type[ProviderError]] = {}
    meaning: Meaning = meaning_of_status
    needs: tuple[Needs, ...] = (challenge_scope,)
    prefix: bytes = b""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
