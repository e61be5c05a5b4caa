"""An open GitHub connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.github.client import open_client
from headgate_plugins.github.names import normalise
from headgate_plugins.github.webhooks import read

LONGEST_DESCRIPTION = 140
"""Characters. https://docs.github.com/en/rest/commits/statuses"""

# https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "pending",
    "running": "pending",
    "succeeded": "success",
    "failed": "failure",
    "errored": "error",
    "cancelled": "error",
}

STATUS_SCOPES = frozenset({"repo", "repo:status"})
"""Either lets a classic token set statuses. https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps"""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[GitHub]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    reference, configured = options.get("credential"), "base_url" in options
    site = BaseUrl.read(options.get("base_url", "https://github.com"), configured=configured)
    yield GitHub(
        site=site,
        client=open_client(host, base_url=site.url, configured=configured, reference=reference),
        clones=StoredCredential(host, reference, site),
        has_credential=reference is not None,
        secrets=secrets,
        accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
    )


class _User(msgspec.Struct):
    login: str


class GitHub:
    """One connection. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        site: BaseUrl,
        client: Client,
        clones: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it; `clones`: what git sends there.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        self._site = site
        self._client = client
        self._clones = clones
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """`X-Hub-Signature-256` over the raw body, never the SHA-1 of `X-Hub-Signature`.

        https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        """
        secret = 0
        if self._secrets or not self._accept_unsigned:
            signature = delivery.header("x-hub-signature-256")
            secret = api.check_hmac_sha256(delivery.body, signature, self._secrets, prefix="sha256=")
        return api.Seal(key=api.delivery_key(delivery, "x-github-delivery"), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/{path}.git` over https, with the credential when there is one."""
        path = _path(repository)
        return api.CloneSource(url=f"{self._site.url}/{path}.git", credential=await self._clones.credential())

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """https://docs.github.com/en/rest/commits/statuses#create-a-commit-status; the newest of a context counts."""
        body = {
            "state": STATUS_STATES[status.state],
            "context": status.context,
            "description": _shortened(status.description),
        }
        if status.url is not None:
            body["target_url"] = status.url
        # Not waited for: whoever tells news keeps it, and is told when to try again.
        await self._client.call("POST", f"/repos/{_path(repository.path)}/statuses/{sha}", body=body, patience=0)

    async def test_connection(self) -> api.ConnectionReport:
        """https://docs.github.com/en/rest/users/users#get-the-authenticated-user"""
        if not self._has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public repositories can be read, and no status is reported",
            )
        answer = await self._client.call("GET", "/user")
        # Only classic tokens say their scopes; fine-grained ones cannot be asked.
        said = answer.headers.get("x-oauth-scopes")
        scopes = tuple(sorted(scope.strip() for scope in (said or "").split(",") if scope.strip()))
        missing = ("repo:status",) if said is not None and not STATUS_SCOPES & set(scopes) else ()
        expires = answer.headers.get("github-authentication-token-expiration")
        message = f"the token expires {expires}" if expires else ""
        return api.ConnectionReport(user=answer.read(_User).login, scopes=scopes, missing=missing, message=message)


def _path(repository: str) -> str:
    """As the job or the event spells it, yet only if it names a repository."""
    try:
        normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
    if "://" in repository or ":" in repository:
        return normalise(repository)
    return repository.strip("/").removesuffix(".git")


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_DESCRIPTION else text[: LONGEST_DESCRIPTION - 1] + "…"
