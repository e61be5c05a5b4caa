"""How GitHub is spoken to: where its API is, its limits, errors and pages; not what is asked.

Source: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

from urllib.parse import urlsplit

from headgate import api
from headgate.api.client import (
    BaseUrl,
    Bounds,
    Client,
    Dialect,
    Paging,
    RateLimits,
    StoredCredential,
    budget_headers,
    challenge_scope,
    link_header,
    needed_header,
    scope_headers,
)

BOUNDS = Bounds(most_bytes=4_194_304)
"""None of the answers we ask for comes near."""

_SEARCHES = {"/search/code": "code_search", "/search/": "search", "/graphql": "graphql", "/api/graphql": "graphql"}
"""Paths that draw on budgets of their own. https://docs.github.com/en/rest/rate-limit/rate-limit"""


def resource(path: str) -> str:
    """The name of the budget that `path` draws on."""
    return next((name for start, name in _SEARCHES.items() if path.startswith(start)), "core")


DIALECT = Dialect(
    name="GitHub",
    headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
    # https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    limits=RateLimits(
        budget=budget_headers(remaining="x-ratelimit-remaining", reset="x-ratelimit-reset"),
        resource=resource,
        sometimes=frozenset({403}),
        words=("rate limit", "abuse detection"),
    ),
    # https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
    paging=Paging(next=link_header),
    meanings={422: api.Conflict, 451: api.NotFound},
    needs=(
        scope_headers(accepted="x-accepted-oauth-scopes", granted="x-oauth-scopes"),
        needed_header("x-accepted-github-permissions"),
        challenge_scope,
    ),
)


def open_client(host: api.Host, *, base_url: str, configured: bool, reference: str | None) -> Client:
    """The client of a connection. `configured`: an admin wrote the base URL."""
    base = BaseUrl.read(api_url(base_url), configured=configured)
    return Client(host, base, dialect=DIALECT, authorize=StoredCredential(host, reference, base), bounds=BOUNDS)


def api_url(base_url: str) -> str:
    """Where the API of a base URL is.

    https://docs.github.com/en/enterprise-server/rest/enterprise-admin#endpoint-urls and, for data residency,
    https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"{parts.scheme}://api.{parts.netloc}"
    return f"{base_url.rstrip('/')}/api/v3"
