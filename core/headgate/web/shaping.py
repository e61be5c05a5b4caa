"""From domain values to the API's JSON, without what must not be shown; not the JSON's form (`shapes`)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from headgate.api import Build, Job, Manual
from headgate.storage.deliveries import DeliveryRecord
from headgate.storage.explanations import ExplainedEvent, Explanation
from headgate.storage.notifications import NotificationRecord
from headgate.web.shapes import (
    DeliveryDetail,
    ExplanationShape,
    JobSummary,
    LastBuild,
    NotificationShape,
    Pair,
    TriggerShape,
)

Redact: TypeAlias = Callable[[str], str]

MASK: Final = "***"

SENSITIVE: Final = re.compile(r"auth|cookie|key|passw|secret|session|signature|token", re.IGNORECASE)
"""A header or query argument with such a name is never shown."""


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


def delivery_detail(record: DeliveryRecord, redact: Redact) -> DeliveryDetail:
    """All of a delivery but what could be used to forge another one."""
    delivery = record.delivery
    try:
        text, raw = delivery.body.decode(), None
    except UnicodeDecodeError:
        text, raw = None, base64.b64encode(delivery.body).decode()
    return DeliveryDetail(
        **msgspec.structs.asdict(record.summary),
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
        delivery=None if explanation.delivery is None else explanation.delivery.summary,
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


def _explained(one: ExplainedEvent) -> ExplainedEvent:
    record = one.event
    if isinstance(record.event, Manual) and record.event.parameters:
        # The flow masks passwords before it keeps an event. Nothing is lost by not relying on it: the build shows the rest.
        hidden = dict.fromkeys(record.event.parameters, MASK)
        record = msgspec.structs.replace(record, event=msgspec.structs.replace(record.event, parameters=hidden))
        return msgspec.structs.replace(one, event=record)
    return one
