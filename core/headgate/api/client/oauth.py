"""OAuth 2 as a confidential client speaks it: asking a person (with PKCE), and tokens from codes and refresh tokens.

Not where the person is asked, which is `headgate credentials authorize`, nor where credentials are kept. RFC 6749,
RFC 7636 (PKCE), RFC 9700 (what to mind).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

import msgspec

from headgate.api.client.addresses import BaseUrl
from headgate.api.client.authorization import StoredCredential
from headgate.api.client.bounds import Bounds
from headgate.api.client.client import Client
from headgate.api.client.dialects import Dialect
from headgate.api.client.renewal import Issued
from headgate.api.credentials import Credential, Secret
from headgate.api.errors import CredentialError, ProviderError, Refused
from headgate.api.host import Host
from headgate.api.kinds import OAuthEndpoints

_BOUNDS = Bounds(most_bytes=65_536)
_LONGEST_LIFE = 10 * 365 * 86_400
"""Seconds; what says more is taken to mean it."""

_ENTROPY = 64
"""Bytes; 86 characters, of 43 to 128 that RFC 7636 4.1 allows."""


class CodeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a person's consent: where to send them, and what shows later that the answer is to this one."""

    url: str
    redirect_uri: str
    state: Secret
    verifier: Secret

    def answered_by(self, state: str) -> bool:
        """Whether an answer with that `state` belongs to this request; in constant time."""
        return hmac.compare_digest(self.state.reveal().encode(), state.encode(errors="surrogateescape"))


