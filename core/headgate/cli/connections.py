"""`headgate connections`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from headgate.cli.client import client_of
from headgate.cli.invocation import Invocation
from headgate.cli.output import paint, plain, say, table, write_json

app = typer.Typer()

_ALL = 10_000


@app.command()
def connections(context: typer.Context) -> None:
    """List the configured connections and their webhook URLs."""
    call = Invocation.of(context)
    found = client_of(call).items("connections", limit=_ALL)
    if call.json:
        write_json(found)
    elif found:
        table(("connection", "state", "provider", "can", "webhooks go to"), [_row(one) for one in found])
        for one in found:
            if one["problem"]:
                say(f"{plain(one['name'])}: {plain(one['problem'])}")
    else:
        say("no connections yet; add one under `connections:` in the configuration")


def _row(connection: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        plain(connection["name"]),
        paint("open", "green") if connection["open"] else paint("not open", "red"),
        plain(connection["provider"]),
        plain(", ".join(connection["capabilities"])),
        plain(connection["webhook_url"]),
    )
