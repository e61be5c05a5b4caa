"""An open connection to Gitea, Forgejo or Gogs: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential, segment
from headgate_plugins.gitea import answers
from headgate_plugins.gitea.client import open_client, open_credential
from headgate_plugins.gitea.flavours import Flavour
from headgate_plugins.gitea.hooks import Hooks
from headgate_plugins.gitea.names import repository_path
from headgate_plugins.gitea.people import KnowsWho
from headgate_plugins.gitea.reading import Reads
from headgate_plugins.gitea.runs import ReadsRuns
from headgate_plugins.gitea.webhooks import read, signed_content
from headgate_plugins.gitea.writing import Writes


class Server(Hooks, Reads):
    """One connection, and what all three can do. Its methods are the capabilities of `headgate.api`."""

    def __init__(
        self,
        client: Client,
        flavour: Flavour,
        *,
        site: BaseUrl,
        credential: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        super().__init__(client, flavour, secrets=secrets)
        self._site = site
        self._credential = credential
        self._has_credential = has_credential
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The flavour's own signature, hex without a prefix, over the JSON: in a form, over what the field decodes to.

        https://docs.gitea.com/usage/repository/webhooks
        """
        secret = 0
        if self._secrets or not self._accept_unsigned:
            try:
                content = signed_content(delivery)
            except ValueError as error:
                raise api.Unauthenticated(str(error)) from None
            signature = delivery.header(f"{self._flavour.header}-signature")
            secret = api.check_hmac_sha256(content, signature, self._secrets)
        return api.Seal(key=api.delivery_key(delivery, f"{self._flavour.header}-delivery"), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery, self._flavour)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/{path}.git` over https, with the credential when there is one."""
        url = f"{self._site.url}/{repository_path(repository)}.git"
        return api.CloneSource(url=url, credential=await self._credential.credential())

    async def test_connection(self) -> api.ConnectionReport:
        """https://docs.gitea.com/api/#tag/user/operation/userGetCurrent; no server tells what a token may do."""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public repositories can be read, and nothing can be written",
            )
        user = await self._client.get("/user", type=answers.User)
        return api.ConnectionReport(user=user.account, message=f"{self._flavour.title} does not tell a token's scopes")


class GiteaServer(Server, KnowsWho, ReadsRuns, Writes):
    """Gitea and Forgejo, which have all of it."""


class GogsServer(Server):
    """Gogs, whose API has a part only: no refs, comparisons, pull requests, statuses and commits of several files."""

    async def clone_source(self, repository: str) -> api.CloneSource:
        """As the others; a token stands for the user, too, because older versions take it only there."""
        source = await super().clone_source(repository)
        credential = source.credential
        if credential is None or credential.type != "token":
            return source
        fields = {"username": credential.text(), "password": credential.text()}
        both = api.Credential(type="user_password", fields=fields, hosts=credential.hosts, version=credential.version)
        return api.CloneSource(url=source.url, credential=both)

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """Those of an owner, or those the credential's own user works on: other private ones are in no listing.

        https://github.com/gogs/docs-api/blob/main/Repositories/README.md
        """
        path = "/user/repos" if query.owner is None else f"/users/{segment(query.owner)}/repos"
        async for found in self._client.pages(path, type=answers.Repo):
            hosted = found.hosted()
            if answers.fits(hosted, query):
                yield hosted


@asynccontextmanager
async def open_connection(
    options: Mapping[str, Any], host: api.Host, *, flavour: Flavour, kind: type[Server]
) -> AsyncIterator[Server]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    site = BaseUrl.read(options["base_url"], configured=True)
    reference = options.get("credential")
    credential, renewed = open_credential(host, site, flavour, reference)
    try:
        yield kind(
            open_client(host, site, flavour, credential),
            flavour,
            site=site,
            credential=credential,
            has_credential=reference is not None,
            secrets=secrets,
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
        )
    finally:
        if renewed is not None:
            await renewed.settled()
