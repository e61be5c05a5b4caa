"""Secrets from the server's own environment: for containers and the first five minutes; not for secrets that change.

`secret://env/github-webhook` is the variable `HEADGATE_SECRET_GITHUB_WEBHOOK`. A plain value is a `text`. With
`HEADGATE_SECRET_GITHUB_WEBHOOK_HOSTS` beside it (host names, separated by blanks or commas) it is a `token`
that may travel to these hosts. The other types are a JSON object with a `type`:

    HEADGATE_SECRET_GIT={"type": "user_password", "username": "ci", "password": "…", "hosts": ["git.example.org"]}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from headgate import api

HEADGATE_API = 1

DEFAULT_PREFIX = "HEADGATE_SECRET_"

SCHEMA: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "prefix": {
            "type": "string",
            "pattern": "^[A-Z][A-Z0-9_]*_$",
            "default": DEFAULT_PREFIX,
            "description": "What the variables' names start with. It must end with an underscore.",
        }
    },
}

_HOSTS = "_HOSTS"
_MEANT_AS_TYPED = re.compile(r"""\s*\{\s*["']?type\b""")
_SEPARATORS = re.compile(r"[\s,]+")


class EnvironmentCredentials:
    """A read-only store over a mapping of variables, read anew each time."""

    def __init__(self, prefix: str, variables: Mapping[str, str], log: api.Logger) -> None:
        """`variables`: the server's environment; `prefix`: what ours start with."""
        self._prefix = prefix
        self._variables = variables
        self._log = log

    async def get(self, name: str) -> api.Credential:
        """The credential; `CredentialError` names the variable that is missing or cannot be read."""
        variable = self._prefix + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
        if variable.endswith(_HOSTS):
            raise api.CredentialError(f"{variable} is where another secret's hosts stand; choose another name")
        value = self._variables.get(variable)
        if not value:
            state = "not set" if value is None else "empty"
            raise api.CredentialError(f"the environment variable {variable} is {state}")
        return _read(variable, value, self._variables.get(variable + _HOSTS))

    async def list(self) -> Sequence[api.CredentialSummary]:
        """What the environment holds, under the spelling `github-webhook`; unreadable ones are logged and left out."""
        found: list[api.CredentialSummary] = []
        for variable in sorted(self._variables):
            if not variable.startswith(self._prefix) or variable.endswith(_HOSTS) or variable == self._prefix:
                continue
            name = variable.removeprefix(self._prefix).lower().replace("_", "-")
            try:
                credential = await self.get(name)
            except api.CredentialError as error:
                self._log.warning("credential_unreadable", variable=variable, reason=str(error))
                continue
            found.append(api.CredentialSummary(name=name, type=credential.type, hosts=credential.hosts))
        return found


def _read(variable: str, value: str, hosts: str | None) -> api.Credential:
    """A plain value or a typed one; errors never repeat what the variable holds."""
    typed = _typed(variable, value)
    beside = _hosts(_SEPARATORS.split(hosts)) if hosts is not None else ()
    if typed is None:
        if beside:
            return api.Credential(type="token", fields={"token": api.Secret(value)}, hosts=beside)
        return api.Credential(type="text", fields={"text": api.Secret(value)})
    given, bound, fields = typed.pop("type"), typed.pop("hosts", []), typed
    kind = next((known for known in api.FIELDS if known == given), None)
    if kind is None:
        raise api.CredentialError(
            f"{variable} is JSON with a `type` that is none of {', '.join(api.FIELDS)}; a text that itself looks "
            'like this is written {"type": "text", "text": "…"}'
        )
    if not isinstance(bound, list) or not all(isinstance(host, str) for host in bound):
        raise api.CredentialError(f"{variable}: `hosts` must be a list of host names")
    if not all(isinstance(field, str) for field in fields.values()):
        raise api.CredentialError(f"{variable}: every field must be a string")
    credential = api.Credential(
        type=kind,
        fields={name: api.Secret(text) for name, text in fields.items()},
        hosts=(*_hosts(bound), *beside),
    )
    try:
        return credential.check()
    except api.CredentialError as error:
        raise api.CredentialError(f"{variable}: {error}") from None


def _typed(variable: str, value: str) -> dict[str, Any] | None:
    """The object when the value is a JSON object with a `type`; other JSON is text like any other."""
    if not value.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        if _MEANT_AS_TYPED.match(value):
            raise api.CredentialError(f"{variable} starts like a typed secret and is not valid JSON") from None
        return None
    return found if isinstance(found, dict) and "type" in found else None


def _hosts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names if name)


@asynccontextmanager
async def open_store(config: Mapping[str, Any], host: api.Host) -> AsyncIterator[EnvironmentCredentials]:
    """The store over this process's environment. Builds get an environment of their own and never see it."""
    yield EnvironmentCredentials(str(config.get("prefix", DEFAULT_PREFIX)), os.environ, host.log)


@api.hookimpl
def headgate_credential_stores() -> Iterable[api.CredentialStoreKind]:
    """One kind: `env`."""
    yield api.CredentialStoreKind(
        name="env", summary="Secrets from the server's environment variables", schema=SCHEMA, open=open_store
    )
