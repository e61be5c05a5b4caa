"""`headgate log`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from headgate.cli.builds import find_build, label
from headgate.cli.client import Client, Silence, client_of
from headgate.cli.endings import ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import json_text, log_text, note, outcome, paint, plain, say
from headgate.telemetry.plain import attributed

app = typer.Typer()

_PATIENCE: Final = 30.0
"""Seconds to wait for a server that went away while its log was followed."""
_PAUSE: Final = 0.5


@app.command()
def log(
    context: typer.Context,
    build: Annotated[str, typer.Argument(metavar="BUILD", help="As job#12 or by id.")],
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the build ends.")] = False,
) -> None:
    """Print a build's log, with -f as it is written.

    With --json each line is an object with its time in milliseconds, its step and its text. With -f the exit code says how the build ended: 0 when it succeeded, 1 otherwise.
    """
    call = Invocation.of(context)
    client = client_of(call)
    found = find_build(client, build)
    if follow:
        raise typer.Exit(follow_log(client, found, as_json=call.json))
    if call.json:
        print_events(client, found)
        return
    written = False
    for line in client.lines(f"builds/{found['id']}/log"):
        written = True
        say(log_text(line))
    if not written:
        note(_why_empty(found))


def follow_log(client: Client, build: Mapping[str, Any], *, as_json: bool) -> ExitCode:
    """Print a build's log until it ends; gives the exit code that tells how."""
    print_events(client, build) if as_json else _print_lines(client, build)
    ended = client.get(f"builds/{build['id']}")
    if not as_json:
        note(f"{label(ended)} {outcome(ended)}: {plain(ended['reason'])}")
    return ExitCode.OK if ended["outcome"] == "succeeded" else ExitCode.NO


def _why_empty(build: Mapping[str, Any]) -> str:
    """Why a build has no log."""
    if build["state"] == "queued":
        return f"{label(build)} has no log yet: it waits for its turn"
    if build["started_at"] is None:
        return f"{label(build)} has no log: it never started ({outcome(build)}: {plain(build['reason'])})"
    return f"the log of {label(build)} is empty"


def print_events(client: Client, build: Mapping[str, Any]) -> None:
    """The log as JSON lines: `{"t": milliseconds, "step": index, "text": …}`."""
    for line in _lines(client, build):
        print(json_text(line), flush=True)


def _print_lines(client: Client, build: Mapping[str, Any]) -> None:
    for line in _lines(client, build):
        clock = f"{line['t'] / 1000:8.2f}"
        text = attributed(line["text"], ours=line["step"] == 0)
        print(f"{paint(clock, 'dim')}  {log_text(text)}", flush=True)


def _lines(client: Client, build: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every line once, until the build ends; a server that restarts meanwhile is waited for."""
    seen, heard = 0, 0.0
    while True:
        try:
            for name, content in client.events(f"builds/{build['id']}/log/stream", {"from": seen}):
                heard = time.monotonic()
                if name == "end":
                    return
                if name == "line":
                    seen += 1
                    yield content
            note("the stream was cut; going on where it ended")
        except Silence:
            if time.monotonic() - heard > _PATIENCE:
                raise
        time.sleep(_PAUSE)
