"""The front door: a webhook is checked, recorded and answered, in that order; what follows from it is not done here.

Nothing slow stands before the answer: no plugin's I/O, no git. Reading a small body is pure and bounded, and done
first, so that a delivery of no interest can be told so and is settled in the transaction that records it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web

from headgate.api import (
    CannotCheckYet,
    Delivery,
    DeliveryError,
    Ignored,
    Parsed,
    Provider,
    Reading,
    TooLarge,
    Unreadable,
)
from headgate.storage import deliveries
from headgate.storage.database import Database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.errors import Busy, StorageError
from headgate.storage.ids import new_id
from headgate.telemetry.metrics import DeliveryResult, Metrics
from headgate.web.limits import check_encoding, content_type, read_body
from headgate.web.ports import Connection, Received
from headgate.web.problems import Refusal
from headgate.web.routes import JSON_HEADERS, OPEN, Call, Reply, Route
from headgate.web.senders import client_address, networks

log = structlog.get_logger(__name__)

CONTENT_TYPES: Final = frozenset({"application/json", "application/x-www-form-urlencoded", "text/plain"})
"""What senders call their bodies: some call JSON plain text."""

READ_FIRST: Final = 262_144
"""Bytes up to which a body is read before the answer; a larger one is read afterwards, whatever it says."""

KEPT_OUT: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
TOKEN_SUFFIX: Final = "token"  # noqa: S105 - the end of headers' names, no token
MASK: Final = "***"


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a sealed webhook. `delivery` is the first one's id for a duplicate."""

    delivery: str
    duplicate: bool = False
    ignored: Annotated[str, msgspec.Meta(description="Why it says nothing to us.")] | None = None


