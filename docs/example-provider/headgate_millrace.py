"""Millrace, a Git host that does not exist: signed webhooks of pushes and proposals; not its API, for it has none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from headgate import api

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["base_url", "webhook_secrets"],
    "properties": {
        "base_url": {"type": "string", "pattern": api.BASE_URL_PATTERN, "description": "Where Millrace runs."},
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
    },
}

_PATH = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


def normalise(text: str) -> str:
    """`owner/name` in lower case, of any way to write it."""
    path = api.path_of(text).strip("/").removesuffix(".git").lower()
    if not _PATH.fullmatch(path):
        raise ValueError(f"{text[:80]!r} is no owner/name")
    return path


class Moved(msgspec.Struct):
    """The body of the event `moved`: a ref is at another commit than before."""

    repository: str
    ref: str
    old: str | None = None
    new: str | None = None


class Proposed(msgspec.Struct):
    """The body of the event `proposed`: somebody wants a branch to be merged."""

    repository: str
    number: int
    title: str
    by: str
    from_repository: str
    branch: str
    head: str
    into: str


def read(delivery: api.Delivery, host: str = "millrace.invalid") -> api.Reading:
    """Needs no connection; only the host's name is the connection's."""
    name = delivery.header("x-millrace-event")
    if name not in {"moved", "proposed"}:
        return api.Ignored(reason=f"no job can wait for the event {name!a}")
    try:
        if name == "moved":
            return api.Parsed(events=(moved(api.read_json(delivery.body, Moved), host),))
        return api.Parsed(events=(proposed(api.read_json(delivery.body, Proposed), host),))
    except ValueError as error:
        raise api.Unreadable(str(error)) from None


def moved(payload: Moved, host: str) -> api.Event:
    """A branch or a tag."""
    repository = api.Repository(host=host, path=normalise(payload.repository))
    before, after = api.full_sha_or_none(payload.old), api.full_sha_or_none(payload.new)
    if before is None and after is None:
        raise ValueError("it moved from nowhere to nowhere")
    if payload.ref.startswith("refs/tags/"):
        tag = payload.ref.removeprefix("refs/tags/")
        return api.Tag(repository=repository, ref=payload.ref, tag=tag, before=before, after=after)
    if payload.ref.startswith("refs/heads/"):
        return api.Push(repository=repository, ref=payload.ref, before=before, after=after)
    raise ValueError(f"{payload.ref[:80]!r} is neither a branch nor a tag")


def proposed(payload: Proposed, host: str) -> api.Event:
    """A change request."""
    repository = api.Repository(host=host, path=normalise(payload.repository))
    source = api.Repository(host=host, path=normalise(payload.from_repository))
    return api.ChangeRequest(
        repository=repository,
        number=payload.number,
        action="opened",
        title=payload.title,
        source=api.ChangeSource(
            repository=source, branch=payload.branch.removeprefix("refs/heads/"), sha=api.full_sha(payload.head)
        ),
        target=api.ChangeTarget(branch=payload.into.removeprefix("refs/heads/")),
        author=payload.by,
        from_fork=source != repository,
    )


class Millrace:
    """One connection."""

    def __init__(self, base_url: str, secrets: Sequence[api.Secret]) -> None:
        self._url = base_url.rstrip("/")
        self._secrets = secrets

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """The HMAC-SHA256 of the body."""
        secret = api.check_hmac_sha256(delivery.body, delivery.header("x-millrace-seal"), self._secrets)
        return api.Seal(key=api.delivery_key(delivery, "x-millrace-delivery"), secret=secret)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says."""
        return read(delivery, api.host_of(self._url))

    async def clone_source(self, repository: str) -> api.CloneSource:
        """Below the configured URL, whatever a payload says."""
        return api.CloneSource(url=f"{self._url}/{normalise(repository)}.git")


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Millrace]:
    """A connection whose `options` fit the schema."""
    yield Millrace(options["base_url"], await api.webhook_secrets(options, host))


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """Called once, at start."""
    yield api.ProviderKind(
        name="millrace",
        title="Millrace",
        summary="A Git host that does not exist",
        schema=SCHEMA,
        open=open_connection,
        provides=Millrace,
        normalise=normalise,
        read=read,
        event_header="x-millrace-event",
    )
