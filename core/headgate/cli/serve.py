"""`headgate serve`: the server in the foreground."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import Annotated

import typer

from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import note

app = typer.Typer()

_CANNOT_LISTEN = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES}
_ADDRESS = re.compile(r"address \('(?P<host>[^']+)', (?P<port>[0-9]+)")


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Listen here instead of where the configuration says.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = None,
) -> None:
    """Run the server: webhooks, polls, builds, API."""
    call = Invocation.of(context)
    if not call.config.exists():
        raise Ending(
            f"there is no configuration {call.config}",
            code=ExitCode.CONFIG,
            hint="copy config.example.yaml to config.yaml, or say --config PATH",
        )
    if call.is_example:
        note(f"there is no config.yaml: serving {call.config}")
    # Late: these two bring the whole server with them.
    import uvloop

    from headgate.app import serve as serve_forever

    try:
        uvloop.run(serve_forever(call.config, host=host, port=port, say=_announce))
    except OSError as error:
        if error.errno not in _CANNOT_LISTEN or error.filename is not None:
            raise
        raise Ending(
            f"the server cannot listen {_place(error)}: {os.strerror(error.errno or 0).lower()}",
            hint="stop what listens there, or choose another place with --host and --port",
        ) from None


def _place(error: OSError) -> str:
    """The address, which asyncio says in its sentence only."""
    found = _ADDRESS.search(str(error))
    return f"on {found['host']} port {found['port']}" if found else "where it should"


def _announce(text: str) -> None:
    """Print for whoever started the server, at once: into a pipe or a file too, where the token must not wait."""
    with contextlib.suppress(BrokenPipeError):  # that nobody reads any more is no reason to stop serving
        print(text, flush=True)
