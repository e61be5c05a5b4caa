"""How Bitbucket Cloud is spoken to: where its API is, its limits, errors and pages; not what is asked.

Source: https://developer.atlassian.com/cloud/bitbucket/rest/intro/
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from headgate import api
from headgate.api.client import (
    Answer,
    BaseUrl,
    Client,
    Dialect,
    Next,
    Paging,
    RateLimits,
    RefreshedToken,
    RenewedToken,
    StoredCredential,
    TokenEndpoint,
    near_header,
    next_in_body,
    scope_headers,
)

PAGE = 100
"""Items of a page, the most that most listings give. https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination"""


class _Detail(msgspec.Struct):
    granted: list[str] = []
    required: list[str] = []


class _Why(msgspec.Struct):
    detail: _Detail | None = None


class _Refusal(msgspec.Struct):
    error: _Why | None = None


def lacking(answer: Answer) -> tuple[str, ...]:
    """What a refusal says is required and not granted.

    `{"error": {"detail": {"granted": [...], "required": [...]}}}`; other refusals say nothing.
    """
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    detail = refusal.error.detail if refusal.error else None
    return tuple(scope for scope in detail.required if scope not in detail.granted) if detail else ()


class _Counted(msgspec.Struct):
    next: str | None = None
    page: int = 1
    pagelen: int = 0
    size: int = 0


def next_by_count(answer: Answer) -> Next:
    """Pipelines list their pages without a `next`, and count instead."""
    told = answer.read(_Counted)
    if told.next:
        return told.next
    return {"page": str(told.page + 1)} if 0 < told.page * told.pagelen < told.size else None


DIALECT = Dialect(
    name="Bitbucket",
    # https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/
    limits=RateLimits(budget=near_header("x-ratelimit-nearlimit")),
    # https://developer.atlassian.com/cloud/bitbucket/rest/intro/#pagination
    paging=Paging(next=next_in_body, items="values"),
    # What cannot be done with what is there is a 400: a branch that exists, a pull request without a difference.
    meanings={400: api.Conflict},
    needs=(lacking, scope_headers(accepted="x-accepted-oauth-scopes", granted="x-oauth-scopes")),
)


# https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/
OAUTH: Final = api.OAuthEndpoints(
    site="https://bitbucket.org",
    authorize="/site/oauth2/authorize",
    token="/site/oauth2/access_token",  # noqa: S106 - an address
    scopes=("account", "repository:write", "pullrequest:write", "webhook"),
)


def open_access(host: api.Host, site: BaseUrl, reference: str | None) -> RenewedToken | None:
    """The tokens of an OAuth consumer, to be settled before the connection closes; `None` without a credential."""
    if reference is None:
        return None
    endpoint = TokenEndpoint(host, site, OAUTH, name=DIALECT.name)
    return RenewedToken(host, RefreshedToken(host, reference, endpoint))


def stored(host: api.Host, reference: str | None, base: BaseUrl, renewed: RenewedToken | None) -> StoredCredential:
    """What authorises at `base`: the API and the site have hosts of their own.

    Access tokens are sent as Bearer, user names and e-mail addresses with their token or password as Basic:
    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication
    """
    return StoredCredential(host, reference, base, renewed={} if renewed is None else {"oauth": renewed})


def open_client(host: api.Host, site: BaseUrl, reference: str | None, renewed: RenewedToken | None) -> Client:
    """The client of a connection whose `site` is open in a browser."""
    base = BaseUrl.read(api_url(site.url), configured=site.configured)
    return Client(host, base, dialect=DIALECT, authorize=stored(host, reference, base, renewed))


def api_url(base_url: str) -> str:
    """Where the API of a base URL is: its own host for bitbucket.org, else (a proxy, say) `/2.0` below it."""
    parts = urlsplit(base_url)
    if parts.hostname == "bitbucket.org":
        return f"{parts.scheme}://api.{parts.netloc}/2.0"
    return f"{base_url.rstrip('/')}/2.0"
