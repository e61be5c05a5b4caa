"""What runs a build: a process here, a container or a cluster elsewhere; not the queue that hands it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from headgate.api.builds import Build, Isolation, Outcome, StepResult
from headgate.api.jobs import Step

IsolationRule: TypeAlias = Literal["required", "auto", "none"]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One build, ready to run: its steps, its environment (with secrets, revealed) and its workspace.

    `deadline` is in seconds from the call of `run`; the host ends the build by then whatever the executor does.
    """

    build: Build
    steps: tuple[Step, ...]
    environment: Mapping[str, str]
    workspace: Path
    deadline: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended; `reason` is one sentence for a person."""

    outcome: Outcome
    reason: str
    steps: tuple[StepResult, ...] = ()
    isolation: Isolation | None = None


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a process tree ended: exit code, negative for a signal."""

    code: int
    isolation: Isolation


class Bench(Protocol):
    """What the host lends an executor for one build. Everything written is masked, framed and capped."""

    def say(self, text: str) -> None:
        """One line of ours into the log, under no step."""

    async def report(self, steps: Sequence[StepResult]) -> None:
        """Publish how far the steps are; raises `QueueError` when this build is no longer ours (fenced)."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        step: str,
        environment: Mapping[str, str],
        directory: Path,
        isolation: IsolationRule,
        readable: Sequence[Path] = (),
    ) -> Exit:
        """Run one process to its end, its output streamed into the log under `step`.

        When it ends, is cancelled (`asyncio.CancelledError`) or this host dies, its whole tree ends with it.
        `readable` are further places an isolated process may read. Raises `QueueError` when isolation is
        required and this machine has none.
        """


@runtime_checkable
class Executor(Protocol):
    """Runs builds, several at once. Cancelling the task of `run` must end what runs for it."""

    async def run(self, work: Work, bench: Bench) -> Result:
        """Run the steps in order: the first failure stops, `always` steps still run. Never raises for a failed step."""
