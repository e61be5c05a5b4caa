"""`headgate replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate.cli.client import client_of, segment
from headgate.cli.explained import print_explanation
from headgate.cli.invocation import Invocation
from headgate.cli.output import note, write_json

app = typer.Typer()


@app.command()
def replay(
    context: typer.Context,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id, as `headgate deliveries` lists it.")],
) -> None:
    """Judge a kept delivery again with today's jobs.

    The same filters apply as when it arrived, and a job that already built this very move builds it no second
    time.
    """
    call = Invocation.of(context)
    explanation = client_of(call).post(f"deliveries/{segment(delivery)}/replay")
    if call.json:
        write_json(explanation)
        return
    note(f"replayed {delivery}")
    print_explanation(explanation)
