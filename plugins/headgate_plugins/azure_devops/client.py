"""How Azure DevOps is spoken to: versions, pages, refusals, and how a credential is sent; not what is asked.

Source: https://learn.microsoft.com/en-us/rest/api/azure/devops/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from headgate import api
from headgate.api.client import (
    Answer,
    Authorization,
    BaseUrl,
    Client,
    Dialect,
    Next,
    NextPage,
    Paging,
    Params,
    StoredCredential,
    basic,
    bearer,
    continuation_token,
    segment,
)
from headgate_plugins.azure_devops.names import split

T = TypeVar("T")

DIALECT = Dialect(
    name="Azure DevOps",
    # Who is not known is shown the sign-in page, with 203 or a redirect:
    # https://learn.microsoft.com/en-us/azure/devops/integrate/get-started/authentication/authentication-guidance
    meanings={203: api.Refused, 302: api.Refused},
    # `Retry-After` says all, beside successes too; X-RateLimit-Delay is what a request was already delayed by.
    # https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits
    paging=Paging(next=continuation_token(), items="value"),
)

PREVIEW = "-preview"
"""Behind the version of what is not finished there: it is refused without."""

PAGE = 100
_TOKEN_PARTS = 3


def authorization(token: api.Secret) -> Authorization:
    """A personal access token is a password without a user; a token of Microsoft Entra, a JWT, is a bearer's.

    https://learn.microsoft.com/en-us/azure/devops/organizations/accounts/use-personal-access-tokens-to-authenticate
    """
    if token.reveal().count(".") == _TOKEN_PARTS - 1:
        return bearer(token)
    return basic("", token)


def path_to(repository: str, rest: str = "") -> str:
    """The path of a repository's resources, `rest` below it. Raises `NotFound` for what names none."""
    project, name = names(repository)
    return f"/{segment(project)}/_apis/git/repositories/{segment(name)}{rest}"


def names(repository: str) -> tuple[str, str]:
    """Project and name, as a job or an event spells them. Raises `NotFound` for what names none."""
    try:
        return split(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None


class Rest:
    """The REST API of one organisation or collection: each request names the version it means."""

    def __init__(self, host: api.Host, base: BaseUrl, *, access: StoredCredential, version: str) -> None:
        """`version`: such as `7.1`."""
        self.base = base
        self._client = Client(host, base, dialect=DIALECT, authorize=access)
        self._version = version

    async def get(self, path: str, *, type: type[T], params: Params | None = None, preview: bool = False) -> T:  # noqa: A002 - as msgspec calls it
        """A GET, read as `type`. Raises `ProviderError` or `CredentialError`."""
        return (await self.call("GET", path, params=params, preview=preview)).read(type)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        preview: bool = False,
        body: Any = None,
        headers: dict[str, str] | None = None,
        idempotent: bool | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Any request, as `Client.call` makes it."""
        return await self._client.call(
            method,
            path,
            params=self._versioned(params, preview=preview),
            body=body,
            headers=headers,
            idempotent=idempotent,
            patience=patience,
        )

    def pages(
        self,
        path: str,
        *,
        type: type[T],  # noqa: A002 - as msgspec calls it
        params: Params | None = None,
        items: str | None = None,
        next_page: NextPage | None = None,
    ) -> AsyncIterator[T]:
        """A listing that goes on with a continuation token, or as `next_page` says."""
        return self._client.pages(path, type=type, params=self._versioned(params), items=items, next_page=next_page)

    def skipping(
        self,
        path: str,
        *,
        type: type[T],  # noqa: A002 - as msgspec calls it
        params: Params | None = None,
        size: int = PAGE,
        prefix: str = "",
    ) -> AsyncIterator[T]:
        """A listing that is told how many to skip: `$top` and `$skip`, each behind `prefix`."""
        asked = {**(params or {}), f"{prefix}$top": size}
        return self.pages(path, type=type, params=asked, next_page=_skip(f"{prefix}$skip", size))

    def _versioned(self, params: Params | None, *, preview: bool = False) -> Params:
        return {**(params or {}), "api-version": self._version + (PREVIEW if preview else "")}


class _Counted(msgspec.Struct):
    value: list[msgspec.Raw]


def _skip(parameter: str, size: int) -> NextPage:
    """For one listing: a page that is not full is the last."""
    seen = 0

    def following(answer: Answer) -> Next:
        nonlocal seen
        count = len(answer.read(_Counted).value)
        seen += count
        return {parameter: str(seen)} if count >= size else None

    return following
