"""An open Azure DevOps connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl, RenewedToken, StoredCredential, segment
from headgate_plugins.azure_devops import answers
from headgate_plugins.azure_devops.builds import Builds
from headgate_plugins.azure_devops.changes import Changes
from headgate_plugins.azure_devops.client import Rest, authorization, names
from headgate_plugins.azure_devops.hooks import Hooks
from headgate_plugins.azure_devops.principal import AUTHORITY, Principal
from headgate_plugins.azure_devops.webhooks import event_id, read
from headgate_plugins.azure_devops.writing import Writing

WEBHOOK_USER = "headgate"
API_VERSION = "7.1"


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[AzureDevOps]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    reference = options.get("credential")
    base = BaseUrl.read(options["base_url"].rstrip("/"), configured=True)
    authority = BaseUrl.read(options.get("authority", AUTHORITY), configured="authority" in options)
    tokens = RenewedToken(host, Principal(host, authority, reference=reference).issue)
    access = StoredCredential(host, reference, base, token=authorization, renewed={"service_principal": tokens})
    try:
        yield AzureDevOps(
            rest=Rest(host, base, access=access, version=options.get("api_version", API_VERSION)),
            clones=access,
            has_credential=reference is not None,
            secrets=secrets,
            webhook_user=options.get("webhook_user", WEBHOOK_USER),
            secret_header=options.get("secret_header"),
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
        )
    finally:
        await tokens.settled()


class AzureDevOps(Changes, Builds, Writing, Hooks):
    """One connection. Its methods are the capabilities of `headgate.api`."""

    def __init__(
        self,
        *,
        rest: Rest,
        clones: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        webhook_user: str = WEBHOOK_USER,
        secret_header: str | None = None,
        accept_unsigned: bool = False,
    ) -> None:
        """`clones`: what git sends. `secret_header`: has the secret; `None`: it is the password of `webhook_user`.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        self._rest = rest
        self._host_name = api.host_of(rest.base.url)
        self._clones = clones
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._webhook_user = webhook_user
        self._secret_header = secret_header
        self._seals = self._secrets if secret_header else tuple(_basic(webhook_user, one) for one in self._secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The user and password, or the header, that the subscription was given; the body has no signature.

        https://learn.microsoft.com/en-us/azure/devops/service-hooks/services/webhooks
        """
        secret = 0
        if self._seals or not self._accept_unsigned:
            secret = api.check_token(delivery.header(self._secret_header or "authorization"), self._seals)
        return api.Seal(key=event_id(delivery.body), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/{project}/_git/{repository}`, any user name and the token as password.

        https://learn.microsoft.com/en-us/azure/devops/repos/git/clone
        """
        project, name = names(repository)
        url = f"{self._rest.base.url}/{segment(project)}/_git/{segment(name)}"
        return api.CloneSource(url=url, credential=await self._clones.credential(), username=WEBHOOK_USER)

    async def test_connection(self) -> api.ConnectionReport:
        """Who the credential is; what it may do is told nowhere."""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public projects can be read, and no status is reported",
            )
        data = await self._rest.get("/_apis/connectionData", type=answers.ConnectionData, preview=True)
        user = data.user()
        if user is None:
            raise api.Refused("Azure DevOps does not know whose credential this is: it answers as to anybody")
        return api.ConnectionReport(user=user)


def _basic(user: str, secret: api.Secret) -> api.Secret:
    """The whole header, so that it is compared as it was sent (RFC 7617, in UTF-8)."""
    return api.Secret("Basic " + base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode())
