"""What the contracts are made with: a host, samples, mutants and checks; not the contracts themselves."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import jsonschema
import msgspec
import pytest

from headgate import api

T = TypeVar("T")

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
"""A Monday, at noon. The clock of every contract stands still."""

SHA, OTHER_SHA = "a" * 40, "b" * 40

HEX, SHORTEST_SHA = frozenset("0123456789abcdef"), 7

DURATION_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Silence:
    """A logger that says nothing."""

    def debug(self, event: str, **values: Any) -> None:
        """Nothing."""

    info = warning = error = debug


class NoMetrics:
    """Counts nothing."""

    def observe_call(self, seconds: float, *, status: str) -> None:
        """Nothing."""

    def call_retried(self) -> None:
        """Nothing."""

    def rate_limit_waited(self, seconds: float) -> None:
        """Nothing."""


class ContractHost:
    """What a plugin is given in a contract test: a fixed clock, the secrets it was made with, and no network."""

    name = "contract"
    log = Silence()
    metrics = NoMetrics()

    def __init__(self, credentials: Mapping[str, api.Credential], *, writable: bool = True) -> None:
        """`credentials` by their full reference. `writable`: whether renewed ones can be kept."""
        self._credentials = dict(credentials)
        self._writable = writable
        self._masked: set[str] = set()

    @property
    def http(self) -> NoReturn:
        """None: opening a connection and reading a delivery must not need it."""
        raise AssertionError("this must work without HTTP")

    def now(self) -> datetime:
        """Always the same."""
        return NOW

    async def secret(self, reference: str, *, for_host: str | None = None) -> api.Credential:
        """As the core does it, host binding included."""
        if reference not in self._credentials:
            raise api.CredentialError(f"there is no {reference}")
        credential = self._credentials[reference]
        if for_host is not None and for_host not in credential.hosts and "*" not in credential.hosts:
            raise api.CredentialError(f"{reference} is not bound to {for_host}")
        self.mask(*credential.secrets())
        return credential

    async def keep_secret(self, reference: str, credential: api.Credential) -> None:
        """As the core does it."""
        found = self._credentials[reference]
        if not self._writable:
            raise api.CredentialError(f"{reference} was renewed and cannot be kept: its store can only be read")
        if (found.type, found.hosts, found.version) != (credential.type, credential.hosts, credential.version):
            raise api.CredentialError(f"{reference} was changed while it was renewed")
        self.mask(*credential.check().secrets())
        self._credentials[reference] = msgspec.structs.replace(credential, version=found.version + 1)

    def mask(self, *secrets: api.Secret) -> None:
        """Remember them."""
        self._masked.update(secret.reveal() for secret in secrets)

    def masked(self, text: str) -> str:
        """Without the secrets as they are; the core masks their encoded forms too."""
        for secret in sorted(self._masked, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text

    async def blocking(self, call: Callable[[], T]) -> T:
        """At once."""
        return call()


def sample_events() -> tuple[api.Event, ...]:
    """One event of each type, for rules that must cope with all of them."""
    repository = api.Repository(host="git.example.org", path="acme/web")
    return (
        api.Push(repository=repository, ref="refs/heads/main", before=SHA, after=OTHER_SHA, actor="ada"),
        api.Push(repository=repository, ref="refs/heads/gone", before=SHA, after=None),
        api.Tag(repository=repository, ref="refs/tags/v1", tag="v1", before=None, after=SHA),
        api.ChangeRequest(
            repository=repository,
            number=7,
            action="opened",
            title="Add a thing",
            source=api.ChangeSource(repository=None, branch="thing", sha=SHA),
            target=api.ChangeTarget(branch="main"),
            author="ada",
            from_fork=True,
        ),
        api.Comment(repository=repository, on="commit", action="created", body="well", author="ada"),
        api.Release(repository=repository, tag="v1", name="One", action="published"),
        api.CiStatus(repository=repository, sha=SHA, context="lint", state="success"),
        api.Ping(),
        api.PollRequested(repository=repository),
        api.Tick(job="web", scheduled_for=NOW),
        api.Manual(job="web", actor="ada"),
        api.BuildFinished(job="lib", build_id="b_1", outcome="succeeded"),
    )


def sample_subject(event: api.Event, **values: Any) -> api.Subject:
    """A subject at the contract's time, observed by a webhook unless `values` say otherwise."""
    return api.Subject(**({"event": event, "observer": "webhook", "now": NOW} | values))


