"""Routes about news and whether it was told; not how it is told."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from headgate.api import Conflict, NotFound
from headgate.storage import notifications
from headgate.storage.database import Connection, Database
from headgate.storage.notifications import NotificationRecord, NotificationState
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import Closed, Cursor, Limit, NotificationPage, NotificationShape
from headgate.web.shaping import notification_shape


class NotificationsQuery(Closed, frozen=True, kw_only=True):
    """Which news."""

    state: NotificationState | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


def notification_routes(*, database: Database, retried: Callable[[], None]) -> tuple[Route, ...]:
    """The routes under `/api/v1/notifications`. `retried` wakes whoever tells."""

    async def list_notifications(call: Call) -> web.Response:
        query: NotificationsQuery = call.query
        async with database.reading() as connection:
            page = await notifications.page(connection, cursor=query.cursor, limit=query.limit, state=query.state)
        return json_reply(NotificationPage(items=tuple(notification_shape(one) for one in page.items), next=page.next))

    async def retry(call: Call) -> web.Response:
        notification_id = call.path["notification"]

        async def retry_once(connection: Connection) -> tuple[bool, NotificationRecord | None]:
            return await notifications.retry(connection, notification_id), await notifications.get(
                connection, notification_id
            )

        changed, record = await database.writer.write(retry_once)
        if record is None:
            raise NotFound(f"There is no notification {notification_id[:80]!r}.")
        if changed:
            retried()
        elif record.state != "waiting":
            raise Conflict(f"Only news that was given up is told again; this was {record.state}.")
        return json_reply(notification_shape(record))

    return (
        Route(
            method="GET",
            path="/api/v1/notifications",
            answer=list_notifications,
            permission="notifications:read",
            summary="List news, newest first",
            tag="notifications",
            query=NotificationsQuery,
            replies=(Reply(shape=NotificationPage, description="A page of news."),),
            errors=(400,),
        ),
        Route(
            method="POST",
            path="/api/v1/notifications/{notification}/retry",
            answer=retry,
            permission="notifications:write",
            summary="Tell again what was given up",
            description="News that waits already stays as it is.",
            tag="notifications",
            takes_idempotency_key=True,
            replies=(Reply(shape=NotificationShape, description="The news, waiting."),),
            errors=(400, 404, 409),
        ),
    )
