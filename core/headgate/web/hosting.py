"""Routes that ask a connection's Git host: test, discover, and its webhooks; not what a provider can do, which it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from aiohttp import web

from headgate.api import (
    CAPABILITIES,
    Branch,
    ChangeState,
    ConnectionReport,
    CredentialError,
    Hook,
    HookDelivery,
    HostedChange,
    HostedRepository,
    HostedTag,
    RepositoryQuery,
    Visibility,
    WantedHook,
    hook_differences,
)
from headgate.web.listings import Listings
from headgate.web.ports import Connection
from headgate.web.problems import Refusal
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import Closed, Limit, Name
from headgate.web.shaping import webhook_url

ANSWER_WITHIN: Final = 120.0
"""Seconds one of these may take: a page of a listing can be several requests to a slow host."""

Cursor = Annotated[str, msgspec.Meta(max_length=9, description="`next` of the page before.")]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="A repository, as a job names it.")]
T = TypeVar("T")


class Paged(Closed, frozen=True, kw_only=True):
    """Which page."""

    cursor: Cursor | None = None
    limit: Limit = 50


class RepositoriesQuery(Paged, frozen=True, kw_only=True):
    """Which repositories; what is left out does not narrow."""

    owner: Name | None = None
    project: Name | None = None
    search: Name | None = None
    visibility: Visibility | None = None
    archived: Literal["true", "false"] | None = None


class OfRepository(Paged, frozen=True, kw_only=True):
    """Of which repository."""

    repository: Path


class ChangesQuery(OfRepository, frozen=True, kw_only=True):
    """Which change requests."""

    state: ChangeState | Literal["all"] = "open"


class HookDeliveriesQuery(OfRepository, frozen=True, kw_only=True):
    """Of which hook, by its host's id."""

    hook: Name


class RepositoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Repositories as their host lists them."""

    items: tuple[HostedRepository, ...]
    next: str | None


class BranchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Branches as their host lists them."""

    items: tuple[Branch, ...]
    next: str | None


class TagPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tags as their host lists them."""

    items: tuple[HostedTag, ...]
    next: str | None


class ChangePage(msgspec.Struct, frozen=True, kw_only=True):
    """Change requests as their host lists them."""

    items: tuple[HostedChange, ...]
    next: str | None


class HookShape(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook at its host. `ours`: it leads to this connection; `faults` are then what is wrong with it."""

    hook: Hook
    ours: bool
    faults: tuple[str, ...]


class HookPage(msgspec.Struct, frozen=True, kw_only=True):
    """A repository's webhooks. `wanted` is the URL one of them should lead to."""

    items: tuple[HookShape, ...]
    next: str | None
    wanted: str


class HookDeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook sent, newest first."""

    items: tuple[HookDelivery, ...]
    next: str | None


class SetHook(Closed, frozen=True, kw_only=True):
    """Have a repository's webhook made or put right."""

    repository: Path


