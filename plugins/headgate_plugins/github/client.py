"""How GitHub is spoken to: where its API is, its limits, errors and pages; not what is asked.

Source: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

from urllib.parse import urlsplit

from headgate import api
from headgate.api.client import (
    Authorize,
    BaseUrl,
    Client,
    Dialect,
    Paging,
    RateLimits,
    budget_headers,
    challenge_scope,
    link_header,
    needed_header,
    scope_headers,
)

PAGE = "100"
"""Items of a page, the most there are."""

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
    # 405: https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request, "if merge cannot be performed"
    meanings={405: api.Conflict, 422: api.Conflict, 451: api.NotFound},
    needs=(
        scope_headers(accepted="x-accepted-oauth-scopes", granted="x-oauth-scopes"),
        needed_header("x-accepted-github-permissions"),
        challenge_scope,
    ),
)


def open_client(host: api.Host, base: BaseUrl, authorize: Authorize) -> Client:
    """A client for the API at `base`."""
    return Client(host, base, dialect=DIALECT, authorize=authorize)


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
