"""The listening server: sockets, the HTTP parser's limits, a deadline for headers, an orderly end; not what it serves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from headgate.api import ProviderKind, RouteKind
from headgate.config.settings import Settings
from headgate.plugins import PluginReport
from headgate.plugins.guard import Guards
from headgate.storage.database import Database
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics
from headgate.web.access import Access
from headgate.web.build_logs import log_routes
from headgate.web.builds import build_routes
from headgate.web.changes import BuildChanges
from headgate.web.crowd import Crowd, room
from headgate.web.deliveries import delivery_routes
from headgate.web.dispatch import MAX_API_BODY, App
from headgate.web.hosting import hosting_routes
from headgate.web.jobs import job_routes
from headgate.web.limits import MAX_HEADER_LINE, MAX_HEADERS
from headgate.web.missed import missed_routes
from headgate.web.notifications import notification_routes
from headgate.web.openapi import openapi_document
from headgate.web.plugins import installed_routes, plugin_routes
from headgate.web.ports import CancelBuild, Connection, Logs, Missed, ReadJobs, Received, Replay, RunJob
from headgate.web.problems import problem
from headgate.web.shaping import Redact
from headgate.web.sse import Streams
from headgate.web.status import status_routes
from headgate.web.webhooks import Webhooks, webhook_routes

log = structlog.get_logger(__name__)

KEEP_ALIVE: Final = 75.0
"""Seconds an idle connection is kept: longer than a proxy's, so that it is the proxy who closes."""

STOP_WITHIN: Final = 10.0
"""Seconds that requests under way may take when the server stops."""

_LOOK: Final = 0.02
"""Seconds between two looks at them."""

_CUT_OFF: Final = 0.2
"""Seconds that what goes on all the same has to notice that it was cut off."""


