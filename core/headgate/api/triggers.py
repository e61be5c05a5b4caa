"""What a job may write under `triggers:`; pure, so that `headgate plan` and `replay` judge as the server does."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from headgate.api.rules import Subject, Verdict


@runtime_checkable
class Trigger(Protocol):
    """One compiled block. No I/O, no clock, no state: called in any order, any number of times."""

    @property
    def needs_paths(self) -> bool:
        """Whether `match` looks at `changed_paths`; the host fetches them only then."""

    def match(self, subject: Subject) -> Verdict | None:
        """Whether this event asks for a build; `None`: events of this type do not concern it."""


class PollPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How often and for what to ask. Exactly one of `every` (seconds) and `cron` is set.

    `cron` has five fields and may use `H`, a number that is stable for a repository and spreads the load.
    `ref_prefixes` are what the question is narrowed to (`refs/heads/main`, `refs/heads/release/`);
    `HEAD` is the default branch, whatever its name.
    """

    every: float | None = None
    cron: str | None = None
    ref_prefixes: tuple[str, ...] = ("refs/heads/",)


@runtime_checkable
class Polls(Protocol):
    """A trigger that wants its repository to be asked regularly."""

    def poll_plan(self) -> PollPlan:
        """How often and for what to ask."""
