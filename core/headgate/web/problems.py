"""From an exception to `application/problem+json` (RFC 9457), by one table; not whom to blame, which its type says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web

from headgate.api import (
    CannotCheckYet,
    ConfigError,
    Conflict,
    CredentialError,
    HeadgateError,
    NotFound,
    PluginError,
    ProviderError,
    QueueError,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unreadable,
)
from headgate.storage.errors import Busy, StorageError, StorageFull

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"

HEADERS = {"Server": "headgate", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On every answer: nobody needs our versions, nothing may be kept by others, nothing guessed to be HTML."""

RETRY_AFTER = 5
"""Seconds we ask a sender to wait when the queue of writes or the disk is full."""


class ProblemShape(msgspec.Struct, frozen=True, kw_only=True):
    """An error as every client gets it. `type` is stable, `detail` is for a person, `instance` the path asked for."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Refusal(HeadgateError):
    """The web room itself says no; `headers` go with the answer (`Allow`, `WWW-Authenticate`, `Retry-After`)."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        """`detail` is shown to whoever asked, so it says nothing about the server's inside."""
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        super().__init__(detail)


STATUSES: tuple[tuple[type[HeadgateError], int], ...] = (
    (Unauthenticated, 401),
    (CannotCheckYet, 503),
    (TooLarge, 413),
    (Unreadable, 422),
    (NotFound, 404),
    (Conflict, 409),
    (RateLimited, 503),
    (Unavailable, 503),
    (ProviderError, 502),
    (CredentialError, 502),
    (QueueError, 422),
    (ConfigError, 409),
    (PluginError, 502),
    (Busy, 503),
    (StorageFull, 503),
    (StorageError, 503),
)
"""The first type that fits decides; what fits none is our fault and a 500 without details."""

_HIDDEN = (StorageError, Unauthenticated, CannotCheckYet, CredentialError)
"""Their messages are for the log: they name paths, secrets' references or how close a forgery came."""

_RETRIED = (Busy, StorageFull, Unavailable)


def problem_of(error: Exception, *, instance: str, now: Callable[[], datetime]) -> web.Response:
    """The answer for an exception; logs the ones that are our fault."""
    if isinstance(error, Refusal):
        return problem(error.status, error.detail, instance=instance, headers=error.headers)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request failed by our fault", instance=instance, exc_info=error)
        else:
            log.warning("a request could not be served", instance=instance, status=status, error=str(error))
    hidden = status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, _HIDDEN)
    detail = _GENERAL[status] if hidden else str(error)
    headers = {}
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(max(1, math.ceil((error.retry_at - now()).total_seconds())))
    elif isinstance(error, CannotCheckYet) or (isinstance(error, Unavailable) and error.seconds is not None):
        headers["Retry-After"] = str(error.seconds)
    elif isinstance(error, _RETRIED):
        headers["Retry-After"] = str(RETRY_AFTER)
    return problem(status, detail, instance=instance, headers=headers)


def problem(status: int, detail: str, *, instance: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of that status; `instance` is cut, because it is the stranger's own text."""
    phrase = HTTPStatus(status).phrase
    shape = ProblemShape(
        type=f"urn:headgate:problem:{phrase.lower().replace(' ', '-')}",
        title=phrase,
        status=status,
        detail=detail,
        instance=instance[:_MAX_INSTANCE].encode(errors="replace").decode(),
    )
    given = {**HEADERS, "Content-Type": CONTENT_TYPE, **(headers or {})}
    return web.Response(status=status, body=msgspec.json.encode(shape), headers=given)


_MAX_INSTANCE = 512

_GENERAL = {
    401: "A valid credential is needed.",
    500: "Something broke on our side; the server's log says what.",
    502: "Something this needs is not usable; the server's log says what.",
    503: "Nothing can be stored right now; please try again later.",
}
