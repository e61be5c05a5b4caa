"""The client of one connection: asks its provider, within all bounds, and gives values or errors by meaning.

It knows no provider; what differs between them is a `Dialect`. It asks nothing but its base URL, and what it raises
names no secret.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import GenericAlias
from typing import Any, TypeVar, cast

import msgspec
from yarl import URL

from headgate.api.client.addresses import BaseUrl, Params
from headgate.api.client.answers import Answer
from headgate.api.client.attempts import Attempts
from headgate.api.client.authorization import Authorize
from headgate.api.client.bounds import Bounds
from headgate.api.client.dialects import Dialect
from headgate.api.client.graphql import graphql_data
from headgate.api.client.pages import NextPage
from headgate.api.client.throttle import Sleep
from headgate.api.client.wire import Asked
from headgate.api.errors import ProviderError
from headgate.api.host import Host

T = TypeVar("T")

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_DEFAULT_BOUNDS = Bounds()
_NO_CONTENT = 204


class Client:
    """One for each open connection; its methods may be called concurrently and cancelled at any time."""

    def __init__(
        self,
        host: Host,
        base: BaseUrl,
        *,
        dialect: Dialect,
        authorize: Authorize,
        bounds: Bounds = _DEFAULT_BOUNDS,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`sleep`, `monotonic` and `draw` (a number from 0 to 1, for back-off) are for tests to turn."""
        self.base = base
        self._host = host
        self._dialect = dialect
        self._bounds = bounds
        self._attempts = Attempts(
            host, base, dialect=dialect, authorize=authorize, bounds=bounds, sleep=sleep, monotonic=monotonic, draw=draw
        )

    async def get(self, path: str, *, type: type[T], params: Params | None = None) -> T:  # noqa: A002 - as msgspec calls it
        """A GET, read as `type`. Raises `ProviderError` or `CredentialError`."""
        return (await self.call("GET", path, params=params)).read(type)

    async def post(self, path: str, body: Any, *, type: type[T], idempotent: bool = False) -> T:  # noqa: A002 - as msgspec calls it
        """A POST of JSON, read as `type`; made again after a failure only if `idempotent`. Raises as `get`."""
        return (await self.call("POST", path, body=body, idempotent=idempotent)).read(type)

    async def put(self, path: str, body: Any, *, type: type[T]) -> T:  # noqa: A002 - as msgspec calls it
        """A PUT of JSON, read as `type`. Raises as `get`."""
        return (await self.call("PUT", path, body=body)).read(type)

    async def patch(self, path: str, body: Any, *, type: type[T], idempotent: bool = False) -> T:  # noqa: A002 - as msgspec calls it
        """A PATCH of JSON, read as `type`; made again after a failure only if `idempotent`. Raises as `get`."""
        return (await self.call("PATCH", path, body=body, idempotent=idempotent)).read(type)

    async def delete(self, path: str, *, params: Params | None = None) -> None:
        """A DELETE, of which only success counts. Raises as `get`."""
        await self.call("DELETE", path, params=params)

    async def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        type: type[T],  # noqa: A002 - as msgspec calls it
        path: str = "/graphql",
        idempotent: bool = True,
    ) -> T:
        """The `data` of a query, all of it or an error. A mutation is not `idempotent`; say so.

        `path` is below the base, or a link on its origin (`https://git.acme.example/api/graphql`). Raises as `get`.
        """
        url = self.base.at(path) if path.startswith("/") else self.base.own(path)
        body = {"query": query, "variables": dict(variables or {})}
        asked = self._asked("POST", url.path, url, body=body, repeatable=idempotent)
        answer = await self._attempts.settle(asked)
        limits, now = self._dialect.limits, self._host.now()
        budget = limits.budget(answer.headers, now)
        until = budget.reset_at if budget is not None and budget.reset_at is not None else now + limits.pause
        try:
            return graphql_data(answer, type, name=self._dialect.name, limited_until=min(until, now + limits.longest))
        except ProviderError as error:
            raise self._attempts.masked(error) from None

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Any request, and the whole answer of one that succeeded. Raises `ProviderError` or `CredentialError`.

        `body` is sent as JSON, `content` as it is (say its type in `headers`). GET, HEAD, PUT and DELETE are made
        again after a failure, others if `idempotent`. `patience`: seconds a rate limit is waited for, instead of the
        bounds'; with 0 it is raised at once. Secrets belong into the authorisation, never into `params` or `headers`.
        """
        asked = self._asked(
            method, path, self.base.at(path, params), body=body, content=content, headers=headers,
            repeatable=idempotent, patience=patience,
        )  # fmt: skip
        return await self._attempts.settle(asked)

    async def pages(
        self,
        path: str,
        *,
        type: type[T],  # noqa: A002 - as msgspec calls it
        params: Params | None = None,
        items: str | None = None,
        next_page: NextPage | None = None,
    ) -> AsyncIterator[T]:
        """Every item of a listing, page after page as they are wanted, each read as `type`.

        `items`: the key of the page that holds them, and `next_page`: how it goes on, where the listing differs from
        the dialect. Raises as `get`; `ProviderError` for a link to another origin, a page that was there before,
        and more pages than the bounds allow: what came until then was not all.
        """
        paging = self._dialect.paging
        key, go_on = items or paging.items, next_page or paging.next
        url, seen = self.base.at(path, params), set[URL]()
        while len(seen) < self._bounds.most_pages:
            seen.add(url)
            answer = await self._attempts.settle(self._asked("GET", path, url))
            for item in _items(answer, key, type):
                yield item
            following = go_on(answer)
            if following is None:
                return
            url = self.base.own(following) if isinstance(following, str) else url.update_query(following)
            if url in seen:
                raise ProviderError(f"{self._dialect.name} lists {path} in a circle")
        raise ProviderError(f"{self._dialect.name} lists {path} on more than {self._bounds.most_pages} pages")

    def _asked(
        self,
        method: str,
        path: str,
        url: URL,
        *,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        patience: float | None = None,
    ) -> Asked:
        sent = {**self._dialect.headers, **(headers or {})}
        if body is not None:
            content = msgspec.json.encode(body)
            sent.setdefault("Content-Type", "application/json")
        return Asked(
            what=f"{method} {path}",
            method=method,
            url=url,
            path=path,
            headers=sent,
            body=content,
            repeatable=method in _IDEMPOTENT if repeatable is None else repeatable,
            patience=self._bounds.patience if patience is None else patience,
        )


def _items(answer: Answer, key: str | None, shape: type[T]) -> list[T]:
    if answer.status == _NO_CONTENT:  # GitHub: the contributors of an empty repository
        return []
    shapes = cast("type[list[T]]", GenericAlias(list, (shape,)))
    if key is None:
        return answer.read(shapes)
    page = answer.read(dict[str, msgspec.Raw])
    if key not in page:
        raise ProviderError(f"the answer to {answer.what} is not of the form expected: it has no {key!r}")
    return msgspec.structs.replace(answer, body=bytes(page[key])).read(shapes)
