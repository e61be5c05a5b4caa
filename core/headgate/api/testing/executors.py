"""What every executor keeps, with a bench that really runs processes; not how it isolates them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from headgate import api
from headgate.api.testing.kit import ContractHost, sample_build


class ExecutorContract:
    """What every executor keeps, with a bench that really runs the processes it is asked for."""

    kind: ClassVar[api.ExecutorKind]
    settings: ClassVar[Mapping[str, Any]] = {}

    def run(self, folder: Path, *steps: api.Step) -> tuple[api.Result, str]:
        """The result and the log of a build of `steps`."""
        bench = PlainBench()
        work = api.Work(
            build=sample_build(state="running"),
            steps=steps,
            environment={"PATH": "/usr/bin:/bin", "GREETING": "hello"},
            workspace=folder,
            deadline=60.0,
        )

        async def story() -> api.Result:
            async with self.kind.open(self.settings, ContractHost({})) as executor:
                return await executor.run(work, bench)

        return asyncio.run(story()), bench.log

    def test_runs_steps_in_order_in_the_workspace(self, tmp_path: Path) -> None:
        """What one step leaves, the next finds; variables arrive."""
        make = api.Step(name="make", run='printf "%s\\n" "$GREETING" > made')
        result, log = self.run(tmp_path, make, api.Step(name="use", run="cat made"))
        assert result.outcome is api.Outcome.SUCCEEDED
        assert [step.status for step in result.steps] == ["succeeded", "succeeded"]
        assert "hello" in log

    def test_stops_at_the_first_failure(self, tmp_path: Path) -> None:
        """The rest is skipped, but for what always runs."""
        result, log = self.run(
            tmp_path,
            api.Step(name="no", run="exit 3"),
            api.Step(name="never", run="echo unreachable"),
            api.Step(name="cleanup", run="echo tidy", always=True),
        )
        assert result.outcome is api.Outcome.FAILED
        assert [step.status for step in result.steps] == ["failed", "skipped", "succeeded"]
        assert [step.exit_code for step in result.steps] == [3, None, 0]
        assert "tidy" in log
        assert "unreachable" not in log


class PlainBench:
    """A bench without a sandbox: it runs what it is asked to and keeps what was printed."""

    def __init__(self) -> None:
        """An empty log."""
        self.log = ""

    def say(self, text: str) -> None:
        """Into the log."""
        self.log += text + "\n"

    async def report(self, steps: Sequence[api.StepResult]) -> None:
        """Nobody watches."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        step: str,  # noqa: ARG002 - the log is not framed here
        environment: Mapping[str, str],
        directory: Path,
        isolation: api.IsolationRule,  # noqa: ARG002 - there is none
        readable: Sequence[Path] = (),  # noqa: ARG002 - everything is
    ) -> api.Exit:
        """One process, to its end."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        self.log += output.decode(errors="replace")
        return api.Exit(code=process.returncode or 0, isolation="none")
