"""An open GitLab connection: what it checks, and what it can do; not what payloads mean.

`authenticate` and `parse` are pure: the webhook secrets are fetched once, when the connection opens. The credential is
fetched for each use, so that a new one works at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time
from typing import Any

from headgate import api
from headgate.api.client import BaseUrl, Client, StoredCredential
from headgate_plugins.gitlab import answers
from headgate_plugins.gitlab.client import open_client, open_credential
from headgate_plugins.gitlab.discovery import Discovery
from headgate_plugins.gitlab.hooks import Hooks
from headgate_plugins.gitlab.names import project_path
from headgate_plugins.gitlab.reading import Reading
from headgate_plugins.gitlab.webhooks import read
from headgate_plugins.gitlab.writing import Writing

NEEDED_SCOPE = "api"
"""It lets a token do all that is here. https://docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes"""


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[GitLab]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    tokens = await api.webhook_secrets(options, host, key="signing_tokens")
    for token in tokens:
        _check_signing_token(token)
    reference = options.get("credential")
    site = BaseUrl.read(options.get("base_url", "https://gitlab.com"), configured="base_url" in options)
    credential, renewed = open_credential(host, site, reference)
    try:
        yield GitLab(
            host=host,
            site=site,
            client=open_client(host, site, credential),
            credential=credential,
            has_credential=reference is not None,
            secrets=tokens or await api.webhook_secrets(options, host),
            signed=bool(tokens),
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
        )
    finally:
        if renewed is not None:
            await renewed.settled()


class GitLab(Reading, Discovery, Writing, Hooks):
    """One connection. Its methods are the capabilities of `headgate.api.capabilities`."""

    def __init__(
        self,
        *,
        host: api.Host,
        site: BaseUrl,
        client: Client,
        credential: StoredCredential,
        has_credential: bool,
        secrets: Sequence[api.Secret],
        signed: bool,
        accept_unsigned: bool = False,
    ) -> None:
        """`site`: as people open it; `signed`: the `secrets` are signing tokens, not secret tokens.

        Without `secrets` nothing is accepted, unless `accept_unsigned` says so.
        """
        self._host = host
        self._site = site
        self._client = client
        self._credential = credential
        self._has_credential = has_credential
        self._secrets = tuple(secrets)
        self._signed = signed
        self._accept_unsigned = accept_unsigned

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The signature over id, time and raw body; without signing tokens the secret token, which proves no body.

        https://docs.gitlab.com/user/project/integrations/webhooks/#validate-webhook-requests
        """
        if self._signed:
            return api.standard_webhooks_seal(delivery, self._secrets)
        secret = 0
        if self._secrets or not self._accept_unsigned:
            secret = api.check_token(delivery.header("x-gitlab-token"), self._secrets)
        return api.Seal(key=_key(delivery), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says; needs nothing of the connection."""
        return read(delivery)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """`{base_url}/{path}.git` over https, with the credential when there is one.

        https://docs.gitlab.com/topics/git/clone/#clone-using-a-token
        """
        url = f"{self._site.url}/{project_path(repository)}.git"
        return api.CloneSource(url=url, credential=await self._credential.credential(), username="oauth2")

    async def test_connection(self) -> api.ConnectionReport:
        """Whose the token is, and, as far as GitLab tells, its scopes and end.

        https://docs.gitlab.com/api/personal_access_tokens/#self-inform and https://docs.gitlab.com/api/users/
        """
        credential = await self._credential.credential()
        if credential is None:
            return api.ConnectionReport(
                missing=("credential",),
                message="without a credential only public projects can be read, and no status is reported",
            )
        if credential.type == "user_password":
            return api.ConnectionReport(
                user=credential.fields["username"].reveal(),
                missing=("token",),
                message="a user and password clone, and nothing else: the API takes tokens",
            )
        try:
            token = await self._client.get("/personal_access_tokens/self", type=answers.TokenOfOurs)
        except (api.Refused, api.NotFound):  # no token of that kind, or a server older than 15.5
            token = None
        user = await self._client.get("/user", type=answers.User)
        if token is None:
            return api.ConnectionReport(user=user.username, message="GitLab does not tell what the token may do")
        end = datetime.combine(token.expires_at, time(), UTC) if token.expires_at else None
        return api.ConnectionReport(
            user=user.username,
            scopes=tuple(sorted(token.scopes)),
            missing=() if NEEDED_SCOPE in token.scopes else (NEEDED_SCOPE,),
            expires_at=end,
            message=f"the token expires {end:%Y-%m-%d}" if end else "",
        )


def _check_signing_token(token: api.Secret) -> None:
    """Else every delivery would be refused for it."""
    try:
        api.standard_webhooks_signature("", 0, b"", token)
    except api.Unauthenticated as error:
        raise api.CredentialError(f"a signing token cannot be used: {error}") from None


def _key(delivery: api.Delivery) -> str | None:
    """`Idempotency-Key`, the same on a retry, since GitLab 17.4; `None` when nothing says which delivery it is.

    https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers. Before that there is only the id of
    the event, which all webhooks share that one webhook's receiver sets off: with the body, it is one delivery's.
    """
    key = api.delivery_key(delivery, "idempotency-key")
    event = api.delivery_key(delivery, "x-gitlab-event-uuid")
    if key is not None or event is None:
        return key
    return f"{event[:64]}:{hashlib.sha256(delivery.body).hexdigest()[:32]}"
