"""How a service principal signs in: its secret for a token of Microsoft Entra; not what is asked with it.

https://learn.microsoft.com/en-us/azure/devops/integrate/get-started/authentication/service-principal-managed-identity
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Bounds, Client, Dialect, Issued, StoredCredential, segment

AUTHORITY = "https://login.microsoftonline.com"

SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
"""Azure DevOps, whatever the organisation, with all that the principal was given."""

_LONGEST_LIFE = 86_400
"""Seconds; Entra's tokens live an hour or so."""


class _Given(msgspec.Struct):
    access_token: str
    expires_in: int = 0


class Principal:
    """Gets tokens by the client credentials grant.

    https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow#get-a-token
    """

    def __init__(self, host: api.Host, authority: BaseUrl, *, reference: str | None) -> None:
        """`reference`: of the credential, which has to be bound to the authority's host to travel there."""
        self._host = host
        self._authority = authority
        self._reference = reference
        self._client = Client(
            host,
            authority,
            # 400 and 401 say that the tenant, the application or its secret is not accepted.
            dialect=Dialect(name="Microsoft Entra", meanings={400: api.Refused}),
            authorize=StoredCredential(host, None, authority),
            bounds=Bounds(most_bytes=65_536),
        )

    async def issue(self, credential: api.Credential) -> Issued:
        """A token for it. Raises `CredentialError` when it may not travel to the authority, else `ProviderError`."""
        if self._reference is not None:
            credential = await self._host.secret(self._reference, for_host=self._authority.host)
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.fields["client_id"].reveal(),
            "client_secret": credential.fields["client_secret"].reveal(),
            "scope": SCOPE,
        }
        answer = await self._client.call(
            "POST",
            f"/{segment(credential.fields['tenant_id'].reveal())}/oauth2/v2.0/token",
            content=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            idempotent=True,  # each token is good beside the others
        )
        given = answer.read(_Given)
        if not given.access_token:
            raise api.Refused("Microsoft Entra gave no token")
        life = timedelta(seconds=min(max(given.expires_in, 0), _LONGEST_LIFE))
        return Issued(token=api.Secret(given.access_token), expires_at=self._host.now() + life)
