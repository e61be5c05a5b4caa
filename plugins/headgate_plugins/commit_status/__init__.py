"""Shows a build's state beside its commit; it knows no Git host, the connection's provider does the showing.

One line a commit and `context`: all states of a job's builds of one commit overwrite each other there, the
newest wins.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from headgate import api

HEADGATE_API = 1

SCHEMA: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "context": {
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "description": "The name of the line beside the commit; `headgate/<job>` when not given.",
        }
    },
}

_LONGEST_DESCRIPTION = 140
"""What GitHub shows; other hosts take more."""

_STATES: Mapping[api.Outcome, api.StatusState] = {
    api.Outcome.SUCCEEDED: "succeeded",
    api.Outcome.FAILED: "failed",
    api.Outcome.ERRORED: "errored",
    api.Outcome.TIMED_OUT: "failed",  # it may not be merged, and it is not we who broke
    api.Outcome.CANCELLED: "cancelled",
    api.Outcome.SUPERSEDED: "cancelled",
    api.Outcome.LOST: "errored",
}


class CommitStatusNotifier:
    """Stateless: everything is in the notification and the provider."""

    def wants(self, phase: api.Phase, build: api.Build, options: dict[str, Any]) -> bool:  # noqa: ARG002 - the protocol's signature
        """Every phase of a build whose commit is known."""
        return build.sha is not None

    def order_key(self, build: api.Build, options: dict[str, Any]) -> str:
        """The line that is overwritten."""
        line = (build.connection, str(build.repository), build.sha, _context(build, options))
        return json.dumps(["commit_status", *line])

    async def tell(self, notification: api.Notification, provider: api.Provider | None) -> None:
        """Set the status. A connection that is gone or cannot show states is final."""
        build = notification.build
        if provider is None:
            raise api.HeadgateError(f"the connection {build.connection} is gone from the configuration")
        if not isinstance(provider, api.ReportsStatus):
            raise api.HeadgateError(f"the connection {build.connection} cannot show a state beside a commit")
        if build.sha is None:
            raise api.HeadgateError("the build's commit is not known")
        await provider.report_status(build.repository, build.sha, status_of(notification))


def status_of(notification: api.Notification) -> api.CommitStatus:
    """What to show for a piece of news; pure."""
    build = notification.build
    text = f"{build.label} {_words(notification.phase, build)}"
    return api.CommitStatus(
        context=_context(build, notification.options),
        state=_state(notification.phase, build),
        description=text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…",
        url=notification.url,
    )


def _context(build: api.Build, options: Mapping[str, Any]) -> str:
    return str(options.get("context") or f"headgate/{build.job}")


def _state(phase: api.Phase, build: api.Build) -> api.StatusState:
    if phase == "finished":
        return _STATES[build.outcome] if build.outcome is not None else "errored"
    return phase


def _words(phase: api.Phase, build: api.Build) -> str:
    if phase == "queued":
        return "waits for a free slot"
    if phase == "running":
        return "is running"
    outcome = (build.outcome or api.Outcome.ERRORED).replace("_", " ")
    took = _duration(build)
    reason = f": {build.reason}" if build.reason and build.outcome != api.Outcome.SUCCEEDED else ""
    return f"{outcome}{f' after {took}' if took else ''}{reason}"


def _duration(build: api.Build) -> str:
    if build.started_at is None or build.finished_at is None:
        return ""
    seconds = int((build.finished_at - build.started_at).total_seconds())
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


@asynccontextmanager
async def open_notifier(config: Mapping[str, Any], host: api.Host) -> AsyncIterator[CommitStatusNotifier]:  # noqa: ARG001 - the protocol's signature
    """Nothing to open."""
    yield CommitStatusNotifier()


@api.hookimpl
def headgate_notifiers() -> Iterable[api.NotifierKind]:
    """One kind: `commit_status`."""
    yield api.NotifierKind(
        name="commit_status",
        summary="Shows a build's state beside its commit",
        schema=SCHEMA,
        open=open_notifier,
        needs=("status",),
    )