class Webhooks:
    """Receives deliveries of all connections."""

    def __init__(
        self,
        *,
        database: Database,
        connections: Mapping[str, Connection],
        received: Received,
        metrics: Metrics,
        now: Callable[[], datetime],
        max_body: int,
        read_timeout: float,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        """`connections` may change while we serve. `max_body` in bytes, `read_timeout` in seconds.

        `trusted_proxies`: networks whose `X-Forwarded-For` is believed.
        """
        self._writer = database.writer
        self._connections = connections
        self._received = received
        self._metrics = metrics
        self._now = now
        self._max_body = max_body
        self._read_timeout = read_timeout
        self._trusted_proxies = networks(trusted_proxies)

    async def receive(self, call: Call) -> web.Response:
        """One webhook request, from its headers to the answer. Raises `Refusal` for all that is not accepted."""
        request, name = call.request, call.path["connection"]
        connection = self._connections.get(name)
        if connection is None:
            self._count(_UNKNOWN, None, "refused")
            raise Refusal(404, "There is no such connection.")
        if connection.provider is None:
            self._count(connection, None, "refused")
            log.warning("a delivery for a connection that is not open", connection=name, reason=connection.problem)
            raise Refusal(503, "The connection is not open; its admin can see why.", headers=_RETRY_LATER)
        address = client_address(request, self._trusted_proxies)
        try:
            connection.senders.check_address(address)
        except Refusal as refusal:
            self._count(connection, None, "refused")
            log.info("delivery refused", connection=name, remote=address, reason=refusal.detail)
            raise
        try:
            delivery = await self._delivery(request, name, call.path.get("hook", ""), address)
        except Refusal:
            self._count(connection, None, "refused")
            raise
        new, reading = self._sealed(connection, connection.provider, delivery)
        try:
            connection.senders.count()
        except Refusal:
            self._count(connection, new.event, "refused")
            raise
        try:
            recorded = await self._writer.add(deliveries.record, new)
        except StorageError as error:
            self._count(connection, new.event, "busy" if isinstance(error, Busy) else "failed")
            raise
        if recorded.duplicate_of is not None:
            self._count(connection, new.event, "duplicate")
            return _answer(200, Accepted(delivery=recorded.duplicate_of, duplicate=True))
        self._count(connection, new.event, new.state)
        if new.state == "recorded":
            self._wake(new, reading)
        if new.state == "ignored":
            return _answer(200, Accepted(delivery=delivery.id, ignored=new.reason))
        return _answer(202, Accepted(delivery=delivery.id))

    def _wake(self, new: NewDelivery, reading: Reading | None) -> None:
        try:
            self._received(new, reading)
        except Exception:  # it is on disk, so the answer is 202 whatever becomes of the wake-up
            log.exception(
                "a recorded delivery could not be handed on; it is found in the database", delivery_id=new.delivery.id
            )

    async def _delivery(self, request: web.BaseRequest, connection: str, hook: str, remote: str) -> Delivery:
        """The request as a value, within all limits."""
        check_encoding(request)
        given_type = content_type(request)
        if given_type is not None and given_type not in CONTENT_TYPES:
            raise Refusal(415, f"Send the body as one of {', '.join(sorted(CONTENT_TYPES))}.")
        body = await read_body(request, max_body=self._max_body, deadline=self._read_timeout)
        if given_type is None and (body or not hook):
            raise Refusal(415, "The request does not say what its body is (Content-Type).")
        now = self._now()
        return Delivery(
            id=new_id("d", now),
            connection=connection,
            received_at=now,
            headers=tuple(
                # Latin-1 gives every byte a character: nothing is lost, nothing fails, nothing is ambiguous.
                [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in request.raw_headers]
            ),
            body=body,
            remote=remote,
            method=request.method,
            hook=hook,
            query=tuple(request.query.items()) if "?" in request.raw_path else (),
        )

    def _sealed(
        self, connection: Connection, provider: Provider, delivery: Delivery
    ) -> tuple[NewDelivery, Reading | None]:
        """What to record of an authentic delivery; a 401 `Refusal` for any other, whose reason only we see.

        503 for one that cannot be checked yet, so that its sender comes again.

        A plugin that breaks its contract has authenticated nothing, and whoever sent it may come again: 503. Hosts
        disable hooks that answer 4xx. What a stranger's bytes make it raise opens no circuit: nobody could else shut
        the door for all.
        """
        guard = connection.guard
        if guard.uneasy and (shut := guard.refusal("authenticate")):
            self._count(connection, None, "refused")
            raise Refusal(503, _NOT_NOW, headers={"Retry-After": str(math.ceil(shut.seconds) + 1)})
        try:
            key = provider.authenticate(delivery).key
        except TooLarge as error:
            self._count(connection, None, "refused")
            raise Refusal(413, "The request is larger than this connection accepts.") from error
        except CannotCheckYet as error:
            self._count(connection, None, "refused")
            log.info("delivery not checked yet", connection=connection.name, reason=str(error))
            raise Refusal(503, _NOT_NOW, headers={"Retry-After": str(error.seconds)}) from None
        except DeliveryError as error:
            self._count(connection, None, "unauthenticated")
            log.info("delivery refused", connection=connection.name, remote=delivery.remote, reason=str(error))
            raise Refusal(401, "The request is not authenticated.", headers=_CHALLENGE) from None
        except BaseException as error:  # noqa: BLE001 - a stranger's code; what it raises must stay its own
            self._count(connection, None, "failed")
            guard.fault("authenticate", error, opens=False)
            raise Refusal(503, _NOT_NOW, headers=_RETRY_LATER) from None
        if guard.uneasy:
            guard.worked("authenticate")
        event = delivery.header(connection.event_header) if connection.event_header else None
        kept = NewDelivery(
            delivery=without_tokens(delivery),
            key=key,
            event=event and event[:_MAX_EVENT],
            replay_window=connection.senders.replay_window,
        )
        if len(delivery.body) > READ_FIRST:
            return kept, None
        return self._read(connection, provider, kept)

    def _read(self, connection: Connection, provider: Provider, new: NewDelivery) -> tuple[NewDelivery, Reading | None]:
        """What the delivery says, and with that whether it is settled already."""
        guard = connection.guard
        if guard.uneasy and guard.refusal("parse"):
            return new, None  # it is kept, and read when the provider is called again
        try:
            reading = provider.parse(new.delivery)
        except Unreadable as error:
            return msgspec.structs.replace(new, state="unreadable", reason=str(error)), None
        except BaseException as error:  # noqa: BLE001 - whatever a plugin raises, the delivery is sealed and must be kept
            guard.fault("parse", error)
            return new, None
        if guard.uneasy:
            guard.worked("parse")
        if isinstance(reading, Ignored):
            return msgspec.structs.replace(new, state="ignored", reason=reading.reason), reading
        return new, reading if isinstance(reading, Parsed) else None  # type: ignore[redundant-expr]  # a stranger's code

    def _count(self, connection: Connection, event: str | None, result: DeliveryResult) -> None:
        self._metrics.delivery(provider=connection.kind, connection=connection.name, event=event, result=result)


def without_tokens(delivery: Delivery) -> Delivery:
    """The delivery as it is kept: what would let its reader send another one is masked, once it was checked.

    Signatures stay: they are evidence, and seal this body only.
    """
    if not any(_is_token(name) for name, _ in delivery.headers) and not delivery.query:
        return delivery
    return msgspec.structs.replace(
        delivery,
        headers=tuple((name, MASK if _is_token(name) else value) for name, value in delivery.headers),
        query=tuple((name, MASK if _is_token(name.lower()) else value) for name, value in delivery.query),
    )


def webhook_routes(webhooks: Webhooks) -> tuple[Route, ...]:
    """The routes under `/webhooks`; open, because each connection's provider checks a seal of its own."""
    replies = (
        Reply(status=202, shape=Accepted, description="Recorded; it will be routed."),
        Reply(status=200, shape=Accepted, description="A duplicate, or of no interest; nothing follows."),
    )
    shared = {"answer": webhooks.receive, "permission": OPEN, "tag": "webhooks", "replies": replies}
    errors = (400, 401, 403, 404, 408, 413, 415, 417, 429, 503)
    return (
        Route(
            method="POST",
            path="/webhooks/{connection}",
            summary="Deliver a webhook",
            description="Sealed as the connection's provider does it; JSON or a form, never compressed.",
            errors=errors,
            raw_body=tuple(sorted(CONTENT_TYPES)),
            **shared,  # type: ignore[arg-type]  # a dict of different types
        ),
        *(
            Route(
                method=method,
                path="/webhooks/{connection}/{hook}",
                summary=f"Deliver to one of a connection's further hooks ({method})",
                raw_body=tuple(sorted(CONTENT_TYPES)) if method == "POST" else (),
                body_required=False,
                errors=errors,
                **shared,  # type: ignore[arg-type]  # a dict of different types
            )
            for method in ("GET", "POST")
        ),
    )


def _is_token(name: str) -> bool:
    return name in KEPT_OUT or name.endswith((TOKEN_SUFFIX, "secret", "password"))


def _answer(status: int, accepted: Accepted) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(accepted), headers=JSON_HEADERS)


_MAX_EVENT = 100
_UNKNOWN = Connection(name="(unknown)", kind="(unknown)", provider=None)
_NOT_NOW = "The connection cannot check requests right now; please send this again later."
_CHALLENGE = {"WWW-Authenticate": "Signature"}
_RETRY_LATER = {"Retry-After": "60"}
