"""What `headgate credentials` does: set, list, remove and rewrap, with values from a prompt or stdin, never argv.

Not the command line itself (options and output are `cli.credential_commands`'), and not where secrets are kept.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from headgate.api import (
    FIELDS,
    PUBLIC_FIELDS,
    REFERENCE,
    Credential,
    CredentialError,
    CredentialStore,
    CredentialSummary,
    CredentialType,
    RewrapsSecrets,
    Secret,
    WritableCredentialStore,
)
from headgate.credentials.forms import SHORTEST, forms
from headgate.credentials.hosts import check_rule

_LARGEST = 1 << 20
"""Characters that stdin may hold: far more than any key, and no way to fill the memory by a slip of the pipe."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `headgate credentials list`: a reference and all that may be told about it."""

    reference: str
    type: CredentialType
    hosts: tuple[str, ...]
    version: int


def split_reference(text: str) -> tuple[str, str]:
    """Store and name of `secret://store/name` or, shorter, `store/name`; `CredentialError` for anything else."""
    match = REFERENCE.fullmatch(text if text.startswith("secret://") else f"secret://{text}")
    if match is None:
        raise CredentialError("write it as store/name, for example encrypted/deploy-key")
    return match["store"], match["name"]


def writable(stores: Mapping[str, CredentialStore], name: str) -> WritableCredentialStore:
    """The store called `name`, or `CredentialError` when there is none or it cannot be written from here."""
    store = stores.get(name)
    if store is None:
        raise CredentialError(f"no credential store is called {name}; there are: {', '.join(sorted(stores)) or 'none'}")
    if not isinstance(store, WritableCredentialStore):
        raise CredentialError(f"the credential store {name} can only be read from here")
    return store


def read_fields(
    kind: CredentialType,
    *,
    names: Sequence[str] | None = None,
    files: Mapping[str, Path] | None = None,
    stdin: TextIO | None = None,
    ask: Callable[[str], str] = input,
    ask_hidden: Callable[[str], str] = getpass.getpass,
) -> dict[str, Secret]:
    """The values of all fields that a credential of type `kind` needs, or of those in `names`; none from argv.

    `files` names files to read fields from. The rest is asked for on a terminal, secrets without echo.
    Elsewhere stdin holds the one field that is left, or a JSON object when several are. One line end is cut
    from a value, but for keys, which need theirs.
    """
    expected = FIELDS.get(kind)
    if expected is None:
        raise CredentialError(f"there is no credential type {kind!r}; there are: {', '.join(FIELDS)}")
    expected = expected if names is None else tuple(names)
    if unknown := sorted(set(files or {}) - set(expected)):
        raise CredentialError(f"a {kind} credential has no {', '.join(unknown)}; it has: {', '.join(expected)}")
    found = {name: _read_file(path) for name, path in (files or {}).items()}
    left = [name for name in expected if name not in found]
    source = stdin if stdin is not None else sys.stdin
    if left and source.isatty():
        for name in left:
            if name == "private_key":
                raise CredentialError("a private key has many lines: name its file, or pipe it in")
            found[name] = (ask if name in PUBLIC_FIELDS else ask_hidden)(f"{name.replace('_', ' ')}: ")
    elif left:
        found |= _read_stdin(left, source)
    return {name: Secret(_without_line_end(name, text)) for name, text in found.items()}


async def set_credential(
    store: WritableCredentialStore,
    *,
    name: str,
    type: CredentialType,  # noqa: A002 - the word of the command line and of the value
    hosts: Sequence[str],
    fields: Mapping[str, Secret],
) -> CredentialSummary:
    """Keep it. `CredentialError` when a field is missing, empty or too short to be masked, or a host is none."""
    try:
        bound = tuple(dict.fromkeys(check_rule(host) for host in hosts))
    except ValueError as error:
        raise CredentialError(str(error)) from None
    credential = Credential(type=type, fields=dict(fields), hosts=bound).check()
    for field, secret in credential.fields.items():
        if not secret.reveal().strip():
            raise CredentialError(f"{field} is empty")
        if field not in PUBLIC_FIELDS and not forms(secret.reveal()):
            raise CredentialError(f"{field} is shorter than {SHORTEST} bytes and could not be masked in logs")
    return await store.put(name, credential)


async def list_credentials(stores: Mapping[str, CredentialStore]) -> tuple[Listed, ...]:
    """What all stores hold, by reference; secrets are not even read where a store can avoid it."""
    lines: list[Listed] = []
    for label in sorted(stores):
        for found in await stores[label].list():
            reference = f"secret://{label}/{found.name}"
            lines.append(Listed(reference=reference, type=found.type, hosts=found.hosts, version=found.version))
    return tuple(lines)


async def remove_credential(store: WritableCredentialStore, *, name: str) -> None:
    """Forget it; `CredentialError` when there is none."""
    await store.remove(name)


async def rewrap_credentials(store: CredentialStore) -> int:
    """Put all secrets of a store under a fresh key, and say how many; `CredentialError` when it cannot do that."""
    if not isinstance(store, RewrapsSecrets):
        raise CredentialError("this credential store has no key of its own to change")
    return await store.rewrap()


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        ) from None


def _read_stdin(left: Sequence[str], source: TextIO) -> dict[str, str]:
    text = source.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise CredentialError("stdin holds more than a megabyte, which is no credential")
    if len(left) == 1:
        return {left[0]: text}
    example = ", ".join(f'"{name}": "…"' for name in left)
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        value = None
    if not isinstance(value, dict) or set(value) != set(left) or not all(isinstance(v, str) for v in value.values()):
        raise CredentialError(f"stdin must hold {{{example}}}")
    return value


def _without_line_end(name: str, text: str) -> str:
    if name in {"private_key", "known_hosts"}:
        return text if text.endswith("\n") else f"{text}\n"  # ssh refuses a key without it
    return text.removesuffix("\n").removesuffix("\r")
