"""An open Bitbucket Cloud connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.bitbucket.client import open_access, open_client, stored
from headgate_plugins.bitbucket.converters import account
from headgate_plugins.bitbucket.hooks import Hooks
from headgate_plugins.bitbucket.names import place
from headgate_plugins.bitbucket.shapes import User
from headgate_plugins.bitbucket.webhooks import read
from headgate_plugins.bitbucket.writing import Writing

ACCESS_TOKEN_USER = "x-token-auth"  # noqa: S105 - a user name
"""https://support.atlassian.com/bitbucket-cloud/docs/using-access-tokens/"""
API_TOKEN_USER = "x-bitbucket-api-token-auth"  # noqa: S105 - a user name
"""https://support.atlassian.com/bitbucket-cloud/docs/using-api-tokens/"""

ACCOUNT_SCOPES = frozenset({"account", "read:user:bitbucket"})
"""Either lets a token say whose it is."""
READING_SCOPES = ("repository", "pullrequest", "read:repository:bitbucket")
"""Any of these, or of what they begin, lets a token read and report statuses.

https://developer.atlassian.com/cloud/bitbucket/bitbucket-cloud-rest-api-scopes/
"""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Bitbucket]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    reference = options.get("credential")
    site = BaseUrl.read(options.get("base_url", "https://bitbucket.org"), configured="base_url" in options)
    renewed = open_access(host, site, reference)
    try:
        yield Bitbucket(
            site=site,
            client=open_client(host, site, reference, renewed),
            clones=stored(host, reference, site, renewed),
            has_credential=reference is not None,
            secrets=secrets,
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
            hook_uuids=options.get("hook_uuids", ()),
        )
    finally:
        if renewed is not None:
            await renewed.settled()


class Bitbucket(Hooks, Writing):
    """One connection. Its methods are the capabilities of `headgate.api.capabilities`."""

    def __init__(
        self,
        *,
        site: BaseUrl,
        client: Client,
        clones: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        accept_unsigned: bool = False,
        hook_uuids: Sequence[str] = (),
    ) -> None:
        """`site`: as people open it; `clones`: what git sends there.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so. `hook_uuids`, if there are any, are
        the only webhooks to accept.
        """
        super().__init__(site=site, client=client)
        self._clones = clones
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned
        self._hook_uuids = frozenset(_bare(uuid) for uuid in hook_uuids)

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """`X-Hub-Signature: sha256=…` over the raw body; here that header is SHA-256, and never anything else.

        https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/#Secure-webhooks. The key is the request's
        UUID. A resend is "the request" with another `X-Attempt-Number`; should it come under another UUID, the same
        push is still the same move of its ref.
        https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/
        """
        secret = 0
        if self._secrets or not self._accept_unsigned:
            signature = delivery.header("x-hub-signature")
            secret = api.check_hmac_sha256(delivery.body, signature, self._secrets, prefix="sha256=")
        # Not signed, so it is no proof; it keeps apart hooks that share a secret.
        if self._hook_uuids and _bare(delivery.header("x-hook-uuid") or "") not in self._hook_uuids:
            raise api.Unauthenticated("the header X-Hook-UUID names none of the configured webhooks")
        return api.Seal(key=api.delivery_key(delivery, "x-request-uuid"), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/{path}.git` over https, with the credential when there is one.

        An API token goes with an e-mail address to the API, which git does not take as a user name.
        https://support.atlassian.com/bitbucket-cloud/docs/using-api-tokens/
        """
        url = f"{self._site.url}{place(repository).removeprefix('/repositories')}.git"
        credential, username = await self._clones.credential(), ACCESS_TOKEN_USER
        if credential is not None and "@" in _user(credential):
            fields, username = {"token": credential.text()}, API_TOKEN_USER
            credential = api.Credential(type="token", fields=fields, hosts=credential.hosts)
        return api.CloneSource(url=url, credential=credential, username=username)

    async def test_connection(self) -> api.ConnectionReport:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-users/"""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public repositories can be read, and no status is reported",
            )
        try:
            answer = await self._client.call("GET", "/user")
        except api.Refused as error:
            if not ACCOUNT_SCOPES & set(error.missing):
                raise
            return api.ConnectionReport(
                message=f"the token is good, but may not say whose it is nor what it may do ({error.missing[0]})"
            )
        said = answer.headers.get("x-oauth-scopes")
        scopes = tuple(sorted(scope.strip() for scope in (said or "").split(",") if scope.strip()))
        reads = said is None or any(scope.startswith(READING_SCOPES) for scope in scopes)
        return api.ConnectionReport(
            user=account(answer.read(User)), scopes=scopes, missing=() if reads else ("repository",)
        )


def _user(credential: api.Credential) -> str:
    return credential.fields["username"].reveal() if credential.type == "user_password" else ""


def _bare(uuid: str) -> str:
    """Without the braces that some places write around it."""
    return uuid.strip("{}").lower()
