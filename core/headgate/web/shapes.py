"""What the API's JSON looks like where it is not a domain value as it stands; not how it is asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from headgate.api import Build, Problem, Source
from headgate.plugins import PluginReport
from headgate.plugins.health import PluginHealth
from headgate.storage.deliveries import DeliverySummary
from headgate.storage.explanations import ExplainedEvent
from headgate.telemetry.health import Status
from headgate.web.access import Permission

Cursor = Annotated[str, msgspec.Meta(pattern=r"^[a-z]_[0-9a-v]{26}$", description="`next` of the page before.")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="How many at most.")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Sha = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$", description="A full commit id.")]


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes in is closed: an argument we do not know is a misspelling, not a wish for the future."""


class LastBuild(msgspec.Struct, frozen=True, kw_only=True):
    """How a job's newest build stands."""

    id: str
    number: int
    state: str
    outcome: str | None
    queued_at: datetime
    finished_at: datetime | None


class TriggerShape(msgspec.Struct, frozen=True, kw_only=True):
    """What starts a job, in a list."""

    kind: str


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list."""

    name: str
    description: str
    source: Source
    triggers: tuple[TriggerShape, ...]
    executor: str
    file: str
    line: int
    definition: str
    last_build: LastBuild | None


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs by name; `problems` are all that is wrong with job files right now, on every page."""

    items: tuple[JobSummary, ...]
    next: str | None
    problems: tuple[Problem, ...]


class RunRequest(Closed, frozen=True, kw_only=True):
    """What to build. `sha` wins over `ref`; neither: the default branch. Values of `parameters` are text."""

    ref: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    sha: Sha | None = None
    parameters: dict[str, str] = {}
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class CancelRequest(Closed, frozen=True, kw_only=True):
    """Why, for those who look at the build later."""

    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class BuildPage(msgspec.Struct, frozen=True, kw_only=True):
    """Builds, newest first."""

    items: tuple[Build, ...]
    next: str | None


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, newest first."""

    items: tuple[DeliverySummary, ...]
    next: str | None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A header or a query argument; both may be there more than once."""

    name: str
    value: str


class DeliveryDetail(DeliverySummary, frozen=True, kw_only=True):
    """The evidence. Exactly one of `body` (UTF-8) and `body_base64` is set; signatures and tokens show as `***`."""

    method: str
    hook: str
    remote: str
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    body: str | None
    body_base64: str | None


class ExplanationShape(msgspec.Struct, frozen=True, kw_only=True):
    """Why. `build` is the one that was asked about; `builds` are all that the decisions name."""

    delivery: DeliverySummary | None
    build: Build | None
    events: tuple[ExplainedEvent, ...]
    builds: tuple[Build, ...]


class PluginShape(PluginReport, frozen=True, kw_only=True):
    """One entry point. `health` is how it has behaved since the server started, of those that are loaded."""

    health: PluginHealth | None = None


class PluginList(msgspec.Struct, frozen=True, kw_only=True):
    """Every installed plugin, broken ones with their reason."""

    items: tuple[PluginShape, ...]


class ConnectionShape(msgspec.Struct, frozen=True, kw_only=True):
    """A configured connection. `problem` says why it is not open; `webhook_url` is where a provider posts to."""

    name: str
    provider: str
    open: bool
    problem: str
    capabilities: tuple[str, ...]
    webhook_url: str


class ConnectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Connections by name."""

    items: tuple[ConnectionShape, ...]
    next: str | None


class ProviderShape(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of Git hosting that can be configured. `type` is what a connection says under `provider`."""

    type: str
    name: str
    description: str
    credential_types: tuple[str, ...]
    features: tuple[str, ...]
    status: Literal["stable", "experimental"]


class ProviderList(msgspec.Struct, frozen=True, kw_only=True):
    """The kinds of Git hosting, by name."""

    items: tuple[ProviderShape, ...]


class NotificationShape(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of news and whether it was told."""

    id: str
    build_id: str
    job: str
    number: int
    notifier: str
    phase: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    last_error: str | None


class NotificationPage(msgspec.Struct, frozen=True, kw_only=True):
    """News, newest first."""

    items: tuple[NotificationShape, ...]
    next: str | None


class ComponentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the server, without the reason: anybody may see this."""

    name: str
    status: Status


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether work may be sent here."""

    ready: bool
    status: Status
    components: tuple[ComponentStatus, ...]


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Status
    version: str


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token this is, and what it may."""

    name: str
    via: str
    permissions: tuple[Permission, ...]


class LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a log. `t` is milliseconds since the build began, `step` its index."""

    t: int
    step: int
    text: str
