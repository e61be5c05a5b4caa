"""One request's way: route, access, what came in, answer or problem, metric; not what any route does.

There are no middlewares: everything that happens to every request stands in `App.__call__`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec
from aiohttp import web

from headgate.telemetry.metrics import Metrics
from headgate.web.access import Access, check_permission
from headgate.web.limits import check_encoding, check_headers, content_type, read_body
from headgate.web.problems import Refusal, problem_of
from headgate.web.routes import (
    OPEN,
    Call,
    Route,
    RouteTable,
    read_body_as,
    read_idempotency_key,
    read_query,
)
from headgate.web.sse import Streams

MAX_API_BODY = 1_048_576
"""Bytes of a JSON body of the API; webhooks have a limit of their own."""

_NO_ROUTE = "(none)"


class _NoArguments(msgspec.Struct, frozen=True):
    """What a route without query arguments accepts."""


class App:
    """The server's one entrance: called with each request, gives each answer."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        access: Access,
        metrics: Metrics,
        now: Callable[[], datetime],
        read_timeout: float,
        streams: Streams,
    ) -> None:
        """Raises `ValueError` for a route that does not say who may use it. `read_timeout` in seconds."""
        self.table = RouteTable(routes)
        self.read_timeout = read_timeout
        self.streams = streams
        self.stopping = False
        """Whether each answer is its connection's last."""
        self._access = access
        self._metrics = metrics
        self._now = now

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Never raises but for a client that went away."""
        began = time.perf_counter()
        path, name = request.raw_path, _NO_ROUTE
        try:
            if "?" in path or not path.startswith("/"):
                path = request.rel_url.raw_path
            check_headers(request)
            route, placeholders = self.table.find(request.method, path)
            name = route.path
            if route.permission == OPEN and route.query is None:
                response = await route.answer(Call(request=request, path=placeholders))
            else:
                response = await self._guarded(request, route, placeholders)
        except ConnectionError:
            raise
        except Exception as error:  # the last place where a fault can become an answer
            response = problem_of(error, instance=path, now=self._now)
            if request.writer.output_size:  # the answer had begun: a problem in its middle would look like its rest
                raise ConnectionAbortedError("the answer broke off") from error
        if self.stopping:
            response.force_close()
        method = request.method if name is not _NO_ROUTE else "other"
        self._metrics.observe_request(time.perf_counter() - began, method=method, route=name, status=response.status)
        return response

    async def _guarded(
        self, request: web.BaseRequest, route: Route, placeholders: Mapping[str, str]
    ) -> web.StreamResponse:
        """Access first, so that a stranger learns nothing about arguments or bodies."""
        actor = await self._access.identify(request)
        check_permission(actor, route.permission)
        query = read_query(request.query.items(), route.query or _NoArguments) if route.published else None
        body = await self._body(request, route, route.body) if route.body is not None else None
        return await route.answer(
            Call(
                request=request,
                path=placeholders,
                query=query,
                body=body,
                actor=actor,
                idempotency_key=read_idempotency_key(request) if route.takes_idempotency_key else None,
            )
        )

    async def _body(self, request: web.BaseRequest, route: Route, shape: type[msgspec.Struct]) -> object | None:
        check_encoding(request)
        if not route.body_required and not request.body_exists:
            return None
        if content_type(request) != "application/json":
            raise Refusal(415, "Send the body as application/json.")
        body = await read_body(request, max_body=MAX_API_BODY, deadline=self.read_timeout)
        return read_body_as(body, shape)
