"""`headgate deliveries`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import client_of
from headgate.cli.invocation import Invocation
from headgate.cli.output import Tone, ago, paint, plain, say, table, write_json

app = typer.Typer()

_TONES: Mapping[str, Tone] = {"routed": "green", "ignored": "dim", "unreadable": "red", "recorded": "cyan"}


@app.command()
def deliveries(
    context: typer.Context,
    connection: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this connection.")] = None,
    state: Annotated[
        Literal["recorded", "routed", "ignored", "unreadable"] | None,
        typer.Option(metavar="STATE", help="Only recorded, routed, ignored or unreadable ones."),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many.")] = 20,
) -> None:
    """List the webhooks that arrived, newest first."""
    call = Invocation.of(context)
    found = client_of(call).items("deliveries", {"connection": connection, "state": state}, limit=limit)
    if call.json:
        write_json(found)
    elif found:
        table(("delivery", "state", "connection", "event", "arrived", "why"), [_row(one) for one in found])
    elif connection or state:
        say("no such deliveries; without --connection and --state, all are listed")
    else:
        say("no deliveries yet; `headgate connections` shows the URL a provider must post to")


def state_word(delivery: Mapping[str, Any]) -> str:
    """Its state in its colour."""
    word = str(delivery["state"])
    return paint(word, _TONES[word]) if word in _TONES else plain(word)


def _row(delivery: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        plain(delivery["id"]),
        state_word(delivery),
        plain(delivery["connection"]),
        plain(delivery["event"] or "-"),
        ago(delivery["received_at"]),
        plain(delivery["reason"]),
    )