class HookSet(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook as it is now, and what was done. A host never tells a secret, so an old one is always set again."""

    hook: Hook
    did: Literal["created", "updated"]


class RemoveHook(Closed, frozen=True, kw_only=True):
    """Which webhook, by its host's id."""

    repository: Path
    hook: Name


class Redeliver(Closed, frozen=True, kw_only=True):
    """Have one delivery sent again."""

    repository: Path
    hook: Name
    delivery: Name


class Hosting:
    """Asks the providers of open connections, each behind its guard."""

    def __init__(self, connections: Mapping[str, Connection], *, public_url: str) -> None:
        """`connections` may change while we serve."""
        self._connections = connections
        self._public_url = public_url
        self._listings = Listings()

    async def test(self, call: Call) -> web.Response:
        """Who the credential is."""
        connection, provider = self._able(call, "test")
        return json_reply(await _asked(connection, "test_connection", provider.test_connection))

    async def repositories(self, call: Call) -> web.Response:
        """What the credential sees."""
        connection, provider = self._able(call, "discover")
        query: RepositoriesQuery = call.query
        wanted = RepositoryQuery(
            owner=query.owner,
            project=query.project,
            search=query.search,
            visibility=query.visibility,
            archived=None if query.archived is None else query.archived == "true",
        )
        page = await self._page(connection, "discover", wanted, lambda: provider.discover(wanted), query)
        return json_reply(RepositoryPage(items=page[0], next=page[1]))

    async def branches(self, call: Call) -> web.Response:
        """Of one repository."""
        connection, provider = self._able(call, "repository")
        path = call.query.repository
        page = await self._page(connection, "branches", path, lambda: provider.branches(path), call.query)
        return json_reply(BranchPage(items=page[0], next=page[1]))

    async def tags(self, call: Call) -> web.Response:
        """Of one repository."""
        connection, provider = self._able(call, "repository")
        path = call.query.repository
        page = await self._page(connection, "tags", path, lambda: provider.tags(path), call.query)
        return json_reply(TagPage(items=page[0], next=page[1]))

    async def changes(self, call: Call) -> web.Response:
        """Of one repository."""
        connection, provider = self._able(call, "changes")
        query: ChangesQuery = call.query
        state = None if query.state == "all" else query.state
        key = (query.repository, state)
        page = await self._page(
            connection, "changes", key, lambda: provider.changes(query.repository, state), call.query
        )
        return json_reply(ChangePage(items=page[0], next=page[1]))

    async def hooks(self, call: Call) -> web.Response:
        """Those of one repository, and what is wrong with ours."""
        connection, provider = self._able(call, "hooks")
        path, wanted = call.query.repository, self._wanted(connection)
        items, more = await self._page(connection, "hooks", path, lambda: provider.hooks(path), call.query)
        needed = provider.hook_events()
        shown = tuple(
            HookShape(hook=hook, ours=hook.url == wanted.url, faults=_faults(hook, wanted, needed)) for hook in items
        )
        return json_reply(HookPage(items=shown, next=more, wanted=wanted.url))

    async def set_hook(self, call: Call) -> web.Response:
        """Make the one that leads here, or put it right."""
        connection, provider = self._able(call, "hooks")
        path, wanted = call.body.repository, self._wanted(connection)

        async def work() -> HookSet:
            async for found in provider.hooks(path):
                if found.url == wanted.url:
                    return HookSet(hook=await provider.update_hook(path, found.id, wanted), did="updated")
            return HookSet(hook=await provider.create_hook(path, wanted), did="created")

        return json_reply(await _asked(connection, "set_hook", work))

    async def remove_hook(self, call: Call) -> web.Response:
        """Have one removed."""
        connection, provider = self._able(call, "hooks")
        asked: RemoveHook = call.body
        await _asked(connection, "delete_hook", lambda: provider.delete_hook(asked.repository, asked.hook))
        return web.Response(status=204)

    async def hook_deliveries(self, call: Call) -> web.Response:
        """What a hook sent."""
        connection, provider = self._able(call, "hook_deliveries")
        query: HookDeliveriesQuery = call.query
        key = (query.repository, query.hook)
        page = await self._page(connection, "hook_deliveries", key, lambda: provider.hook_deliveries(*key), query)
        return json_reply(HookDeliveryPage(items=page[0], next=page[1]))

    async def redeliver(self, call: Call) -> web.Response:
        """Have one sent again."""
        connection, provider = self._able(call, "redeliver")
        asked: Redeliver = call.body
        await _asked(connection, "redeliver", lambda: provider.redeliver(asked.repository, asked.hook, asked.delivery))
        return web.Response(status=204)

    def _able(self, call: Call, feature: str) -> tuple[Connection, Any]:
        return able(self._connections, call, feature)

    def _wanted(self, connection: Connection) -> WantedHook:
        return WantedHook(url=webhook_url(self._public_url, connection.name))

    async def _page(
        self,
        connection: Connection,
        method: str,
        what: Any,
        start: Callable[[], AsyncIterator[T]],
        query: Paged,
    ) -> tuple[tuple[T, ...], str | None]:
        key = (connection.name, id(connection.provider), method, what)
        return await _asked(
            connection, method, lambda: self._listings.page(key, start, cursor=query.cursor, limit=query.limit)
        )


def able(connections: Mapping[str, Connection], call: Call, *features: str) -> tuple[Connection, Any]:
    """The open connection whose provider can do it (words of `CAPABILITIES`), or a `Refusal` saying what lacks."""
    connection = connections.get(call.path["connection"])
    if connection is None:
        raise Refusal(404, "There is no such connection.")
    if connection.provider is None:
        raise Refusal(409, f"The connection {connection.name} is not open: {connection.problem}")
    for feature in features:
        if not isinstance(connection.provider, CAPABILITIES[feature]):
            raise Refusal(409, f"The provider {connection.kind} does not have the feature `{feature}`.")
    return connection, connection.provider


def hosting_routes(connections: Mapping[str, Connection], *, public_url: str) -> tuple[Route, ...]:
    """The routes below one connection."""
    hosting = Hosting(connections, public_url=public_url)
    below = "/api/v1/connections/{connection}"
    pages: tuple[tuple[str, Any, type[msgspec.Struct], type[msgspec.Struct], str], ...] = (
        ("repositories", hosting.repositories, RepositoriesQuery, RepositoryPage, "List the repositories it sees"),
        ("branches", hosting.branches, OfRepository, BranchPage, "List a repository's branches"),
        ("tags", hosting.tags, OfRepository, TagPage, "List a repository's tags"),
        ("changes", hosting.changes, ChangesQuery, ChangePage, "List a repository's change requests"),
        ("hooks", hosting.hooks, OfRepository, HookPage, "List a repository's webhooks and what is wrong with ours"),
        ("hook-deliveries", hosting.hook_deliveries, HookDeliveriesQuery, HookDeliveryPage, "List what a webhook sent"),
    )
    writes: tuple[tuple[str, Any, type[msgspec.Struct], Reply, str], ...] = (
        ("hooks", hosting.set_hook, SetHook, Reply(shape=HookSet), "Make a repository's webhook, or put it right"),
        ("hooks/remove", hosting.remove_hook, RemoveHook, _NOTHING, "Remove a webhook"),
        ("hook-deliveries", hosting.redeliver, Redeliver, _NOTHING, "Have a delivery sent again by its host"),
    )
    return (
        Route(
            method="GET",
            path=f"{below}/test",
            answer=hosting.test,
            permission="connections:read",
            summary="Ask the host who the connection's credential is and what it lacks",
            tag="connections",
            replies=(Reply(shape=ConnectionReport, description="What the host says."),),
            errors=ERRORS,
        ),
        *(
            Route(
                method="GET",
                path=f"{below}/{word}",
                answer=answer,
                permission="connections:read",
                summary=summary,
                tag="connections",
                query=query,
                replies=(Reply(shape=shape, description="A page, as the host gives it."),),
                errors=ERRORS,
            )
            for word, answer, query, shape, summary in pages
        ),
        *(
            Route(
                method="POST",
                path=f"{below}/{word}",
                answer=answer,
                permission="connections:write",
                summary=summary,
                tag="connections",
                body=body,
                replies=(reply,),
                errors=(*ERRORS, 408, 413, 415),
            )
            for word, answer, body, reply, summary in writes
        ),
    )


ERRORS: Final = (400, 404, 409, 502, 503)
_NOTHING: Final = Reply(status=204)


def _faults(hook: Hook, wanted: WantedHook, needed: tuple[str, ...]) -> tuple[str, ...]:
    return hook_differences(hook, wanted, needed) if hook.url == wanted.url else ()


async def _asked(connection: Connection, method: str, work: Callable[[], Awaitable[T]]) -> T:
    """Raises what the provider raises. Why a credential cannot be used is said: who may ask this may know it."""
    try:
        return await connection.guard.call(method, work, within=ANSWER_WITHIN)
    except CredentialError as error:
        raise Refusal(502, f"The connection's credential cannot be used: {error}.") from error
