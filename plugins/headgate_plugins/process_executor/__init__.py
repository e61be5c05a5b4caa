"""Runs each step of a build as a process of this machine, isolated where the machine can; not in a container.

A step is one shell: `/bin/bash -euo pipefail -c <script>` where there is a bash, else `/bin/sh -eu -c <script>`, so
that the first command that fails, an unset variable and (with bash) a broken pipe end the step. The script is an
argument and can be seen by `ps`; values reach it as environment only and are never written into it.

Steps run in order. The first that fails ends the build, but steps with `always: true` still run; one of those that
fails makes the build fail too. What a step leaves running ends with it. After a timeout or a cancellation it is
the host that lets `always` steps run, for a minute (docs/builds.md).
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from headgate import api

HEADGATE_API = 1

BASH = ("/bin/bash", "-euo", "pipefail")
SH = ("/bin/sh", "-eu")

SCHEMA: api.Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "isolation": {
            "enum": ["required", "auto", "none"],
            "default": "auto",
            "description": "Whether steps run in bubblewrap: `required` refuses to build without it, `auto` uses it "
            "where it works, `none` never does. Each build shows what it got.",
        },
        "shell": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "description": "What runs a step's script, which is added after `-c`. "
            'Default: ["/bin/bash", "-euo", "pipefail"], or ["/bin/sh", "-eu"] where there is no bash.',
        },
        "readable": {
            "type": "array",
            "items": {"type": "string", "format": "path"},
            "default": [],
            "description": "Further folders that isolated steps may read (tool chains outside /usr and /opt). "
            "The server's own places stay hidden.",
        },
    },
}


class ProcessExecutor:
    """Runs the steps of one build after another's, or of several at once."""

    def __init__(
        self, host: api.Host, *, isolation: api.IsolationRule, shell: Sequence[str], readable: Sequence[Path]
    ) -> None:
        """`shell`: what a script is handed to with `-c`."""
        self._host = host
        self._isolation = isolation
        self._shell = tuple(shell)
        self._readable = tuple(readable)

    async def run(self, work: api.Work, bench: api.Bench) -> api.Result:
        """Run the steps, and say after each how far it is."""
        steps: list[api.StepResult] = []
        reason: str | None = None
        isolation: api.Isolation | None = None
        for number, step in enumerate(work.steps, 1):
            if reason is not None and not step.always:
                steps.append(api.StepResult(name=step.name, status="skipped"))
                continue
            bench.say(f"step {number}/{len(work.steps)}: {step.name}")
            result, exit_ = await self._step(step, work, bench)
            isolation = exit_.isolation
            steps.append(result)
            if exit_.code != 0:
                failure = f"step “{step.name}” {ended(exit_.code)}"
                bench.say(failure)
                reason = reason or failure
            if number < len(work.steps):
                await bench.report(steps)
        return api.Result(
            outcome=api.Outcome.SUCCEEDED if reason is None else api.Outcome.FAILED,
            reason=reason or _all_well(len(steps)),
            steps=tuple(steps),
            isolation=isolation,
        )

    async def _step(self, step: api.Step, work: api.Work, bench: api.Bench) -> tuple[api.StepResult, api.Exit]:
        started_at = self._host.now()
        exit_ = await bench.run(
            [*self._shell, "-c", step.run],
            step=step.name,
            environment=work.environment,
            directory=work.workspace,
            isolation=self._isolation,
            readable=self._readable,
        )
        result = api.StepResult(
            name=step.name,
            status="succeeded" if exit_.code == 0 else "failed",
            exit_code=exit_.code,
            started_at=started_at,
            finished_at=self._host.now(),
        )
        return result, exit_


def ended(code: int) -> str:
    """How a process ended, for a person: `failed with exit code 2`, `was ended by SIGKILL`."""
    number = -code if code < 0 else code - 128
    known = {each.value: each.name for each in signal.Signals}
    if code < 0:
        return f"was ended by {known.get(number, f'signal {number}')}"
    meaning = f" ({known[number]})" if number in known else ""
    return f"failed with exit code {code}{meaning}"


def _all_well(count: int) -> str:
    return "the step succeeded" if count == 1 else f"all {count} steps succeeded"


def default_shell() -> tuple[str, ...]:
    """Bash where there is one, for `pipefail`; the system's shell elsewhere."""
    return BASH if Path(BASH[0]).exists() else SH


@asynccontextmanager
async def open_executor(config: Mapping[str, Any], host: api.Host) -> AsyncIterator[ProcessExecutor]:
    """An executor with the block under `executors.process`."""
    yield ProcessExecutor(
        host,
        isolation=config.get("isolation", "auto"),
        shell=config.get("shell") or default_shell(),
        readable=[Path(path) for path in config.get("readable", ())],
    )


@api.hookimpl
def headgate_executors() -> Iterable[api.ExecutorKind]:
    """One kind: `process`."""
    yield api.ExecutorKind(
        name="process",
        summary="Steps as processes of this machine, isolated with bubblewrap where it works",
        schema=SCHEMA,
        open=open_executor,
    )