def make_app(
    *,
    settings: Settings,
    database: Database,
    now: Callable[[], datetime],
    metrics: Metrics,
    health: Health,
    version: str,
    connections: Mapping[str, Connection],
    providers: Mapping[str, ProviderKind],
    plugins: Sequence[PluginReport],
    guards: Guards,
    routes: Sequence[tuple[str, RouteKind]],
    jobs: ReadJobs,
    received: Received,
    run_job: RunJob,
    cancel_build: CancelBuild,
    replay: Replay,
    missed: Missed,
    notification_retried: Callable[[], None],
    logs: Logs,
    changes: BuildChanges,
    redact: Redact,
) -> App:
    """All routes, wired to what the other rooms give. Raises `ValueError` for a route without a permission.

    `connections` is read at each request, so it may change. `routes` are (plugin, kind); a refused one is logged
    and degrades the health component `plugin routes`.
    """
    limits = settings.server
    streams = Streams(most=room()[0] // 2)
    webhooks = Webhooks(
        database=database,
        connections=connections,
        received=received,
        metrics=metrics,
        now=now,
        max_body=limits.max_body,
        read_timeout=limits.read_timeout,
        trusted_proxies=limits.trusted_proxies,
    )
    of_plugins, refused = plugin_routes(
        routes, guards=guards, metrics=metrics, max_body=MAX_API_BODY, read_timeout=limits.read_timeout
    )
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        health.set("plugin routes", "degraded", reasons)
    document = b""
    table = (
        *webhook_routes(webhooks),
        *job_routes(database=database, jobs=jobs, run_job=run_job),
        *build_routes(database=database, cancel_build=cancel_build, changes=changes, streams=streams),
        *log_routes(database=database, logs=logs, streams=streams),
        *delivery_routes(database=database, replay=replay, redact=redact),
        *installed_routes(
            plugins=plugins, guards=guards, providers=providers, connections=connections, public_url=settings.public_url
        ),
        *hosting_routes(connections, public_url=settings.public_url),
        *missed_routes(connections, missed, now=now),
        *notification_routes(database=database, retried=notification_retried),
        *status_routes(health=health, metrics=metrics, version=version, document=lambda: document),
        *of_plugins,
    )
    document = msgspec.json.encode(openapi_document(table, version=version))
    return App(
        table,
        access=Access(database, now=now),
        metrics=metrics,
        now=now,
        read_timeout=limits.read_timeout,
        streams=streams,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where the server listens: `port` is the real one when 0 was asked for."""

    host: str
    port: int
    socket_path: Path | None


def serve(app: App, *, host: str, port: int, socket_path: Path | None = None) -> AbstractAsyncContextManager[Serving]:
    """Listen on TCP and, for local admins, on a Unix socket of mode 0600; stop in good order when left.

    Raises `OSError` when an address is taken.
    """
    return _serving(app, host, port, socket_path)


@contextlib.asynccontextmanager
async def _serving(app: App, host: str, port: int, socket_path: Path | None) -> AsyncIterator[Serving]:
    manager = web.Server(app)
    guests: set[_Protocol] = set()
    loop = asyncio.get_running_loop()

    most, waiting = room()
    crowd = Crowd(most)

    def make_protocol() -> _Protocol:
        return _Protocol(manager, loop=loop, header_deadline=app.read_timeout, crowd=crowd, guests=guests)

    def make_local_protocol() -> _Protocol:
        """No crowd keeps the admin out."""
        return _Protocol(manager, loop=loop, header_deadline=app.read_timeout, crowd=None, guests=guests)

    async with contextlib.AsyncExitStack() as stack:
        # Left in reverse: no new connections, then those that are open, then the file.
        stack.push_async_callback(_end_connections, manager, app, guests)
        tcp = await loop.create_server(make_protocol, host, port, backlog=waiting, reuse_address=True)
        stack.callback(tcp.close)
        if socket_path is not None:
            local = await loop.create_unix_server(make_local_protocol, sock=_unix_socket(socket_path))
            stack.callback(socket_path.unlink, missing_ok=True)
            stack.callback(local.close)
        yield Serving(host=host, port=tcp.sockets[0].getsockname()[1], socket_path=socket_path)


async def _end_connections(manager: web.Server, app: App, guests: Collection[_Protocol]) -> None:
    """Let requests under way come to their answer; aiohttp's own shutdown would read no more of their bodies."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)  # what was accepted a moment ago gets its task
    app.stopping = True
    app.streams.end()
    give_up = loop.time() + STOP_WITHIN
    while any(not guest.is_silent() for guest in guests) and loop.time() < give_up:
        for guest in [guest for guest in guests if guest.is_silent()]:
            guest.force_close()
        await asyncio.sleep(_LOOK)
    manager.pre_shutdown()
    await manager.shutdown(_CUT_OFF)


def _unix_socket(path: Path) -> socket.socket:
    """A socket only its owner can open, from its first moment; a file that a killed server left is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), 0o600)  # Linux gives the file this mode when it is bound: no open moment
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


class _Protocol(web.RequestHandler):
    """aiohttp's connection: one of a crowd, with a deadline for headers that trickle, and problems as error pages."""

    __slots__ = ("_crowd", "_deadline", "_guests", "_header_deadline")

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        header_deadline: float,
        crowd: Crowd | None,
        guests: set[_Protocol],
    ) -> None:
        """`guests`: everybody connected, to whom this one is added while it is."""
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=MAX_HEADER_LINE,
            max_field_size=MAX_HEADER_LINE,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own default when there is none
            lingering_time=min(header_deadline, 5.0),
        )
        self._header_deadline = header_deadline
        self._deadline: asyncio.TimerHandle | None = None
        self._crowd = crowd
        self._guests = guests

    def is_silent(self) -> bool:
        """Whether no request is under way: none that is answered, none whose headers are complete."""
        return self._current_request is None and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request may take as long as any other to begin."""
        super().connection_made(transport)
        self._guests.add(self)
        self._deadline = self._loop.call_later(self._header_deadline, self._give_up)
        if self._crowd is not None:
            self._crowd.enter(self)

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first byte of a request, stop it when its headers are complete."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            if self._crowd is not None:
                self._crowd.heard(self)
        elif self._deadline is None:
            self._deadline = self._loop.call_later(self._header_deadline, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        """No clock outlives its connection."""
        self._guests.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._crowd is not None:
            self._crowd.leave(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; the text names what was sent
    ) -> web.StreamResponse:
        """What is no HTTP gets a problem; the line at fault goes nowhere, as it may hold a token."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away: aiohttp lets it go without a word
        if status >= 500:  # noqa: PLR2004 - HTTP's own border
            log.error("a request failed outside every route", exc_info=exc)
        if isinstance(exc, LineTooLong):
            status = 431
        response = problem(status, _MALFORMED.get(status, "The request is not HTTP as we speak it."), instance="")
        response.force_close()
        return response

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport is not None:
            self.transport.write(_TOO_SLOW)
        self.force_close()


_MALFORMED: Final[Mapping[int, str]] = {
    431: "A line of the request is too long.",
    500: "Something broke on our side; the server's log says what.",
}

_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nServer: headgate\r\nConnection: close\r\nContent-Length: 0\r\nContent-Type: text/plain\r\n\r\n"
