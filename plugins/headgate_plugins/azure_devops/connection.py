"""An open Azure DevOps connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api
from headgate_plugins.azure_devops.webhooks import event_id, read

WEBHOOK_USER = "headgate"


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[AzureDevOps]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    yield AzureDevOps(
        secrets=secrets,
        webhook_user=options.get("webhook_user", WEBHOOK_USER),
        secret_header=options.get("secret_header"),
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )


class AzureDevOps:
    """One connection. Its methods are the capabilities of `headgate.api`."""

    def __init__(
        self,
        *,
        secrets: Sequence[api.Secret],
        webhook_user: str = WEBHOOK_USER,
        secret_header: str | None = None,
        accept_unsigned: bool = False,
    ) -> None:
        """`secret_header`: the header that has the secret; `None`: it is the password of `webhook_user`.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        self._header = (secret_header or "authorization").lower()
        self._seals = tuple(secrets) if secret_header else tuple(_basic(webhook_user, secret) for secret in secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The user and password, or the header, that the subscription was given; the body has no signature.

        https://learn.microsoft.com/en-us/azure/devops/service-hooks/services/webhooks
        """
        secret = 0
        if self._seals or not self._accept_unsigned:
            secret = api.check_token(delivery.header(self._header), self._seals)
        return api.Seal(key=event_id(delivery.body), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery)


def _basic(user: str, secret: api.Secret) -> api.Secret:
    """The whole header, so that it is compared as it was sent (RFC 7617, in UTF-8)."""
    return api.Secret("Basic " + base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode())
