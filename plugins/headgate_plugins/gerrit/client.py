"""How Gerrit's REST API is spoken to: where it is, its sign-in, errors and lists; not what is asked.

Source: https://gerrit-review.googlesource.com/Documentation/rest-api.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from headgate import api
from headgate.api.client import Authorization, BaseUrl, Bounds, Client, Dialect, Params, StoredCredential

T = TypeVar("T")

PAGE = 100
"""Items asked for at once."""

MOST_PAGES = 1000

BOUNDS = Bounds(most_bytes=33_554_432)
"""The log of events answers with all of them at once."""

DIALECT = Dialect(
    name="Gerrit",
    # https://gerrit-review.googlesource.com/Documentation/rest-api.html#output
    prefix=b")]}'",
    # https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html: 422 for what cannot be processed
    meanings={422: api.Conflict},
)


def open_client(host: api.Host, site: BaseUrl, authorize: StoredCredential, *, signed_in: bool) -> Client:
    """The client of a connection. What begins with `/a/` asks for a sign-in.

    https://gerrit-review.googlesource.com/Documentation/rest-api.html#authentication
    """
    base = BaseUrl.read(f"{site.url}/a" if signed_in else site.url, configured=True)
    return Client(host, base, dialect=DIALECT, authorize=authorize, bounds=BOUNDS)


def passwords_only(token: api.Secret) -> Authorization:  # noqa: ARG001 - it is not sent
    """Gerrit's tokens and HTTP passwords go with a user name."""
    raise api.CredentialError("Gerrit takes a user_password: the account's user name and its HTTP password or token")


async def listed(client: Client, path: str, *, type: type[T], params: Params | None = None) -> AsyncIterator[T]:  # noqa: A002 - as the client calls it
    """Every item of a listing that is skipped through with `n` and `S`; the last page is a short one."""
    for page in range(MOST_PAGES):
        asked = {**(params or {}), "n": PAGE, "S": page * PAGE}
        items = await client.get(path, type=list[type], params=asked)  # type: ignore[valid-type]  # a type at run time
        for item in items:
            yield item
        if len(items) < PAGE:
            return
    raise api.ProviderError(f"Gerrit lists {path} on more than {MOST_PAGES} pages")
