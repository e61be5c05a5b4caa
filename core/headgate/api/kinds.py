"""What a hook returns: a name, a sentence, a schema and a way to open or compile; the behaviour is elsewhere.

A kind that talks to the world is opened once per configured block and closed with the server. A rule
(trigger, condition) is compiled per job, because it is pure and there are many (docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from headgate.api.conditions import Condition
from headgate.api.credentials import CredentialStore, CredentialType
from headgate.api.deliveries import Delivery, Reading
from headgate.api.executors import Executor
from headgate.api.host import Host
from headgate.api.notifiers import Notifier
from headgate.api.providers import Provider
from headgate.api.triggers import Trigger

HEADGATE_API = 1
"""The version of this contract. A plugin says `HEADGATE_API = 1`; another number is refused with both named."""

Schema: TypeAlias = Mapping[str, Any]
"""A JSON Schema (2020-12) of type object. `format: path` is made absolute by the host, `format: secret` is a
reference that stays one, `format: duration` (`30s`, `5m`, `2h`, `1d`) arrives as seconds (float)."""

EMPTY_SCHEMA: Schema = {"type": "object", "additionalProperties": False, "properties": {}}

Opened_co = TypeVar("Opened_co", covariant=True)
Compiled_co = TypeVar("Compiled_co", covariant=True)

Open: TypeAlias = Callable[[Mapping[str, Any], Host], AbstractAsyncContextManager[Opened_co]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthEndpoints:
    """How a provider gives tokens to applications (RFC 6749), for `headgate credentials authorize`.

    `authorize` and `token` are paths below the connection's `base_url`, or below `site` where it has none. `hosts`:
    where the tokens of `site` travel beside its own host. `scopes`: what all features need, in the host's words.
    """

    site: str
    authorize: str
    token: str
    scopes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """One kind of Git hosting. `schema` is the connection's block without its `provider` key.

    `normalise` gives a repository's identity from any way an admin or an event writes its path, so that one
    repository has one key; pure, raises `ValueError` with what is wrong. `read` parses offline, without a
    connection, for `headgate parse`. `provides` is the class `open` yields: its protocols are its capabilities.
    `event_header` is the (lower-case) header that names a delivery's event, for metrics; `None`: there is none.
    `title` is the product as people write it (`GitHub`), `status` whether its behaviour may still change.
    `oauth`: how an admin lets it be used in their name; `None`: not that way.
    """

    name: str
    summary: str
    schema: Schema
    open: Open[Provider]
    provides: type
    normalise: Callable[[str], str]
    read: Callable[[Delivery], Reading]
    event_header: str | None = None
    credential_types: tuple[CredentialType, ...] = ()
    title: str = ""
    status: Literal["stable", "experimental"] = "stable"
    oauth: OAuthEndpoints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleKind(Generic[Compiled_co]):
    """A rule of a job file. `schema` is its block; `compile` gets a block that fits the schema.

    `compile` is pure and raises `ValueError` with what is wrong where a schema cannot say it (a bad pattern).
    """

    name: str
    summary: str
    schema: Schema
    compile: Callable[[Mapping[str, Any]], Compiled_co]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerKind(RuleKind[Trigger]):
    """What a job may write under `triggers:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionKind(RuleKind[Condition]):
    """What a job may write under `conditions:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialStoreKind:
    """A place for secrets; `schema` is its block under `credential_stores:` in the configuration."""

    name: str
    summary: str
    open: Open[CredentialStore]
    schema: Schema = field(default_factory=lambda: EMPTY_SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierKind:
    """A way of telling. `schema` is a job's block under `notify:`, `settings` the one under `notifiers:`.

    `needs`: the capabilities (words of `CAPABILITIES`) without which the build's provider is of no use to it; a job
    on a connection whose provider lacks one is refused when it is read.
    """

    name: str
    summary: str
    open: Open[Notifier]
    schema: Schema = field(default_factory=lambda: EMPTY_SCHEMA)
    settings: Schema = field(default_factory=lambda: EMPTY_SCHEMA)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorKind:
    """A way of running builds; `schema` is its block under `executors:` in the configuration."""

    name: str
    summary: str
    open: Open[Executor]
    schema: Schema = field(default_factory=lambda: EMPTY_SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """A request to a plugin's route, already authorised; `body` within the server's limit."""

    method: str
    tail: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteResponse:
    """What a plugin's route answers."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteKind:
    """An extra route, served as `/plugins/{plugin}/{name}`. `permission` is one of the host's, never "open"."""

    name: str
    summary: str
    permission: str
    answer: Callable[[RouteRequest], Awaitable[RouteResponse]]
    methods: tuple[str, ...] = ("GET",)


Kind: TypeAlias = (
    ProviderKind | TriggerKind | ConditionKind | CredentialStoreKind | NotifierKind | ExecutorKind | RouteKind
)
