"""Secrets with a type and the hosts they may travel to; not where they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from headgate.api.errors import CredentialError

REFERENCE = re.compile(r"secret://(?P<store>[a-z0-9][a-z0-9_-]*)/(?P<name>[A-Za-z0-9][A-Za-z0-9._/-]*)")
"""How a configuration names a secret: `secret://store/name`."""

REFERENCE_SCHEMA = {
    "type": "string",
    "format": "secret",
    "pattern": f"^{REFERENCE.pattern.replace('?P<store>', '?:').replace('?P<name>', '?:')}$",
    "description": "A secret by reference: secret://store/name.",
}
"""The JSON Schema of a secret's reference, for a kind's own schema."""

CredentialType: TypeAlias = Literal[
    "text", "token", "user_password", "ssh_key", "github_app", "oauth", "service_principal", "aws_key"
]

FIELDS: Mapping[CredentialType, tuple[str, ...]] = {
    "text": ("text",),
    "token": ("token",),
    "user_password": ("username", "password"),
    "ssh_key": ("private_key", "known_hosts"),
    "github_app": ("app_id", "private_key"),
    "oauth": ("client_id", "client_secret", "refresh_token"),
    "service_principal": ("tenant_id", "client_id", "client_secret"),
    "aws_key": ("access_key_id", "secret_access_key"),
}
"""The fields each type must have."""

PUBLIC_FIELDS = frozenset({"username", "known_hosts", "app_id", "client_id", "tenant_id", "access_key_id"})
"""Fields that may be shown: everything else is masked wherever it turns up."""


class Secret:
    """A string that does not print itself. `reveal()` is the one way out, easy to find and to review."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """`text`: the secret itself."""
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        """Never the secret."""
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Equal by content, so that values holding one can be compared; not for verification."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """By content."""
        return hash(self._text)


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as a store gives it. `hosts`: host names it may travel to; empty: nowhere, it stays here.

    `*` as a host means anywhere and has to be written by an admin. `version` grows with each change.
    """

    type: CredentialType
    fields: dict[str, Secret]
    hosts: tuple[str, ...] = ()
    version: int = 1

    def text(self) -> Secret:
        """The one secret of a `text` or `token` credential, what proves the others: password, private key, refresh token."""
        return self.fields[_PRINCIPAL_FIELD[self.type]]

    def secrets(self) -> tuple[Secret, ...]:
        """All fields that must be masked."""
        return tuple(value for name, value in self.fields.items() if name not in PUBLIC_FIELDS)

    def check(self) -> Credential:
        """Itself, or `CredentialError` naming a field that its type needs or does not know."""
        expected = set(FIELDS[self.type])
        if missing := expected - set(self.fields):
            raise CredentialError(f"a {self.type} credential needs {', '.join(sorted(missing))}")
        if unknown := set(self.fields) - expected:
            raise CredentialError(f"a {self.type} credential has no {', '.join(sorted(unknown))}")
        return self


_PRINCIPAL_FIELD: Mapping[str, str] = {
    "text": "text",
    "token": "token",
    "user_password": "password",
    "ssh_key": "private_key",
    "github_app": "private_key",
    "oauth": "refresh_token",
    "service_principal": "client_secret",
    "aws_key": "secret_access_key",
}


class CredentialSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told about a credential: everything but the secret."""

    name: str
    type: CredentialType
    hosts: tuple[str, ...] = ()
    version: int = 1


@runtime_checkable
class CredentialStore(Protocol):
    """Where secrets are kept. Called at any time, from one event loop, possibly concurrently."""

    async def get(self, name: str) -> Credential:
        """The credential, or `CredentialError` naming what is missing and how to set it."""

    async def list(self) -> Sequence[CredentialSummary]:
        """What it holds, sorted by name, without secrets; empty where a store cannot know."""


@runtime_checkable
class WritableCredentialStore(CredentialStore, Protocol):
    """A store that `headgate credentials set` and `remove` can change."""

    async def put(self, name: str, credential: Credential) -> CredentialSummary:
        """Keep it durably, replacing an older version; the summary carries the new version."""

    async def remove(self, name: str) -> None:
        """Forget it; `CredentialError` when there is none."""


@runtime_checkable
class RewrapsSecrets(Protocol):
    """A store that keeps its secrets under a key and can change that key."""

    async def rewrap(self) -> int:
        """Put all secrets under a fresh key, durably, and say how many; after a crash, again does the rest."""
