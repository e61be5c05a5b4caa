"""`headgate migrate`: the database at this version's schema, without starting a server."""

from __future__ import annotations

import typer

from headgate.cli.installed import installed_settings
from headgate.cli.invocation import Invocation
from headgate.cli.output import say, write_json

app = typer.Typer()


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring the database to this version's schema.

    `headgate serve` does the same at its start; this is for those who want to see it done before.
    """
    call = Invocation.of(context)
    settings = installed_settings(call)
    # Late: SQL is for this command and the server.
    from headgate.storage import schema

    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, after = schema.upgrade(settings.database)
    if call.json:
        write_json({"before": before, "after": after})
    elif before == after:
        say(f"the database is at {after}; there was nothing to do")
    else:
        say(f"the database went from {before or 'nothing'} to {after}")
