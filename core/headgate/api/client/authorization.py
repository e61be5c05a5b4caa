"""What a request is authorised with, fetched for each request and renewed once on 401; not where secrets are kept."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from headgate.api.client.addresses import BaseUrl
from headgate.api.client.renewal import RenewedToken
from headgate.api.credentials import Credential, CredentialType, Secret
from headgate.api.errors import CredentialError
from headgate.api.host import Host

_TAKEN: tuple[CredentialType, ...] = ("token", "user_password")


class ToSign(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it goes out: `url` with its query, the headers that were set, the body's bytes."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Sign: TypeAlias = Callable[[ToSign], Mapping[str, str]]
"""Headers to add that prove one whole request; pure but for the clock. Two that sign alike are equal (`==`)."""


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """Headers that authorise, all of them secret. Empty: the request is made without.

    `sign` is for hosts that want each request signed (AWS). It is called for each attempt, the last thing before it
    goes out; answers of signed requests are not kept.
    """

    headers: dict[str, Secret] = {}
    sign: Sign | None = None

    def __post_init__(self) -> None:
        """Raises `CredentialError` for what no header can carry, before anything of it is sent."""
        for value in self.headers.values():
            text = value.reveal()
            if not (text.isprintable() and text.isascii()):
                raise CredentialError("the credential holds a line break or another character no header can carry")

    def secrets(self) -> tuple[Secret, ...]:
        """What must be masked: each value, and what stands behind its scheme (`Bearer …`)."""
        texts = [value.reveal() for value in self.headers.values()]
        return tuple(Secret(part) for text in texts for part in (text, text.partition(" ")[2]) if part)


class Authorize(Protocol):
    """Gives the headers for the next request. Called before each, possibly concurrently: keep what is expensive."""

    async def __call__(self, *, renew: bool) -> Authorization:
        """`renew`: what was given last was refused with 401; get another if that is possible, else the same again.

        Calls with `renew` never overlap. Raises `CredentialError` or `ProviderError`.
        """


def bearer(token: Secret) -> Authorization:
    """`Authorization: Bearer …` (RFC 6750)."""
    return Authorization(headers={"Authorization": Secret(f"Bearer {token.reveal()}")})


def basic(username: str, password: Secret) -> Authorization:
    """`Authorization: Basic …` (RFC 7617), in UTF-8."""
    login = f"{username}:{password.reveal()}".encode()
    return Authorization(headers={"Authorization": Secret("Basic " + base64.b64encode(login).decode())})


def in_header(name: str, value: Secret, *, scheme: str = "") -> Authorization:
    """A header of the provider's own: `PRIVATE-TOKEN`, or `Authorization` with another `scheme`."""
    text = value.reveal()
    return Authorization(headers={name: Secret(f"{scheme} {text}" if scheme else text)})


class StoredCredential:
    """Authorises with a credential of a store: a token as the provider wants it, a user and password as Basic.

    It is fetched for each request, so a new one works at once; and only for the host of the base URL, so one that
    is not bound to it never travels. Types for which a token has to be got first are those of `renewed`.
    """

    def __init__(
        self,
        host: Host,
        reference: str | None,
        base: BaseUrl,
        *,
        token: Callable[[Secret], Authorization] = bearer,
        renewed: Mapping[CredentialType, RenewedToken] | None = None,
    ) -> None:
        """`reference`: `secret://store/name`, `None` to call without; `token`: how a token is sent.

        `renewed`: what gets and keeps the token of a credential, by its type; may be shared with others.
        """
        self._host = host
        self._reference = reference
        self._base = base
        self._token = token
        self._renewed = dict(renewed or {})

    async def __call__(self, *, renew: bool) -> Authorization:
        """See `Authorize`. Raises `CredentialError`, also for a type that does not fit."""
        credential = await self._read()
        if credential is None:
            return Authorization()
        if credential.type == "user_password":
            return basic(credential.fields["username"].reveal(), credential.text())
        if (renewed := self._renewed.get(credential.type)) is not None:
            return self._token(await renewed.token(credential, renew=renew))
        return self._token(credential.text())

    async def credential(self) -> Credential | None:
        """What git is given: a token or a user and password; `None` to go without. Raises as a call does.

        A token that was got for another credential may travel where that one may.
        """
        credential = await self._read()
        if credential is None or (renewed := self._renewed.get(credential.type)) is None:
            return credential
        fields = {"token": await renewed.token(credential)}
        return Credential(type="token", fields=fields, hosts=credential.hosts, version=credential.version)

    async def _read(self) -> Credential | None:
        if self._reference is None:
            return None
        credential = await self._host.secret(self._reference, for_host=self._base.host)
        taken = (*_TAKEN, *self._renewed)
        if credential.type not in taken:
            raise CredentialError(f"{self._reference} is of type {credential.type}; this takes {' or '.join(taken)}")
        return credential
