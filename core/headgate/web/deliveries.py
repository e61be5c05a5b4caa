"""Routes about kept deliveries: list, show, explain, replay; not how they arrive."""

from __future__ import annotations

from aiohttp import web

from headgate.api import NotFound
from headgate.storage import deliveries, explanations
from headgate.storage.database import Database
from headgate.storage.deliveries import DeliveryState
from headgate.web.ports import Replay
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import Closed, Cursor, DeliveryDetail, DeliveryPage, ExplanationShape, Limit, Name
from headgate.web.shaping import Redact, delivery_detail, explanation_shape


class DeliveriesQuery(Closed, frozen=True, kw_only=True):
    """Which deliveries."""

    connection: Name | None = None
    state: DeliveryState | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


def delivery_routes(*, database: Database, replay: Replay, redact: Redact) -> tuple[Route, ...]:
    """The routes under `/api/v1/deliveries`."""

    async def list_deliveries(call: Call) -> web.Response:
        query: DeliveriesQuery = call.query
        async with database.reading() as connection:
            page = await deliveries.page(
                connection, cursor=query.cursor, limit=query.limit, connection=query.connection, state=query.state
            )
        return json_reply(DeliveryPage(items=page.items, next=page.next))

    async def show_delivery(call: Call) -> web.Response:
        delivery_id = call.path["delivery"]
        async with database.reading() as connection:
            record = await deliveries.get(connection, delivery_id)
        if record is None:
            raise _no_delivery(delivery_id)
        return json_reply(delivery_detail(record, redact))

    async def explain_delivery(call: Call) -> web.Response:
        return json_reply(await explained(call.path["delivery"]))

    async def replay_delivery(call: Call) -> web.Response:
        new_id = await replay(call.path["delivery"], actor=call.who, idempotency_key=call.idempotency_key)
        location = {"Location": f"/api/v1/deliveries/{new_id}"}
        return json_reply(await explained(new_id), status=201, headers=location)

    async def explained(delivery_id: str) -> ExplanationShape:
        async with database.reading() as connection:
            explanation = await explanations.explain_delivery(connection, delivery_id)
        if explanation is None:
            raise _no_delivery(delivery_id)
        return explanation_shape(explanation)

    return (
        Route(
            method="GET",
            path="/api/v1/deliveries",
            answer=list_deliveries,
            permission="deliveries:read",
            summary="List deliveries, newest first",
            tag="deliveries",
            query=DeliveriesQuery,
            replies=(Reply(shape=DeliveryPage, description="A page of deliveries."),),
            errors=(400,),
        ),
        Route(
            method="GET",
            path="/api/v1/deliveries/{delivery}",
            answer=show_delivery,
            permission="deliveries:read",
            summary="Show a delivery with headers and body; signatures and tokens are masked",
            tag="deliveries",
            replies=(Reply(shape=DeliveryDetail, description="The delivery."),),
            errors=(404,),
        ),
        Route(
            method="GET",
            path="/api/v1/deliveries/{delivery}/explain",
            answer=explain_delivery,
            permission="deliveries:read",
            summary="What a delivery said, and what every job said to that",
            tag="explain",
            replies=(Reply(shape=ExplanationShape, description="Events, decisions and builds."),),
            errors=(404,),
        ),
        Route(
            method="POST",
            path="/api/v1/deliveries/{delivery}/replay",
            answer=replay_delivery,
            permission="deliveries:write",
            summary="Judge a kept delivery again with today's jobs",
            description="A new delivery is made from the old one and passes the same filters.",
            tag="deliveries",
            takes_idempotency_key=True,
            replies=(Reply(status=201, shape=ExplanationShape, description="What came of the new delivery."),),
            errors=(400, 404, 422),
        ),
    )


def _no_delivery(delivery_id: str) -> NotFound:
    return NotFound(f"There is no delivery {delivery_id[:80]!r}.")
