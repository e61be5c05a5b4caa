"""An open connection to a plain git server or folder: what it checks, and what it can do; not what payloads mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headgate import api
from headgate_plugins.git.place import Place, normalise
from headgate_plugins.git.webhooks import NOTIFY, read_at

ACCEPT_UNSIGNED = "yes, anyone may start builds"
"""What an admin has to write to open the door."""

_TYPES = {"ssh": ("ssh_key",), "https": ("token", "user_password"), "http": ("token", "user_password")}


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Git]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    root = options.get("root")
    yield Git(
        host=host,
        place=Place(base_url=options.get("base_url"), root=Path(root) if root is not None else None),
        secrets=[await _secret(host, reference) for reference in options.get("webhook_secrets", ())],
        notify_tokens=[await _secret(host, options["notify_token"])] if "notify_token" in options else (),
        reference=options.get("credential"),
        accept_unsigned=options.get("accept_unsigned") == ACCEPT_UNSIGNED,
    )


async def _secret(host: api.Host, reference: str) -> api.Secret:
    secret = (await host.secret(reference)).text()
    if not secret.reveal().removeprefix("whsec_"):
        raise api.CredentialError(f"the secret {reference} is empty")
    return secret


class Git:
    """One connection. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        host: api.Host,
        place: Place,
        secrets: Sequence[api.Secret] = (),
        notify_tokens: Sequence[api.Secret] = (),
        reference: str | None = None,
        accept_unsigned: bool = False,
    ) -> None:
        """Without `secrets` nothing is accepted, unless `accept_unsigned` says so."""
        self._host = host
        self._place = place
        self._secrets = tuple(secrets)
        self._notify_tokens = tuple(notify_tokens)
        self._reference = reference
        self._accept_unsigned = accept_unsigned and not self._secrets

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """Standard Webhooks (https://www.standardwebhooks.com/) for pushes, a token for `notifyCommit`."""
        if delivery.hook == NOTIFY:
            if self._notify_tokens or not self._accept_unsigned:
                api.check_token(_token(delivery), self._notify_tokens)
            return api.Seal()
        if delivery.hook:
            raise api.Unauthenticated(f"a git connection has no hook `{delivery.hook[:80]}`")
        if self._accept_unsigned:
            return api.Seal(key=api.delivery_key(delivery, "webhook-id"))
        return api.standard_webhooks_seal(delivery, self._secrets)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says, with the host of this connection."""
        return read_at(delivery, self._place)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """The base URL and the path as it was written, or the folder below the root."""
        try:
            path = normalise(repository)
        except ValueError as error:
            raise api.NotFound(str(error)) from None
        if self._place.root is not None:
            return api.CloneSource(url=await self._host.blocking(partial(_folder, self._place.root, path)))
        base = (self._place.base_url or "").rstrip("/")
        url = base if path == "." else f"{base}/{repository.strip('/')}"
        return api.CloneSource(url=url, credential=await self._credential(base))

    async def _credential(self, base_url: str) -> api.Credential | None:
        if self._reference is None:
            return None
        parts = urlsplit(base_url)
        credential = await self._host.secret(self._reference, for_host=parts.hostname)
        fitting = _TYPES[parts.scheme]
        if credential.type not in fitting:
            raise api.CredentialError(
                f"{self._reference} is of type {credential.type}; {parts.scheme} takes {' or '.join(fitting)}"
            )
        return credential


def _token(delivery: api.Delivery) -> str | None:
    """From `X-Headgate-Token`, else `Authorization: Bearer`; never from the URL, which ends up in logs."""
    token = delivery.header("x-headgate-token")
    if token is not None:
        return token
    scheme, _, value = (delivery.header("authorization") or "").partition(" ")
    return value if scheme.lower() == "bearer" else None


def _folder(root: Path, path: str) -> str:
    """The repository's folder, also when only its name with `.git` is there; a link out of the root leads nowhere."""
    if path == ".":
        return str(root)
    folder = root / path
    if not folder.is_dir() and (bare := root / f"{path}.git").is_dir():
        folder = bare
    if not folder.resolve().is_relative_to(root.resolve()):
        raise api.NotFound(f"{path} leads out of {root}")
    return str(folder)
