"""What a job may write under `conditions:`: all must pass, after a trigger matched."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headgate.api.rules import Subject, Verdict


@runtime_checkable
class Condition(Protocol):
    """One compiled block. As pure as a trigger."""

    @property
    def needs_paths(self) -> bool:
        """Whether `judge` looks at `changed_paths`."""

    def judge(self, subject: Subject) -> Verdict:
        """Whether the build may happen."""
