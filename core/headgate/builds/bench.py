"""What an executor is lent for one build: its log, its progress, and processes that end; not the build itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from headgate import api
from headgate.builds.lease import Lease
from headgate.builds.log_writer import LogWriter
from headgate.builds.processes import Processes
from headgate.builds.sandbox import Sandbox


class BuildBench:
    """One build's bench (`headgate.api.Bench`). It also remembers, for the host, what runs and how it is isolated."""

    def __init__(
        self,
        *,
        own: Path,
        lease: Lease,
        log: LogWriter,
        steps: Sequence[api.Step],
        processes: Processes,
        sandbox: Sandbox,
        publish: Callable[[Sequence[api.StepResult]], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        """`own`: the build's folder; `publish` raises `QueueError` when the build is no longer ours."""
        self._own = own
        self._lease = lease
        self._log = log
        self._numbers = {step.name: number for number, step in enumerate(steps, 1)}
        self._processes = processes
        self._sandbox = sandbox
        self._publish = publish
        self._now = now
        self.reported: tuple[api.StepResult, ...] = ()
        self.running: dict[str, datetime] = {}
        self.isolation: api.Isolation | None = None
        self._closed = False

    def close(self) -> None:
        """The build has ended; an executor that goes on all the same can start nothing more."""
        self._closed = True

    def say(self, text: str) -> None:
        """One line of ours."""
        self._log.say(text)

    async def report(self, steps: Sequence[api.StepResult]) -> None:
        """Publish how far it is."""
        self.reported = tuple(steps)
        await self._publish(self.reported)

    async def run(
        self,
        argv: Sequence[str],
        *,
        step: str,
        environment: Mapping[str, str],
        directory: Path,
        isolation: api.IsolationRule,
        readable: Sequence[Path] = (),
    ) -> api.Exit:
        """Run one process to its end, with its tree."""
        if self._closed:
            raise api.QueueError("the build has ended")
        chosen = self._sandbox.choose(isolation)
        if self.isolation is None:
            self.say(self._isolated(chosen, isolation))
        self.isolation = chosen
        if chosen == "bubblewrap":
            argv = self._sandbox.wrap(argv, own=self._own, directory=directory, readable=readable)
            # The same folder under its short name: a socket's path may have no more than 107 bytes.
            environment = {**environment, "TMPDIR": "/tmp"}  # noqa: S108 - the build's own
        number = self._numbers.setdefault(step, len(self._numbers) + 1)
        self.running[step] = self._now()
        try:
            code = await self._processes.run(
                argv,
                environment=environment,
                directory=directory,
                output=lambda data: self._log.write(number, data),
                wrapped=chosen == "bubblewrap",
                lease=self._lease,
            )
        finally:
            self._log.end(number)
        # Left in `running` when it was ended before its time: the host tells what became of it.
        del self.running[step]
        return api.Exit(code=code, isolation=chosen)

    def _isolated(self, chosen: api.Isolation, rule: api.IsolationRule) -> str:
        if chosen == "bubblewrap":
            return "isolated with bubblewrap"
        why = "as configured" if rule == "none" else self._sandbox.problem
        return f"not isolated ({why}): steps have the server's own rights"
