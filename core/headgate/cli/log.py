"""`headgate log`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from headgate.cli.builds import find_build, label
from headgate.cli.client import Client, client_of
from headgate.cli.endings import ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import log_text, note, outcome, paint, say

app = typer.Typer()


@app.command()
def log(
    context: typer.Context,
    build: Annotated[str, typer.Argument(metavar="BUILD", help="As job#12 or by id.")],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the build ends.")] = False,
) -> None:
    """Print a build's log, with -f as it is written.

    With -f the exit code says how the build ended: 0 when it succeeded, 1 otherwise.
    """
    call = Invocation.of(context)
    client = client_of(call)
    found = find_build(client, build)
    if follow:
        raise typer.Exit(follow_log(client, found, as_json=call.json))
    if call.json:
        print_events(client, found)
        return
    for line in client.lines(f"builds/{found['id']}/log"):
        say(log_text(line))


def follow_log(client: Client, build: Mapping[str, Any], *, as_json: bool) -> ExitCode:
    """Print a build's log until it ends; gives the exit code that tells how."""
    print_events(client, build) if as_json else _print_lines(client, build)
    ended = client.get(f"builds/{build['id']}")
    if not as_json:
        note(f"{label(ended)} {outcome(ended)}: {ended['reason']}")
    return ExitCode.OK if ended["outcome"] == "succeeded" else ExitCode.NO


def print_events(client: Client, build: Mapping[str, Any]) -> None:
    """The log as JSON lines: `{"t": milliseconds, "step": index, "text": …}`."""
    import json

    for name, content in client.events(f"builds/{build['id']}/log/stream"):
        if name == "end":
            return
        print(json.dumps(content, ensure_ascii=False), flush=True)


def _print_lines(client: Client, build: Mapping[str, Any]) -> None:
    for name, content in client.events(f"builds/{build['id']}/log/stream"):
        if name == "end":
            return
        clock = f"{content['t'] / 1000:8.2f}"
        print(f"{paint(clock, 'dim')}  {log_text(content['text'])}", flush=True)
