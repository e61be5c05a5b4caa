"""`headgate cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate.cli.builds import find_build, label
from headgate.cli.client import client_of
from headgate.cli.invocation import Invocation
from headgate.cli.output import outcome, say, write_json

app = typer.Typer()


@app.command()
def cancel(
    context: typer.Context,
    build: Annotated[str, typer.Argument(metavar="BUILD", help="As job#12 or by id.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who look at the build later.")] = "",
) -> None:
    """Cancel a build that waits or runs."""
    call = Invocation.of(context)
    client = client_of(call)
    found = find_build(client, build)
    after = client.post(f"builds/{found['id']}/cancel", {"reason": reason})
    if call.json:
        write_json(after)
    elif after["state"] == "running":
        say(f"{label(after)} is being stopped")
    elif found["state"] == "finished":
        say(f"{label(after)} had already ended: {outcome(after)}")
    else:
        say(f"{label(after)} is {outcome(after)}")
