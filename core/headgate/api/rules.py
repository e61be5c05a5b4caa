"""What triggers and conditions judge, and what they answer: pure values in, a verdict with its reasons out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from headgate.api.events import Event

Observer: TypeAlias = Literal["webhook", "poll", "stream", "clock", "person", "build"]
"""The door a fact came through."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """All that a rule may look at. `now` is aware UTC.

    `changed_paths` is `None` when nobody asked for them or they could not be learned; `paths_problem` then
    says why. `first_seen`: the ref was there before we first looked at the repository. `default_branch` is
    the short name, where the observer knows it.
    """

    event: Event
    observer: Observer
    now: datetime
    first_seen: bool = False
    default_branch: str | None = None
    changed_paths: tuple[str, ...] | None = None
    paths_problem: str | None = None
    message: str | None = None
    """The head commit's message, or a change request's title."""
    author: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule said. `rule` is the key path in the job file (`triggers.push.branches`).

    `compared` holds the values it compared, as JSON: what was expected and what was found, so that `explain`
    can show them. `reason` is one sentence without the values' proof: "branch `dev` matches none of the patterns".
    """

    passed: bool
    rule: str
    reason: str
    compared: dict[str, Any] = {}
