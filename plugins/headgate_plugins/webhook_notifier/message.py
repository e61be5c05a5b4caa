"""The JSON body of an outgoing webhook, documented in docs/outgoing-webhooks.md; pure, and not how it is signed.

It is a shape of its own, not our `Build`: receivers keep working when we change ours, and what a build's
parameters hold is nobody's business outside.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from headgate import api


class StepNews(msgspec.Struct, frozen=True, kw_only=True):
    """One step."""

    name: str
    status: str
    exit_code: int | None


class BuildNews(msgspec.Struct, frozen=True, kw_only=True):
    """The build as it was when the news was made. Times are UTC, `repository` is `host/path`."""

    id: str
    job: str
    number: int
    state: str
    outcome: str | None
    reason: str
    trigger: str
    connection: str
    repository: str
    ref: str | None
    sha: str | None
    before: str | None
    change: int | None
    attempt: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[StepNews, ...]
    url: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body. It is the same on every try; `sequence` grows, so a receiver can tell late news from new."""

    type: Literal["build.queued", "build.running", "build.finished"]
    timestamp: datetime
    sequence: int
    data: BuildNews


_TYPES: dict[api.Phase, Literal["build.queued", "build.running", "build.finished"]] = {
    "queued": "build.queued",
    "running": "build.running",
    "finished": "build.finished",
}


def body_of(notification: api.Notification) -> bytes:
    """The body for one piece of news."""
    build = notification.build
    moments = {"queued": build.queued_at, "running": build.started_at, "finished": build.finished_at}
    return msgspec.json.encode(
        Message(
            type=_TYPES[notification.phase],
            timestamp=moments[notification.phase] or build.queued_at,
            sequence=notification.sequence,
            data=BuildNews(
                id=build.id,
                job=build.job,
                number=build.number,
                state=build.state,
                outcome=build.outcome,
                reason=build.reason,
                trigger=build.trigger,
                connection=build.connection,
                repository=str(build.repository),
                ref=build.ref,
                sha=build.sha,
                before=build.before,
                change=build.change,
                attempt=build.attempt,
                queued_at=build.queued_at,
                started_at=build.started_at,
                finished_at=build.finished_at,
                steps=tuple(
                    StepNews(name=step.name, status=step.status, exit_code=step.exit_code) for step in build.steps
                ),
                url=notification.url,
            ),
        )
    )