def sample_build(*, state: str, **values: Any) -> api.Build:
    """A build in one of its states."""
    finished = state == "finished"
    build = api.Build(
        id="b_1",
        job="web",
        number=12,
        state=api.State(state),
        outcome=api.Outcome.SUCCEEDED if finished else None,
        reason="a push",
        trigger="push",
        connection="contract",
        repository=api.Repository(host="git.example.org", path="acme/web"),
        ref="refs/heads/main",
        sha=SHA,
        before=None,
        change=None,
        definition="0" * 64,
        parameters={},
        priority=50,
        event_id="e_1",
        decision_id="x_1",
        delivery_id="d_1",
        queued_at=NOW,
        started_at=None if state == "queued" else NOW,
        finished_at=NOW if finished else None,
    )
    return msgspec.structs.replace(build, **values)


def check_schema(schema: api.Schema) -> None:
    """A valid JSON Schema 2020-12 of a strict object that can itself be published as JSON."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def check_event(event: api.Event, kind: api.ProviderKind) -> None:
    """Full refs and shas, a repository that has a key, and the same after JSON and back."""
    check_json(event)
    check_names(event, kind)


def check_json(event: api.Event) -> None:
    """The same after JSON and back."""
    assert msgspec.json.decode(msgspec.json.encode(event), type=api.Event) == event


def check_names(event: api.Event, kind: api.ProviderKind) -> None:
    """Full refs and shas, short names of branches and tags, a repository that has a key, a fork that is one."""
    repository = getattr(event, "repository", None)
    if repository is not None:
        _check_repository(repository, kind)
    if isinstance(event, api.REF_EVENTS):
        assert event.ref.startswith("refs/heads/" if isinstance(event, api.Push) else "refs/tags/")
        assert event.before or event.after or event.before_known is False
        for sha in (event.before, event.after, *(commit.id for commit in event.commits)):
            assert sha is None or _is_full(sha), sha
    if isinstance(event, api.Tag):
        assert event.ref == f"refs/tags/{event.tag}"
    if isinstance(event, api.CiStatus):
        assert _is_full(event.sha), event.sha
    if isinstance(event, api.ChangeRequest):
        _check_change(event, kind)


def _check_repository(repository: api.Repository, kind: api.ProviderKind) -> None:
    kind.normalise(repository.path)
    assert repository.host == repository.host.lower()
    assert repository.path == repository.path.strip("/").removesuffix(".git")


def _check_change(event: api.ChangeRequest, kind: api.ProviderKind) -> None:
    source = event.source
    assert event.head_ref is None or event.head_ref.startswith("refs/"), event.head_ref
    assert not source.branch.startswith("refs/heads/")
    assert not event.target.branch.startswith("refs/heads/")
    for sha in (source.sha, event.target.sha):  # an abbreviated one is allowed, none is not
        assert sha is None or (len(sha) >= SHORTEST_SHA and set(sha) <= HEX and sha not in api.ZERO_SHAS), sha
    if source.repository is None:
        assert event.from_fork, "a change of which nobody knows from where it comes is a stranger's"
    else:
        _check_repository(source.repository, kind)


def _is_full(sha: str) -> bool:
    return len(sha) in {40, 64} and set(sha) <= HEX and sha not in api.ZERO_SHAS


def with_durations(schema: api.Schema, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a kind gets them: `5m` under `format: duration` as 300.0."""
    properties = schema.get("properties", {})
    return {
        key: float(value[:-1]) * DURATION_UNITS[value[-1]]
        if properties.get(key, {}).get("format") == "duration"
        else value
        for key, value in options.items()
    }


def mutated(text: bytes, dice: random.Random) -> bytes:
    """`text` with one to four bytes changed, cut out, doubled or put in."""
    result = bytearray(text)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(result) + 1)
        match dice.randrange(4):
            case 0 if at < len(result):
                result[at] ^= 1 << dice.randrange(8)
            case 1:
                del result[at : at + dice.randint(1, 8)]
            case 2:
                result[at:at] = result[at : at + dice.randint(1, 8)]
            case _:
                result[at:at] = dice.randbytes(1)
    return bytes(result)


class no_sockets:  # noqa: N801 - used like a function
    """Inside `with no_sockets():` the code under test cannot open a connection."""

    def __enter__(self) -> None:
        """Takes the door away."""
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(socket, "socket", _no_socket)

    def __exit__(self, *_: object) -> None:
        """Puts it back."""
        self._patch.undo()


def _no_socket(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("this must not open a connection")
