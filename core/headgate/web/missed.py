"""Routes that list what a connection's host could not deliver, and have it sent again; not how it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web

from headgate.api import HookDelivery
from headgate.web.hosting import ERRORS, Path, able
from headgate.web.ports import Connection, Missed
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import Closed

MOST: Final = 100
"""Deliveries that one request has sent again."""

LONGEST: Final = 35
"""Days: no host remembers more."""

Days = Annotated[int, msgspec.Meta(ge=1, le=LONGEST, description="How far back to look.")]


class MissedQuery(Closed, frozen=True, kw_only=True):
    """Of which repository, and how far back."""

    repository: Path
    days: Days = 1


class Recover(Closed, frozen=True, kw_only=True):
    """Have what a repository's webhook could not deliver sent again, also what was asked for before."""

    repository: Path
    days: Days = 1


class MissedDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    """What failed at the host and is not recorded here, oldest first. `unknown`: what its history does not show."""

    items: tuple[HookDelivery, ...]
    unknown: str


class NotGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that its host does not send again."""

    delivery: HookDelivery
    reason: str


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What the host sends again, which then arrives as any delivery. `stopped`: why the rest was not asked for."""

    asked: tuple[HookDelivery, ...]
    refused: tuple[NotGiven, ...]
    left: int
    stopped: str
    unknown: str


class MissedRoutes:
    """Asks the histories of open connections."""

    def __init__(self, connections: Mapping[str, Connection], missed: Missed, *, now: Callable[[], datetime]) -> None:
        """`connections` may change while we serve."""
        self._connections = connections
        self._missed = missed
        self._now = now

    async def list(self, call: Call) -> web.Response:
        """What is missing."""
        connection, _ = able(self._connections, call, "hooks", "hook_deliveries")
        query: MissedQuery = call.query
        found = await self._missed.find(connection, query.repository, since=self._since(query.days))
        return json_reply(MissedDeliveries(items=tuple(found.deliveries), unknown=found.unknown))

    async def recover(self, call: Call) -> web.Response:
        """Have it sent again."""
        connection, _ = able(self._connections, call, "hooks", "hook_deliveries", "redeliver")
        asked: Recover = call.body
        found = await self._missed.find(connection, asked.repository, since=self._since(asked.days))
        given = await self._missed.ask(connection, asked.repository, found.hook, found.deliveries[:MOST])
        if given.stopped is not None and not given.asked and not given.refused:
            raise given.stopped
        left = len(found.deliveries) - len(given.asked) - len(given.refused)
        stopped = str(given.stopped or (f"no more than {MOST} at once" if left else ""))
        return json_reply(
            Recovered(
                asked=tuple(given.asked),
                refused=tuple(NotGiven(delivery=one, reason=reason) for one, reason in given.refused),
                left=left,
                stopped=stopped,
                unknown=found.unknown,
            )
        )

    def _since(self, days: int) -> datetime:
        return self._now() - timedelta(days=days)


def missed_routes(
    connections: Mapping[str, Connection], missed: Missed, *, now: Callable[[], datetime]
) -> tuple[Route, ...]:
    """The routes below one connection."""
    routes, path = MissedRoutes(connections, missed, now=now), "/api/v1/connections/{connection}/missed"
    return (
        Route(
            method="GET",
            path=path,
            answer=routes.list,
            permission="connections:read",
            summary="List what a webhook could not deliver and is not recorded",
            tag="connections",
            query=MissedQuery,
            replies=(Reply(shape=MissedDeliveries, description="By the host's own history."),),
            errors=ERRORS,
        ),
        Route(
            method="POST",
            path=path,
            answer=routes.recover,
            permission="connections:write",
            summary="Have what a webhook could not deliver sent again",
            tag="connections",
            body=Recover,
            replies=(Reply(shape=Recovered, description="What is sent again."),),
            errors=(*ERRORS, 408, 413, 415),
        ),
    )
