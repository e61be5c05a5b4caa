"""An open connection to Gerrit: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The credentials
are fetched for each use, so that new ones work at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.gerrit.client import open_client, passwords_only
from headgate_plugins.gerrit.keys import event_key
from headgate_plugins.gerrit.names import normalise
from headgate_plugins.gerrit.webhooks import read_at

TOKEN_ARGUMENT = "token"  # noqa: S105 - its name, not itself
"""The query argument that proves a webhook: it is masked before the delivery is kept, as the rest of a URL is not."""

TOKEN_HEADER = "x-headgate-token"  # noqa: S105 - likewise
"""The same as a header, for whatever stands between Gerrit and us and can set one."""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Gerrit]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    reference = options.get("credential")
    site = BaseUrl.read(options["base_url"], configured=True)
    signs_in = StoredCredential(host, reference, site, token=passwords_only)
    yield Gerrit(
        site=site,
        client=open_client(host, site, signs_in, signed_in=reference is not None),
        signs_in=signs_in,
        has_credential=reference is not None,
        secrets=secrets,
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )


class Gerrit:
    """One connection. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        site: BaseUrl,
        client: Client,
        signs_in: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret] = (),
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it. Without `secrets` no webhook is accepted, unless `accept_unsigned` says so."""
        self._site = site
        self._host = api.host_of(site.url)
        self._client = client
        self._signs_in = signs_in
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The webhooks plugin signs nothing: a token in the URL proves that Gerrit's configuration knew it.

        https://gerrit.googlesource.com/plugins/webhooks/+/refs/heads/master/src/main/resources/Documentation/config.md
        """
        secret = 0
        if delivery.hook:
            # Not repeated: it may be the token, put where it would be kept.
            raise api.Unauthenticated("a gerrit connection has no further hooks; the token is the argument `token`")
        if self._secrets or not self._accept_unsigned:
            secret = api.check_token(_token(delivery), self._secrets)
        return api.Seal(key=event_key(delivery.body), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says, with the host of this connection where it names none."""
        return read_at(delivery, self._host)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/a/{project}` with the credential, `{base_url}/{project}` without.

        https://gerrit-review.googlesource.com/Documentation/user-upload.html#http
        """
        path = _path(repository)
        credential = await self._signs_in.credential()
        return api.CloneSource(url=f"{self._site.url}/{'a/' if credential else ''}{path}", credential=credential)


def _token(delivery: api.Delivery) -> str | None:
    """From the header or the URL, never from both: one of them would be somebody else's."""
    header = [value for name, value in delivery.headers if name == TOKEN_HEADER]
    argument = [value for name, value in delivery.query if name == TOKEN_ARGUMENT]
    return [*header, *argument][0] if len(header) + len(argument) == 1 else None


def _path(repository: str) -> str:
    """As the job or the event spells it, yet only if it names a project."""
    try:
        return normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
