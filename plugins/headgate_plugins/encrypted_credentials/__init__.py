"""Secrets in one sealed file beside the server, set by `headgate credentials`; not a service for many machines.

`secret://encrypted/deploy-key` is an entry of that file: AES-256-GCM under a data key of its own, which is
wrapped by the key in the key file. Both files are for their owner only. A change is seen without a restart.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from headgate import api
from headgate_plugins.encrypted_credentials import vault as vaults
from headgate_plugins.encrypted_credentials.vault import Contents, Entry, Vault

HEADGATE_API = 1

SCHEMA: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["file", "key_file"],
    "properties": {
        "file": {"type": "string", "format": "path", "description": "The file of sealed credentials (mode 0600)."},
        "key_file": {
            "type": "string",
            "format": "path",
            "description": "The file of the key that seals them (mode 0600). Back it up elsewhere than the other.",
        },
        "create_key": {
            "type": "boolean",
            "default": True,
            "description": "Make a random key when the first secret is set and there is no key file yet.",
        },
    },
}

T = TypeVar("T")


class Blocking(Protocol):
    """`Host.blocking`: runs a call on a thread."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """What `call` gives."""


class EncryptedCredentials:
    """The store. Any number of processes may read and write the same file."""

    def __init__(self, name: str, *, file: Path, key_file: Path, create_key: bool, blocking: Blocking) -> None:
        """`name`: what stands behind `secret://`, part of what every secret is bound to."""
        self._name = name
        self._file = file
        self._key_file = key_file
        self._create_key = create_key
        self._blocking = blocking
        self._vault: Vault | None = None

    async def get(self, name: str) -> api.Credential:
        """The credential; `CredentialError` when there is none or it does not open as what it says it is."""
        vault = await self._current()
        try:
            return self._open(vault, name)
        except api.CredentialError:
            # The file and the key may have been read from both sides of a rotation: look once more.
            return self._open(await self._read(), name)

    def _open(self, vault: Vault, name: str) -> api.Credential:
        entry = vault.contents.credentials.get(name)
        if entry is None:
            raise self._missing(name, vault)
        fields = {field: api.Secret(text) for field, text in vault.open(name).items()}
        return api.Credential(type=entry.type, fields=fields, hosts=entry.hosts, version=entry.version)

    async def list(self) -> Sequence[api.CredentialSummary]:
        """All of them, by name. Nothing is opened, so what is told is as true as the file."""
        entries = (await self._current()).contents.credentials
        return [_summary(name, entries[name]) for name in sorted(entries)]

    async def put(self, name: str, credential: api.Credential) -> api.CredentialSummary:
        """Seal it and keep it durably; the version is one more than that of what it replaces."""
        return await self._blocking(lambda: self._put(name, credential.check()))

    async def remove(self, name: str) -> None:
        """Forget it; `CredentialError` when there is none."""
        await self._blocking(lambda: self._remove(name))

    async def rewrap(self) -> int:
        """Put all secrets under a fresh key and make it the key in force; what they are bound to stays."""
        return await self._blocking(self._rewrap)

    async def _current(self) -> Vault:
        if self._vault is None or self._vault.stamps != vaults.stamps_of(self._file, self._key_file):
            return await self._read()
        return self._vault

    async def _read(self) -> Vault:
        self._vault = await self._blocking(self._load)
        return self._vault

    def _load(self) -> Vault:
        return vaults.load(self._name, self._file, self._key_file)

    def _put(self, name: str, credential: api.Credential) -> api.CredentialSummary:
        with vaults.writing(self._file), vaults.locked(self._file):
            vault = self._load()
            key = self._sealing_key(vault, name)
            entries = vault.contents.credentials
            version = entries[name].version + 1 if name in entries else 1
            plain = msgspec.json.encode({field: secret.reveal() for field, secret in credential.fields.items()})
            place = vaults.binding(self._name, name, credential.type, version, credential.hosts)
            entry = Entry(
                type=credential.type,
                hosts=credential.hosts,
                version=version,
                sealed=key.seal(plain.decode(), bound_to=place),
            )
            vaults.write(self._file, Contents(credentials={**entries, name: entry}))
        return _summary(name, entry)

    def _sealing_key(self, vault: Vault, name: str) -> api.SealingKey:
        """The key in force. A new one is only made when it cannot hide that an old one was lost."""
        others = [other for other in vault.contents.credentials if other != name]
        if vault.keys:
            if others and not any(map(vault.opens, others)):
                raise api.CredentialError(
                    f"the key in {self._key_file} opens nothing in {self._file}: restore the right one"
                )
            return vault.keys[0]
        if vault.contents.credentials:
            raise api.CredentialError(
                f"{self._file} holds secrets, yet its key file {self._key_file} is gone: restore it"
            )
        return api.read_key_file(self._key_file, create=self._create_key)

    def _remove(self, name: str) -> None:
        with vaults.writing(self._file), vaults.locked(self._file):
            vault = self._load()
            if name not in vault.contents.credentials:
                raise self._missing(name, vault)
            left = {other: entry for other, entry in vault.contents.credentials.items() if other != name}
            vaults.write(self._file, Contents(credentials=left))

    def _rewrap(self) -> int:
        with vaults.writing(self._file), vaults.locked(self._file):
            vault = self._load()
            if closed := sorted(name for name in vault.contents.credentials if not vault.opens(name)):
                raise api.CredentialError(f"nothing was changed, for these cannot be opened: {', '.join(closed)}")
            old = api.read_key_file(self._key_file)
            new = api.read_key_file(vaults.waiting(self._key_file), create=True)
            entries = {
                name: self._under(new, name, entry, old=old) for name, entry in vault.contents.credentials.items()
            }
            vaults.write(self._file, Contents(credentials=entries))
            vaults.replace(vaults.waiting(self._key_file), self._key_file)
        return len(entries)

    def _under(self, new: api.SealingKey, name: str, entry: Entry, *, old: api.SealingKey) -> Entry:
        place = vaults.binding(self._name, name, entry.type, entry.version, entry.hosts)
        try:
            new.open(entry.sealed, bound_to=place)
        except api.CredentialError:
            return msgspec.structs.replace(entry, sealed=new.rewrap(entry.sealed, old=old, bound_to=place))
        return entry  # a rotation that was cut short had come this far

    def _missing(self, name: str, vault: Vault) -> api.CredentialError:
        nearest = difflib.get_close_matches(name, vault.contents.credentials, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"set it: headgate credentials set {self._name}/{name}"
        return api.CredentialError(f"secret://{self._name}/{name} is not set ({hint})")


def _summary(name: str, entry: Entry) -> api.CredentialSummary:
    return api.CredentialSummary(name=name, type=entry.type, hosts=entry.hosts, version=entry.version)


@asynccontextmanager
async def open_store(config: Mapping[str, Any], host: api.Host) -> AsyncIterator[EncryptedCredentials]:
    """The store; `CredentialError` at once when a file is open to others or not of our format."""
    store = EncryptedCredentials(
        host.name,
        file=Path(config["file"]),
        key_file=Path(config["key_file"]),
        create_key=config.get("create_key", True),
        blocking=host.blocking,
    )
    await store.list()
    yield store


@api.hookimpl
def headgate_credential_stores() -> Iterable[api.CredentialStoreKind]:
    """One kind: `encrypted`."""
    yield api.CredentialStoreKind(
        name="encrypted", summary="Secrets in a sealed file (AES-256-GCM)", schema=SCHEMA, open=open_store
    )
