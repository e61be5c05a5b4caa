"""An open GitHub connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The
credential is fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl
from headgate_plugins.github.access import OAUTH, Access
from headgate_plugins.github.answers import Account
from headgate_plugins.github.discovery import Discovers
from headgate_plugins.github.hooks import Hooks
from headgate_plugins.github.names import repository_path
from headgate_plugins.github.webhooks import read
from headgate_plugins.github.writing import Writes

STATUS_SCOPES = frozenset({"repo", "repo:status"})
"""Either lets a classic token set statuses. https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps"""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[GitHub]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    secrets = await api.webhook_secrets(options, host)
    site = BaseUrl.read(options.get("base_url", OAUTH.site), configured="base_url" in options)
    access = Access(host, site=site, reference=options.get("credential"))
    try:
        yield GitHub(
            site=site,
            access=access,
            secrets=secrets,
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
        )
    finally:
        await access.settled()


class GitHub(Discovers, Writes, Hooks):
    """One connection. Its methods are the capabilities of `headgate.api`."""

    def __init__(
        self, *, site: BaseUrl, access: Access, secrets: Sequence[api.Secret], accept_unsigned: bool = False
    ) -> None:
        """`site`: as people open it; `access`: how it is called.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        self._site = site
        self._access = access
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
        """`{base_url}/{path}.git` over https, with the credential when there is one; an App's is an hour's token."""
        path = repository_path(repository)
        return api.CloneSource(url=f"{self._site.url}/{path}.git", credential=await self._access.git(path))

    async def test_connection(self) -> api.ConnectionReport:
        """https://docs.github.com/en/rest/users/users#get-the-authenticated-user; of an App, what it was granted."""
        if not self._access.has_credential:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public repositories can be read, and no status is reported",
            )
        if (app := await self._access.app()) is not None:
            return await app.report()
        answer = await (await self._access.anybody()).call("GET", "/user")
        # Only classic tokens and those of OAuth say their scopes; fine-grained ones cannot be asked.
        said = answer.headers.get("x-oauth-scopes")
        scopes = tuple(sorted(scope.strip() for scope in (said or "").split(",") if scope.strip()))
        missing = ("repo:status",) if said is not None and not STATUS_SCOPES & set(scopes) else ()
        expires = answer.headers.get("github-authentication-token-expiration", "")
        expires_at = _moment(expires)
        message = f"the token expires {expires}" if expires and expires_at is None else ""
        return api.ConnectionReport(
            user=answer.read(Account).login, scopes=scopes, missing=missing, expires_at=expires_at, message=message
        )


def _moment(text: str) -> datetime | None:
    """As GitHub writes when a token ends: `2026-02-01 09:30:00 UTC`, or with `+0100`; `None` for anything else."""
    for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z"):
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - it is UTC where it says no offset
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None
