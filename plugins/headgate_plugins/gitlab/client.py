"""How GitLab is spoken to: where its API is, its limits, errors and pages; not what is asked.

Source: https://docs.gitlab.com/api/rest/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headgate import api
from headgate.api.client import (
    BaseUrl,
    Client,
    Dialect,
    Paging,
    RateLimits,
    RefreshedToken,
    RenewedToken,
    StoredCredential,
    TokenEndpoint,
    budget_headers,
    challenge_scope,
    link_header,
    segment,
)
from headgate_plugins.gitlab.names import project_path

PER_PAGE = 100
"""The most that GitLab gives on a page. https://docs.gitlab.com/api/rest/#pagination"""

KEYSET: Mapping[str, str | int] = {"pagination": "keyset", "order_by": "id", "sort": "asc"}
"""For listings that can go on behind a key, which costs the server the same on each page and has no last one at 50,000
items. https://docs.gitlab.com/api/rest/#keyset-based-pagination"""

DIALECT = Dialect(
    name="GitLab",
    # https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
    limits=RateLimits(budget=budget_headers(remaining="ratelimit-remaining", reset="ratelimit-reset")),
    paging=Paging(next=link_header),
    # A merge that cannot be is 405, 406 or 422, by version. https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
    meanings={405: api.Conflict, 406: api.Conflict, 422: api.Conflict},
    needs=(challenge_scope,),
)


# https://docs.gitlab.com/api/oauth2/#authorization-code-with-proof-key-for-code-exchange-pkce
OAUTH: Final = api.OAuthEndpoints(
    site="https://gitlab.com",
    authorize="/oauth/authorize",
    token="/oauth/token",  # noqa: S106 - an address
    scopes=("api",),
)


def open_credential(
    host: api.Host, site: BaseUrl, reference: str | None
) -> tuple[StoredCredential, RenewedToken | None]:
    """What authorises calls and git, and what to settle before it is closed."""
    if reference is None:
        return StoredCredential(host, None, site), None
    endpoint = TokenEndpoint(host, site, OAUTH, name=DIALECT.name)
    renewed = RenewedToken(host, RefreshedToken(host, reference, endpoint))
    return StoredCredential(host, reference, site, renewed={"oauth": renewed}), renewed


def open_client(host: api.Host, site: BaseUrl, authorize: StoredCredential) -> Client:
    """The client of a connection. A token of any kind is sent as a bearer's.

    https://docs.gitlab.com/api/rest/authentication/#personal-project-and-group-access-tokens
    """
    base = BaseUrl.read(f"{site.url}/api/v4", configured=site.configured)
    return Client(host, base, dialect=DIALECT, authorize=authorize)


class Asks:
    """What all calls of a connection share; no call itself."""

    _client: Client
    _site: BaseUrl

    def _project(self, repository: str) -> str:
        """The path of a project's own calls. Raises `NotFound` when `repository` cannot name one."""
        return f"/projects/{segment(project_path(repository))}"

    @property
    def _host_name(self) -> str:
        return api.host_of(self._site.url)
