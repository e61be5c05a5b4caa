"""Routes about the server itself: health, readiness, metrics, who asks, and the OpenAPI document; not about builds."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from headgate.telemetry.health import Health, HealthReport
from headgate.telemetry.metrics import CONTENT_TYPE, Metrics
from headgate.web.problems import HEADERS, Refusal
from headgate.web.routes import JSON_HEADERS, OPEN, Call, Reply, Route, json_reply
from headgate.web.shapes import ComponentStatus, Liveness, Readiness, WhoAmI


def status_routes(
    *, health: Health, metrics: Metrics, version: str, document: Callable[[], bytes]
) -> tuple[Route, ...]:
    """`document` gives the OpenAPI document as JSON, once all routes are known."""

    async def alive(_: Call) -> web.Response:
        return json_reply(Liveness(status="ok", version=version))

    async def ready(_: Call) -> web.Response:
        report = health.report()
        components = tuple(ComponentStatus(name=part.name, status=part.status) for part in report.components)
        answer = Readiness(ready=report.ready, status=report.status, components=components)
        return json_reply(answer, status=200 if report.ready else 503)

    async def show_health(_: Call) -> web.Response:
        return json_reply(health.report())

    async def expose(_: Call) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={**HEADERS, "Content-Type": CONTENT_TYPE})

    async def who_am_i(call: Call) -> web.Response:
        if call.actor is None:
            raise Refusal(401, "Nobody asks.")
        held = sorted(call.actor.permissions)
        return json_reply(WhoAmI(name=call.actor.name, via=call.actor.via, permissions=tuple(held)))  # type: ignore[arg-type]  # stored text

    async def describe(_: Call) -> web.Response:
        return web.Response(body=document(), headers=JSON_HEADERS)

    return (
        Route(
            method="GET",
            path="/health",
            answer=alive,
            permission=OPEN,
            summary="Whether the process answers",
            tag="server",
            replies=(Reply(shape=Liveness, description="It does."),),
        ),
        Route(
            method="GET",
            path="/ready",
            answer=ready,
            permission=OPEN,
            summary="Whether work may be sent here, by component",
            tag="server",
            replies=(
                Reply(shape=Readiness, description="It may."),
                Reply(status=503, shape=Readiness, description="It may not; a component is down."),
            ),
        ),
        Route(
            method="GET",
            path="/metrics",
            answer=expose,
            permission="metrics:read",
            summary="Numbers in Prometheus' format",
            tag="server",
            replies=(Reply(content_type="text/plain", description="The numbers."),),
        ),
        Route(
            method="GET",
            path="/api/v1/health",
            answer=show_health,
            permission="metrics:read",
            summary="How every component is, with reasons",
            tag="server",
            replies=(Reply(shape=HealthReport, description="All components."),),
        ),
        Route(
            method="GET",
            path="/api/v1/whoami",
            answer=who_am_i,
            permission="self:read",
            summary="Whose token this is, and what it may",
            tag="server",
            replies=(Reply(shape=WhoAmI, description="The actor."),),
        ),
        Route(
            method="GET",
            path="/api/v1/openapi.json",
            answer=describe,
            permission="self:read",
            summary="This API as an OpenAPI 3.1 document",
            tag="server",
            replies=(Reply(shape=dict, description="The document."),),
        ),
    )
