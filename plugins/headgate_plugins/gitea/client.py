"""How Gitea, Forgejo and Gogs are spoken to: where their API is, its errors and pages; not what is asked.

Source: https://docs.gitea.com/development/api-usage and https://github.com/gogs/docs-api
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from headgate import api
from headgate.api.client import (
    Answer,
    BaseUrl,
    Client,
    Dialect,
    Next,
    NextPage,
    Paging,
    Params,
    RefreshedToken,
    RenewedToken,
    StoredCredential,
    TokenEndpoint,
    in_header,
    link_header,
)
from headgate_plugins.gitea.flavours import Flavour

T = TypeVar("T")

PAGE_SIZE: Final = 50
"""What servers give at most, unless their admin says otherwise (MAX_RESPONSE_ITEMS)."""

# https://docs.gitea.com/development/oauth2-provider
OAUTH: Final = api.OAuthEndpoints(
    site="",
    authorize="/login/oauth/authorize",
    token="/login/oauth/access_token",  # noqa: S106 - an address
    scopes=("write:repository", "read:issue", "read:user", "read:organization"),
)


def dialect(flavour: Flavour) -> Dialect:
    """405: a pull request that may not be merged; 422: what was sent fits no longer; 423: an archived repository.

    https://docs.gitea.com/api/#tag/repository/operation/repoMergePullRequest and …/repoChangeFiles
    """
    return Dialect(
        name=flavour.title,
        paging=Paging(next=next_link),
        meanings={405: api.Conflict, 422: api.Conflict, 423: api.Refused},
    )


def next_link(answer: Answer) -> Next:
    """The page that the link to the next one names: the link itself leads to what the server takes for its address."""
    link = link_header(answer)
    page = parse_qs(urlsplit(link).query).get("page") if isinstance(link, str) else None
    return {"page": page[0]} if page else None


class _Counted(msgspec.Struct):
    total_count: int | None = None


def counted(items: str | None = None) -> NextPage:
    """Of one listing: as the links say, and where there are none until there are as many as are said to be.

    Many listings have only `X-Total-Count`, those of Actions a `total_count` in the body. `items`: the key that holds
    them. https://docs.gitea.com/development/api-usage#pagination
    """
    page, seen = 1, 0

    def go_on(answer: Answer) -> Next:
        nonlocal page, seen
        if "link" in answer.headers:
            return next_link(answer)
        listed = answer.read(list[msgspec.Raw]) if items is None else _listed(answer, items)
        page, seen = page + 1, seen + len(listed)
        said = answer.headers.get("x-total-count", "")
        total = int(said) if said.isascii() and said.isdecimal() else None
        if total is None and items is not None:
            total = answer.read(_Counted).total_count
        return {"page": str(page)} if listed and total is not None and seen < total else None

    return go_on


def _listed(answer: Answer, items: str) -> list[msgspec.Raw]:
    return msgspec.json.decode(answer.read(dict[str, msgspec.Raw])[items], type=list[msgspec.Raw])


def open_client(host: api.Host, site: BaseUrl, flavour: Flavour, authorize: StoredCredential) -> Client:
    """The client of a connection to the server at `site`, whose API is below it at `/api/v1`."""
    base = BaseUrl.read(f"{site.url}/api/v1", configured=site.configured)
    return Client(host, base, dialect=dialect(flavour), authorize=authorize)


def open_credential(
    host: api.Host, site: BaseUrl, flavour: Flavour, reference: str | None
) -> tuple[StoredCredential, RenewedToken | None]:
    """What authorises calls and git, and what to settle before it is closed. Gogs gives no tokens to applications."""
    token = partial(in_header, "Authorization", scheme="token")
    if reference is None or flavour.name == "gogs":
        return StoredCredential(host, reference, site, token=token), None
    endpoint = TokenEndpoint(host, site, OAUTH, name=flavour.title)
    renewed = RenewedToken(host, RefreshedToken(host, reference, endpoint))
    return StoredCredential(host, reference, site, token=token, renewed={"oauth": renewed}), renewed


class Asks:
    """Who has a client: the ancestor of the calls, which stand in files by what they are about."""

    def __init__(self, client: Client, flavour: Flavour) -> None:
        """`flavour`: whose server it is."""
        self._client = client
        self._flavour = flavour

    def _pages(
        self,
        path: str,
        *,
        type: type[T],  # noqa: A002 - as msgspec calls it
        params: Params | None = None,
        items: str | None = None,
    ) -> AsyncIterator[T]:
        """Every item of a listing. Raises as `Client.pages`."""
        query: dict[str, Any] = {"limit": PAGE_SIZE, **(params or {})}
        return self._client.pages(path, type=type, params=query, items=items, next_page=counted(items))
