"""`headgate run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from headgate.cli.builds import label
from headgate.cli.client import client_of, segment
from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.log import follow_log
from headgate.cli.output import say, write_json

app = typer.Typer()


@app.command()
def run(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--parameter",
            metavar="NAME[=VALUE]",
            help="A parameter; without a value it is asked for, unseen, or is the next line of standard input.",
        ),
    ] = None,
    *,
    ref: Annotated[
        str | None,
        typer.Option(metavar="REF", help="A branch, or a tag in full: refs/tags/v1; otherwise the default branch."),
    ] = None,
    sha: Annotated[str | None, typer.Option(metavar="SHA", help="The commit, in full; it wins over --ref.")] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who look at the build later.")] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Print its log until it ends.")] = False,
) -> None:
    """Queue a build of a job.

    With -f the exit code says how the build ended: 0 when it succeeded, 1 otherwise.
    """
    call = Invocation.of(context)
    client = client_of(call)
    asked = {"ref": ref, "sha": sha, "parameters": _read_parameters(parameters or ()), "reason": reason}
    wanted = {name: value for name, value in asked.items() if value}
    build = client.post(f"jobs/{segment(job)}/builds", {"parameters": {}, **wanted})
    if not follow:
        write_json(build) if call.json else say(f"queued {label(build)}; watch it: headgate log -f {label(build)}")
        return
    if not call.json:
        say(f"queued {label(build)}")
    raise typer.Exit(follow_log(client, build, as_json=call.json))


def _read_parameters(given: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as a mapping. A bare NAME is asked for: a password must not stand in a list of processes."""
    read: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not name:
            raise Ending(f"{text} is no parameter", code=ExitCode.INPUT, hint="write -p NAME=VALUE")
        if name in read:
            raise Ending(f"{name} is given twice", code=ExitCode.INPUT)
        read[name] = value if sign else _asked(name)
    return read


def _asked(name: str) -> str:
    """A value that is typed unseen, or the next line of what is piped in."""
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, err=True))
    line = sys.stdin.readline()
    if not line:
        raise Ending(
            f"{name} has no value", code=ExitCode.INPUT, hint="write -p NAME=VALUE, or pipe in a line for each"
        )
    return line.removesuffix("\n")
