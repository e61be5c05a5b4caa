"""`headgate notifications`: what was told to whom, and telling it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import client_of, segment
from headgate.cli.invocation import Invocation
from headgate.cli.output import Tone, ago, paint, plain, say, table, write_json

app = typer.Typer()

_TONES: Mapping[str, Tone] = {"told": "green", "waiting": "cyan", "superseded": "dim", "dead": "red"}


@app.callback(invoke_without_command=True)
def notifications(
    context: typer.Context,
    state: Annotated[
        Literal["waiting", "told", "superseded", "dead"] | None,
        typer.Option(metavar="STATE", help="Only waiting, told, superseded or dead ones."),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many.")] = 20,
) -> None:
    """List what was told to whom, or tell it again."""
    if context.invoked_subcommand:
        return
    call = Invocation.of(context)
    found = client_of(call).items("notifications", {"state": state}, limit=limit)
    if call.json:
        write_json(found)
    elif found:
        table(("notification", "state", "by", "about", "tries", "next try", "last error"), [_row(one) for one in found])
    elif state:
        say(f"no notification is {state}; without --state, all are listed")
    else:
        say("nothing was told yet; a job says under `notify:` who hears of its builds")


@app.command()
def retry(
    context: typer.Context,
    notification: Annotated[str, typer.Argument(metavar="NOTIFICATION", help="The id of a dead one.")],
) -> None:
    """Try again to tell what was given up."""
    call = Invocation.of(context)
    after = client_of(call).post(f"notifications/{segment(notification)}/retry")
    write_json(after) if call.json else say(f"{notification} will be told again")


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    state = str(one["state"])
    return (
        plain(one["id"]),
        paint(state, _TONES[state]) if state in _TONES else plain(state),
        plain(one["notifier"]),
        plain(f"{one['phase']}: {one['job']}#{one['number']}"),
        str(one["attempts"]),
        ago(one["next_attempt_at"]) if state == "waiting" else "-",
        plain(one.get("last_error") or ""),
    )
