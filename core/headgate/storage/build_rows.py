"""A build as the queue keeps it, and as a row; not how it moves from state to state (`builds`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from headgate.api import Build, Outcome, Repository, State
from headgate.storage.columns import storable
from headgate.storage.tables import builds, is_literally

QUEUED = is_literally(builds.c.state, State.QUEUED.value)
RUNNING = is_literally(builds.c.state, State.RUNNING.value)


class NewBuild(msgspec.Struct, frozen=True, kw_only=True):
    """A build to be planned. `sealed` holds its password parameters, encrypted; `parameters` shows them as `***`.

    `max_running` and `retries` are the job's as it was when the build was planned.
    """

    id: str
    job: str
    reason: str
    trigger: str
    connection: str
    repository: Repository
    repository_key: str
    ref: str | None
    sha: str | None
    before: str | None = None
    change: int | None = None
    definition: str
    parameters: dict[str, str] = {}
    sealed: dict[str, str] = {}
    priority: int = 50
    event_id: str
    decision_id: str
    delivery_id: str | None = None
    transition_id: str | None = None
    queued_at: datetime
    max_running: int | None = None
    retries: int = 0


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """`existing`: the same job had a build of the same ref transition already, and `build` is that one."""

    build: Build
    existing: bool


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A build in a worker's hands. What the worker writes counts only with this `fence`.

    `attempt` is in `build`; `retries` says how many more there may be after the first.
    """

    build: Build
    fence: int
    sealed: dict[str, str]
    transition_id: str | None
    repository_key: str
    retries: int = 0
    cancel_requested: bool = False


def row_of(new: NewBuild, number: int) -> dict[str, object]:
    """The row of a build that starts to wait."""
    row: dict[str, object] = {name: getattr(new, name) for name in NewBuild.__struct_fields__}
    return row | {
        "number": number,
        "rank": -new.priority,
        "reason": storable(new.reason),
        "state": State.QUEUED.value,
        "outcome": None,
        "started_at": None,
        "finished_at": None,
        "attempt": 0,
        "fence": 0,
        "worker": None,
        "lease_until": None,
        "cancel_requested": False,
        "begun": False,
        "isolation": None,
        "steps": (),
    }


def build_of(row: Mapping[Any, Any]) -> Build:
    """A row as everybody sees it."""
    values: dict[str, Any] = {name: row[name] for name in Build.__struct_fields__}
    values["state"] = State(values["state"])
    values["outcome"] = Outcome(values["outcome"]) if values["outcome"] else None
    return Build(**values)


def claimed_of(row: Mapping[Any, Any]) -> Claimed:
    """A row as its worker sees it."""
    return Claimed(
        build=build_of(row),
        fence=row["fence"],
        sealed=row["sealed"],
        transition_id=row["transition_id"],
        repository_key=row["repository_key"],
        retries=row["retries"],
        cancel_requested=row["cancel_requested"],
    )
