"""An open connection to Bitbucket Data Center: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.bitbucket_server import answers
from headgate_plugins.bitbucket_server.client import REST, open_client, repository_path
from headgate_plugins.bitbucket_server.hooks import Hooks
from headgate_plugins.bitbucket_server.names import normalise
from headgate_plugins.bitbucket_server.webhooks import read
from headgate_plugins.bitbucket_server.writing import Writes

TOKEN_USER = "x-token-auth"  # noqa: S105 - a user name
"""With whom an HTTP access token goes as a password."""

PERMISSIONS = ("REPO_READ", "REPO_WRITE", "REPO_ADMIN")


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[BitbucketServer]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    site = BaseUrl.read(options["base_url"], configured=True)
    credential = StoredCredential(host, options.get("credential"), site)
    yield BitbucketServer(
        site=site,
        client=open_client(host, site=site, authorize=credential),
        credential=credential,
        has_credential="credential" in options,
        secrets=secrets,
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )


class BitbucketServer(Writes, Hooks):
    """One connection. Its methods are the capabilities of `headgate.api`."""

    def __init__(
        self,
        *,
        site: BaseUrl,
        client: Client,
        credential: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it, with the context path. Without `secrets` nothing is accepted, unless said so."""
        self._site = site
        self._client = client
        self._credential = credential
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """`X-Hub-Signature` with SHA-256 over the raw body; that of the test button, too, which some versions lack.

        https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html
        """
        secret = 0
        if self._secrets or not self._accept_unsigned:
            signature = delivery.header("x-hub-signature")
            secret = api.check_hmac_sha256(delivery.body, signature, self._secrets, prefix="sha256=")
        return api.Seal(key=api.delivery_key(delivery, "x-request-id"), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; the connection's own address stands in for links that are not sent."""
        return read(delivery, self._site.url)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/scm/{project}/{slug}.git`, with the credential when there is one."""
        repository_path(repository)  # raises for what names none
        return api.CloneSource(
            url=f"{self._site.url}/scm/{normalise(repository)}.git",
            credential=await self._credential.credential(),
            username=TOKEN_USER,
        )

    async def test_connection(self) -> api.ConnectionReport:
        """Who it is, from a header of every answer; and which rights it has anywhere, by one repository of each."""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public repositories can be read, and no status is reported",
            )
        answer = await self._client.call("GET", f"{REST}/application-properties")
        server, user = answer.read(answers.Server), unquote(answer.headers.get("x-ausername", ""))
        if not user:
            whoami = await self._client.call("GET", "/plugins/servlet/applinks/whoami", headers={"Accept": "*/*"})
            user = whoami.body[:200].decode(errors="replace").strip()
        permissions = tuple([name for name in PERMISSIONS if await self._has_any(name)])
        return api.ConnectionReport(
            user=user or None,
            permissions=permissions,
            missing=() if "REPO_READ" in permissions else ("REPO_READ",),
            message=f"Bitbucket {server.version}" if server.version else "",
        )

    async def _has_any(self, permission: str) -> bool:
        path, one = f"{REST}/repos", {"permission": permission, "limit": "1"}
        page = await self._client.get(path, type=answers.SomeRepositories, params=one)
        return bool(page.values)
