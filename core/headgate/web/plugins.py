"""Routes about what is installed and configured, and the routes that plugins bring; not how plugins are found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

import msgspec
import structlog
from aiohttp import web

from headgate.api import CAPABILITIES, HeadgateError, ProviderKind, RouteKind, RouteRequest, RouteResponse
from headgate.plugins import PluginReport
from headgate.plugins.guard import CircuitOpen, Guards
from headgate.telemetry.metrics import Metrics
from headgate.web.limits import check_encoding, read_body
from headgate.web.ports import Connection
from headgate.web.problems import HEADERS, Refusal
from headgate.web.routes import Call, Method, Reply, Route, check_route, json_reply
from headgate.web.shapes import (
    Closed,
    ConnectionPage,
    ConnectionShape,
    Limit,
    Name,
    PluginList,
    PluginShape,
    ProviderList,
    ProviderShape,
)
from headgate.web.shaping import webhook_url

log = structlog.get_logger(__name__)

ANSWER_WITHIN: Final = 30.0
"""Seconds a plugin's route has to answer."""

_METHODS: Final = frozenset(get_args(Method))
_SANDBOX: Final = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}
"""What a plugin answers is shown by browsers without any of our rights."""


class ConnectionsQuery(Closed, frozen=True, kw_only=True):
    """Which connections. `cursor` is the name of the last one seen."""

    cursor: Name | None = None
    limit: Limit = 50


def installed_routes(
    *,
    plugins: Sequence[PluginReport],
    guards: Guards,
    providers: Mapping[str, ProviderKind],
    connections: Mapping[str, Connection],
    public_url: str,
) -> tuple[Route, ...]:
    """The routes for plugins, providers and connections."""

    async def list_plugins(_: Call) -> web.Response:
        seen = guards.health()
        shown = [
            PluginShape(**msgspec.structs.asdict(one), health=seen.get(one.name) if one.status == "loaded" else None)
            for one in plugins
        ]
        return json_reply(PluginList(items=tuple(shown)))

    async def list_providers(_: Call) -> web.Response:
        return json_reply(
            ProviderList(
                items=tuple(
                    ProviderShape(
                        type=kind.name,
                        name=kind.title or kind.name,
                        description=kind.summary,
                        credential_types=kind.credential_types,
                        features=_of_class(kind.provides),
                        status=kind.status,
                    )
                    for _, kind in sorted(providers.items())
                )
            )
        )

    async def list_connections(call: Call) -> web.Response:
        query: ConnectionsQuery = call.query
        names = [name for name in sorted(connections) if query.cursor is None or name > query.cursor]
        shown = [connections[name] for name in names[: query.limit]]
        return json_reply(
            ConnectionPage(
                items=tuple(_shape(connection) for connection in shown),
                next=shown[-1].name if len(names) > len(shown) else None,
            )
        )

    def _shape(connection: Connection) -> ConnectionShape:
        return ConnectionShape(
            name=connection.name,
            provider=connection.kind,
            open=connection.provider is not None,
            problem=connection.problem,
            capabilities=_of_object(connection.provider),
            webhook_url=webhook_url(public_url, connection.name),
        )

    return (
        Route(
            method="GET",
            path="/api/v1/plugins",
            answer=list_plugins,
            permission="plugins:read",
            summary="List plugins, with the reason of each that is broken",
            tag="plugins",
            replies=(Reply(shape=PluginList, description="All plugins."),),
        ),
        Route(
            method="GET",
            path="/api/v1/providers",
            answer=list_providers,
            permission="plugins:read",
            summary="List the kinds of Git hosting and what each can do",
            tag="plugins",
            replies=(Reply(shape=ProviderList, description="All providers."),),
        ),
        Route(
            method="GET",
            path="/api/v1/connections",
            answer=list_connections,
            permission="connections:read",
            summary="List connections, by name",
            tag="connections",
            query=ConnectionsQuery,
            replies=(Reply(shape=ConnectionPage, description="A page of connections."),),
            errors=(400,),
        ),
    )


def plugin_routes(
    routes: Iterable[tuple[str, RouteKind]], *, guards: Guards, metrics: Metrics, max_body: int, read_timeout: float
) -> tuple[tuple[Route, ...], dict[str, str]]:
    """Routes of plugins, and for the ones that are refused `plugin/name` and why: one of them stops nobody else."""
    made: list[Route] = []
    refused: dict[str, str] = {}
    for plugin, kind in routes:
        try:
            made += _routes_of(plugin, kind, guards=guards, max_body=max_body, read_timeout=read_timeout)
        except ValueError as error:
            metrics.plugin_failed(plugin)
            refused[f"{plugin}/{kind.name}"] = str(error)
            log.error(  # noqa: TRY400 - the reason is the message, where it was raised says nothing
                "a plugin's route is refused", plugin=plugin, route=kind.name, reason=str(error)
            )
    return tuple(made), refused


def _routes_of(plugin: str, kind: RouteKind, *, guards: Guards, max_body: int, read_timeout: float) -> list[Route]:
    guard = guards.of("route", f"{plugin}/{kind.name}")

    async def answer(call: Call) -> web.Response:
        check_encoding(call.request)
        body = await read_body(call.request, max_body=max_body, deadline=read_timeout)
        asked = RouteRequest(
            method=call.request.method,
            tail=call.path.get("tail", ""),
            query=dict(call.request.query),
            headers={
                name.lower(): value
                for name, value in call.request.headers.items()
                if name.lower() not in {"authorization", "cookie"}
            },
            body=body,
        )

        async def answered() -> web.Response:
            return _response(await kind.answer(asked))

        try:
            return await guard.call("answer", answered, within=ANSWER_WITHIN)
        except CircuitOpen as shut:
            headers = {"Retry-After": str(math.ceil(shut.seconds) + 1)}
            raise Refusal(503, f"The plugin {plugin} is not called right now.", headers=headers) from shut
        except HeadgateError as error:
            raise Refusal(502, f"The plugin {plugin} did not answer; the server's log says why.") from error

    made: list[Route] = []
    for method in kind.methods:
        if method not in _METHODS:
            raise ValueError(f"{method!r} is no method a route may have; those are {', '.join(sorted(_METHODS))}")
        for path in (f"/plugins/{plugin}/{kind.name}", f"/plugins/{plugin}/{kind.name}/{{tail:path}}"):
            route = Route(
                method=method,  # type: ignore[arg-type]  # checked above
                path=path,
                answer=answer,
                permission=kind.permission,  # type: ignore[arg-type]  # checked below
                summary=kind.summary,
                tag="plugins",
                published=False,
            )
            check_route(route)
            made.append(route)
    return made


def _response(given: RouteResponse) -> web.Response:
    return web.Response(status=given.status, body=given.body, headers={**_SANDBOX, "Content-Type": given.content_type})


def _of_object(provider: object) -> tuple[str, ...]:
    return tuple(word for word, protocol in CAPABILITIES.items() if isinstance(provider, protocol))


def _of_class(provides: type) -> tuple[str, ...]:
    return tuple(word for word, protocol in CAPABILITIES.items() if issubclass(provides, protocol))