def code_request(
    site: BaseUrl,
    endpoints: OAuthEndpoints,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: tuple[str, ...] | None = None,
    draw: Callable[[int], str] = secrets.token_urlsafe,
) -> CodeRequest:
    """An authorization request with `state` and PKCE's S256 challenge (RFC 6749 4.1.1, RFC 7636 4.3).

    `scopes`: instead of those of `endpoints`; none: what the application is registered for.
    """
    state, verifier = Secret(draw(_ENTROPY)), Secret(draw(_ENTROPY))
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    asked = endpoints.scopes if scopes is None else scopes
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        **({"scope": " ".join(asked)} if asked else {}),
        "state": state.reveal(),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    url = f"{site.at(endpoints.authorize)}?{urlencode(query)}"
    return CodeRequest(url=url, redirect_uri=redirect_uri, state=state, verifier=verifier)


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a token endpoint gave. `refresh`: `None` where there is none, or the old one stays good."""

    access: Secret
    refresh: Secret | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    """RFC 6749 5.1 and 5.2; GitHub sends errors with status 200."""

    access_token: str = ""
    token_type: str = "bearer"  # noqa: S105 - no secret but a scheme
    refresh_token: str | None = None
    expires_in: float | None = None
    scope: str | None = None
    error: str = ""
    error_description: str = ""


class TokenEndpoint:
    """Where a provider gives tokens for a code or a refresh token; the application proves itself in the body."""

    def __init__(self, host: Host, site: BaseUrl, endpoints: OAuthEndpoints, *, name: str) -> None:
        """`name`: the provider's, for messages."""
        self.site = site
        self._host = host
        self._path = endpoints.token
        self._name = name
        nobody = StoredCredential(host, None, site)
        # RFC 6749 5.2: 400 is a code, a refresh token or an application that is not accepted.
        dialect = Dialect(name=name, meanings={400: Refused})
        self._client = Client(host, site, dialect=dialect, authorize=nobody, bounds=_BOUNDS)

    async def exchange(self, request: CodeRequest, code: Secret, *, client_id: str, client_secret: Secret) -> Tokens:
        """Tokens for a code, once (RFC 6749 4.1.3, RFC 7636 4.5). Raises `Refused` or another `ProviderError`."""
        form = {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": request.redirect_uri,
            "client_id": client_id,
            "client_secret": client_secret.reveal(),
            "code_verifier": request.verifier.reveal(),
        }
        self._host.mask(code, client_secret, request.verifier)
        return await self._asked(form)

    async def refresh(self, credential: Credential) -> Tokens:
        """Tokens for an `oauth` credential (RFC 6749 6). Raises as `exchange`."""
        fields = {name: credential.fields[name].reveal() for name in ("client_id", "client_secret", "refresh_token")}
        return await self._asked({"grant_type": "refresh_token", **fields})

    async def _asked(self, form: Mapping[str, str]) -> Tokens:
        # Not repeated: a code and many a refresh token are good for one request.
        answer = await self._client.call(
            "POST",
            self._path,
            content=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        said = answer.read(_Answer)
        if said.error:
            words = self._host.masked(f"{said.error} {said.error_description}".strip()[:200])
            raise Refused(f"{self._name} gave no token: {words}")
        if not said.access_token or said.token_type.lower() != "bearer":
            raise ProviderError(f"{self._name} gave no bearer token where one was asked for")
        tokens = Tokens(
            access=Secret(said.access_token),
            refresh=Secret(said.refresh_token) if said.refresh_token else None,
            expires_at=self._moment(said.expires_in),
            scopes=tuple((said.scope or "").replace(",", " ").split()),
        )
        self._host.mask(tokens.access, *([tokens.refresh] if tokens.refresh else []))
        return tokens

    def _moment(self, seconds: float | None) -> datetime | None:
        if not seconds or not 0 < seconds < _LONGEST_LIFE:  # 0 and nothing: it has no end that anybody knows
            return None
        return self._host.now() + timedelta(seconds=seconds)


class RefreshedToken:
    """Gets access tokens for an `oauth` credential of a store (`Issue`), and keeps the refresh tokens that rotate.

    The order survives a crash as well as it can: a new refresh token is kept before the access token beside it is
    used, because many hosts end the old one with the first use of the new. What is lost between the host's answer
    and our disk is lost, and the admin authorises again. One that cannot be kept fails the call at once, not after
    the next restart; it stays in memory, and each later call tries to keep it again.
    """

    def __init__(self, host: Host, reference: str, endpoint: TokenEndpoint) -> None:
        """`reference`: of the credential, which must be bound to the endpoint's host, too."""
        self._host = host
        self._reference = reference
        self._endpoint = endpoint
        self._unkept: tuple[Credential, Credential, Issued] | None = None

    async def __call__(self, credential: Credential) -> Issued:  # noqa: ARG002 - read anew: it may be newer by now
        """See `Issue`. `CredentialError` when the host accepts it no longer, or a new one cannot be kept."""
        stored = await self._read()
        if self._unkept is not None:
            before, renewed, issued = self._unkept
            if stored == before:
                await self._keep(before, renewed, issued)
                if issued.expires_at is None or self._host.now() < issued.expires_at:
                    return issued
                stored = await self._read()
            self._unkept = None  # somebody set another one meanwhile
        try:
            return await self._refreshed(stored)
        except Refused as error:
            newer = await self._read()
            if newer.fields != stored.fields:  # another process was faster, and ours was used up
                return await self._refreshed(newer)
            raise CredentialError(
                f"{self._reference} is accepted no longer: {error}; "
                f"run `headgate credentials authorize {self._reference.removeprefix('secret://')}` again"
            ) from None

    async def _refreshed(self, stored: Credential) -> Issued:
        tokens = await self._endpoint.refresh(stored)
        if tokens.refresh is None or tokens.refresh == stored.fields["refresh_token"]:
            return Issued(token=tokens.access, expires_at=tokens.expires_at)
        renewed = msgspec.structs.replace(stored, fields={**stored.fields, "refresh_token": tokens.refresh})
        issued = Issued(token=tokens.access, expires_at=tokens.expires_at, credential=renewed)
        await self._keep(stored, renewed, issued)
        return issued

    async def _keep(self, before: Credential, renewed: Credential, issued: Issued) -> None:
        self._unkept = before, renewed, issued
        await self._host.keep_secret(self._reference, renewed)
        self._unkept = None

    async def _read(self) -> Credential:
        credential = await self._host.secret(self._reference, for_host=self._endpoint.site.host)
        if credential.type != "oauth":
            raise CredentialError(f"{self._reference} is of type {credential.type}, and oauth was expected")
        return credential
