"""One numbered execution of a job: state on one axis, outcome on the other; not how it is queued or run."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

from headgate.api.events import Repository


class State(StrEnum):
    """Where a build stands."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


class Outcome(StrEnum):
    """How a finished build ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A step said no."""
    ERRORED = "errored"
    """We broke: no checkout, no executor, no disk."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    LOST = "lost"
    """The worker died while it ran, and the job asks for no retry."""


Isolation: TypeAlias = Literal["bubblewrap", "none"]


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one step ended. `exit_code` is `None` when it never ran or was ended by us; times are aware UTC."""

    name: str
    status: Literal["succeeded", "failed", "skipped", "cancelled", "timed_out"]
    exit_code: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A build as everybody sees it. Times are aware UTC; `number` counts from 1 within its job.

    `parameters` are validated values as text; those of type password show as `***` everywhere but in the
    build itself. `definition` is the content hash of the job as it was when the build was planned.
    """

    id: str
    job: str
    number: int
    state: State
    outcome: Outcome | None
    reason: str
    """Why it is as it is, for a person: what queued it, or what ended it."""
    trigger: str
    """The trigger that asked for it: `push`, `poll`, `manual`, …"""
    connection: str
    repository: Repository
    ref: str | None
    """The full ref, `None` when only a sha was asked for."""
    sha: str | None
    """The commit; `None` until the checkout resolves it, for a manual build of a branch."""
    before: str | None
    change: int | None
    definition: str
    parameters: dict[str, str]
    priority: int
    event_id: str
    decision_id: str
    delivery_id: str | None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    worker: str | None = None
    isolation: Isolation | None = None
    steps: tuple[StepResult, ...] = ()

    @property
    def label(self) -> str:
        """`web-tests #12`, as people say it."""
        return f"{self.job} #{self.number}"
