"""What the API's JSON looks like where it is not a domain value as it stands; not how it is asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

from headgate.api import Build, Delivery, Job, Manual, Problem, Source
from headgate.plugins import PluginReport
from headgate.routing.explain import ExplainedEvent, Explanation
from headgate.storage.decisions import Decision
from headgate.storage.deliveries import DeliveryRecord, DeliveryState, DeliverySummary
from headgate.storage.events import EventRecord
from headgate.storage.notifications import NotificationRecord
from headgate.storage.pages import Page
from headgate.storage.refs import Transition
from headgate.telemetry.health import Status
from headgate.web.access import Permission

Cursor = Annotated[str, msgspec.Meta(pattern=r"^[a-z]_[0-9a-v]{26}$", description="`next` of the page before.")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="How many at most.")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Sha = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$", description="A full commit id.")]
Redact = Callable[[str], str]

MASK: Final = "***"

SENSITIVE: Final = re.compile(r"auth|cookie|key|passw|secret|session|signature|token", re.IGNORECASE)
"""A header or query argument with such a name is never shown."""


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


class DeliveryShape(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery in a list."""

    id: str
    connection: str
    received_at: datetime
    key: str | None
    event: str | None
    state: DeliveryState
    reason: str
    settled_at: datetime | None
    replay_of: str | None


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, newest first."""

    items: tuple[DeliveryShape, ...]
    next: str | None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A header or a query argument; both may be there more than once."""

    name: str
    value: str


class DeliveryDetail(DeliveryShape, frozen=True, kw_only=True):
    """The evidence. Exactly one of `body` (UTF-8) and `body_base64` is set; signatures and tokens show as `***`."""

    method: str
    hook: str
    remote: str
    query: tuple[Pair, ...]
    headers: tuple[Pair, ...]
    body: str | None
    body_base64: str | None


class ExplainedEventShape(msgspec.Struct, frozen=True, kw_only=True):
    """One event, what moved because of it, and what every job of its repository said to that."""

    event: EventRecord
    transition: Transition | None
    decisions: tuple[Decision, ...]


class ExplanationShape(msgspec.Struct, frozen=True, kw_only=True):
    """Why. `build` is the one that was asked about; `builds` are all that the decisions name."""

    delivery: DeliveryShape | None
    build: Build | None
    events: tuple[ExplainedEventShape, ...]
    builds: tuple[Build, ...]


class PluginList(msgspec.Struct, frozen=True, kw_only=True):
    """Every installed plugin, broken ones with their reason."""

    items: tuple[PluginReport, ...]


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
    """A kind of Git hosting that can be configured."""

    name: str
    summary: str
    capabilities: tuple[str, ...]
    credential_types: tuple[str, ...]


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


def job_summary(job: Job, last: Build | None) -> JobSummary:
    """A job in a list."""
    return JobSummary(
        name=job.name,
        description=job.description,
        source=job.source,
        triggers=tuple(TriggerShape(kind=block.kind) for block in job.triggers),
        executor=job.run.executor,
        file=job.file,
        line=job.line,
        definition=job.definition,
        last_build=None
        if last is None
        else LastBuild(
            id=last.id,
            number=last.number,
            state=last.state,
            outcome=last.outcome,
            queued_at=last.queued_at,
            finished_at=last.finished_at,
        ),
    )


def delivery_page(page: Page[DeliverySummary]) -> DeliveryPage:
    """A page of deliveries."""
    return DeliveryPage(
        items=tuple(DeliveryShape(**msgspec.structs.asdict(item)) for item in page.items), next=page.next
    )


def delivery_detail(record: DeliveryRecord, redact: Redact) -> DeliveryDetail:
    """All of a delivery but what could be used to forge another one."""
    delivery = record.delivery
    try:
        text, raw = delivery.body.decode(), None
    except UnicodeDecodeError:
        text, raw = None, base64.b64encode(delivery.body).decode()
    return DeliveryDetail(
        **msgspec.structs.asdict(_delivery_shape(record)),
        method=delivery.method,
        hook=delivery.hook,
        remote=delivery.remote,
        query=masked(delivery.query),
        headers=masked(delivery.headers),
        body=None if text is None else redact(text),
        body_base64=raw,
    )


def masked(pairs: Sequence[tuple[str, str]]) -> tuple[Pair, ...]:
    """Names and values, with the values of telling names as `***`."""
    return tuple(Pair(name=name, value=MASK if SENSITIVE.search(name) else value) for name, value in pairs)


def explanation_shape(explanation: Explanation, build: Build | None = None) -> ExplanationShape:
    """An explanation without the delivery's body, which has a page of its own."""
    return ExplanationShape(
        delivery=None if explanation.delivery is None else _delivery_shape(explanation.delivery),
        build=build,
        events=tuple(_explained(one) for one in explanation.events),
        builds=explanation.builds,
    )


def notification_shape(record: NotificationRecord) -> NotificationShape:
    """News without its options, which may hold a URL that is a secret in itself."""
    return NotificationShape(
        id=record.id,
        build_id=record.build_id,
        job=record.build.job,
        number=record.build.number,
        notifier=record.notifier,
        phase=record.phase,
        state=record.state,
        attempts=record.attempts,
        created_at=record.created_at,
        next_attempt_at=record.next_attempt_at,
        last_error=record.last_error,
    )


def webhook_url(public_url: str, connection: str) -> str:
    """Where a connection's provider posts to."""
    return f"{public_url}/webhooks/{connection}"


def _delivery_shape(record: DeliveryRecord) -> DeliveryShape:
    delivery: Delivery = record.delivery
    return DeliveryShape(
        id=delivery.id,
        connection=delivery.connection,
        received_at=delivery.received_at,
        key=record.key,
        event=record.event,
        state=record.state,
        reason=record.reason,
        settled_at=record.settled_at,
        replay_of=record.replay_of,
    )


def _explained(one: ExplainedEvent) -> ExplainedEventShape:
    record = one.event
    if isinstance(record.event, Manual) and record.event.parameters:
        # What was asked for by hand is not validated yet: any of these may be a password. The build shows them.
        hidden = dict.fromkeys(record.event.parameters, MASK)
        record = msgspec.structs.replace(record, event=msgspec.structs.replace(record.event, parameters=hidden))
    return ExplainedEventShape(event=record, transition=one.transition, decisions=one.decisions)
