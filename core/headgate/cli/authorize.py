"""What `headgate credentials authorize` does: asks a person in their browser, and keeps what their Git host gives.

An authorization code with PKCE and state over a redirect to this machine (RFC 6749 4.1, RFC 7636, RFC 8252). Not the
command line itself, and not how tokens are renewed later, which the server does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from headgate.api import (
    CredentialError,
    CredentialSummary,
    OAuthEndpoints,
    ProviderError,
    ProviderKind,
    Secret,
    WritableCredentialStore,
)
from headgate.api.client import BaseUrl, CodeRequest, TokenEndpoint, Tokens, code_request, shared_socket
from headgate.cli.credentials import set_credential
from headgate.cli.loopback import listening
from headgate.cli.offline import OfflineHost
from headgate.credentials.redaction import Redactor

CLIENT_FIELDS = ("client_id", "client_secret")
"""What the admin has from registering the application at the host; the rest comes from there."""


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What is registered at the host, and what is asked for. `port`: of the redirect, 0 for any."""

    client_id: str
    client_secret: Secret
    port: int = 0
    scopes: tuple[str, ...] | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The credential, and which scopes the host says that it has."""

    summary: CredentialSummary
    scopes: tuple[str, ...]


async def known_application(store: WritableCredentialStore, name: str) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
    """The client fields and hosts of what is kept under `name` already; nothing when it is of no OAuth, or not there."""
    try:
        found = await store.get(name)
    except CredentialError:
        return {}, ()
    if found.type != "oauth":
        return {}, found.hosts
    return {field: found.fields[field] for field in CLIENT_FIELDS}, found.hosts


async def authorize(
    kind: ProviderKind,
    options: Mapping[str, Any],
    application: Application,
    *,
    store: WritableCredentialStore,
    name: str,
    hosts: Sequence[str],
    within: float,
    tell: Callable[[CodeRequest], None],
) -> Kept:
    """Ask, exchange the code, and keep the credential `name`.

    `options`: the connection's block; `hosts`: beside those that the tokens are for; `within`: seconds the person has;
    `tell`: shows them where to go. Raises `CredentialError` (denied, too late, cannot be kept) or `ProviderError`.
    """
    endpoints = endpoints_of(kind)
    site = BaseUrl.read(options.get("base_url", endpoints.site), configured="base_url" in options)
    async with _asking_host() as host, listening(application.port) as loopback:
        host.mask(application.client_secret)
        request = code_request(
            site,
            endpoints,
            client_id=application.client_id,
            redirect_uri=loopback.redirect_uri,
            scopes=application.scopes,
        )
        tell(request)
        try:
            async with asyncio.timeout(within):
                answer = await loopback.answered(request.answered_by)
        except TimeoutError:
            raise CredentialError(f"nobody answered within {within:g} seconds; nothing was changed") from None
        code = _code(answer, host)
        endpoint = TokenEndpoint(host, site, endpoints, name=kind.title or kind.name)
        tokens = await endpoint.exchange(
            request, code, client_id=application.client_id, client_secret=application.client_secret
        )
    bound = tuple(dict.fromkeys((*_hosts(site, endpoints), *hosts)))
    return Kept(summary=await _keep(store, name, application, tokens, bound), scopes=tokens.scopes)


def endpoints_of(kind: ProviderKind) -> OAuthEndpoints:
    """How the provider gives tokens to applications, or `CredentialError`."""
    if kind.oauth is None:
        raise CredentialError(f"{kind.title or kind.name} gives no tokens this way; keep one with `credentials set`")
    return kind.oauth


def _hosts(site: BaseUrl, endpoints: OAuthEndpoints) -> tuple[str, ...]:
    further = endpoints.hosts if site.url == endpoints.site.rstrip("/") else ()
    return (site.host, *further)


def _code(answer: Mapping[str, str], host: OfflineHost) -> Secret:
    """RFC 6749 4.1.2: a code, or 4.1.2.1: why there is none."""
    if "error" in answer:
        why = f"{answer['error']} {answer.get('error_description', '')}".strip()
        words = "it was denied" if answer["error"] == "access_denied" else host.masked(why[:200])
        raise CredentialError(f"no token was given: {words}; nothing was changed")
    if not answer.get("code"):
        raise CredentialError("the answer holds neither a code nor a reason; nothing was changed")
    return Secret(answer["code"])


async def _keep(
    store: WritableCredentialStore, name: str, application: Application, tokens: Tokens, hosts: tuple[str, ...]
) -> CredentialSummary:
    """As `oauth` when it can be renewed; as `token` when it never ends, which some hosts give to older applications."""
    if tokens.refresh is not None:
        fields = {
            "client_id": Secret(application.client_id),
            "client_secret": application.client_secret,
            "refresh_token": tokens.refresh,
        }
        return await set_credential(store, name=name, type="oauth", hosts=hosts, fields=fields)
    if tokens.expires_at is not None:
        raise ProviderError("the host gave a token that ends and nothing to renew it with; register it to get both")
    return await set_credential(store, name=name, type="token", hosts=hosts, fields={"token": tokens.access})


class _AskingHost(OfflineHost):
    """A command's host that has HTTP, and masks."""

    def __init__(self, name: str, http: aiohttp.ClientSession) -> None:
        super().__init__(name)
        self._http = http
        self._redactor = Redactor()

    @property
    def http(self) -> aiohttp.ClientSession:
        """As the server's."""
        return self._http

    @property
    def metrics(self) -> _Uncounted:
        """Nobody looks at a command's."""
        return _Uncounted()

    def mask(self, *secrets: Secret) -> None:
        """From now on."""
        for secret in secrets:
            self._redactor.add(secret.reveal())

    def masked(self, text: str) -> str:
        """With `***`."""
        return self._redactor.redact(text)


class _Uncounted:
    def observe_call(self, seconds: float, *, status: str) -> None:
        """Nothing."""

    def call_retried(self) -> None:
        """Nothing."""

    def rate_limit_waited(self, seconds: float) -> None:
        """Nothing."""


@asynccontextmanager
async def _asking_host() -> AsyncIterator[_AskingHost]:
    connector = aiohttp.TCPConnector(socket_factory=shared_socket)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield _AskingHost("authorize", http)
