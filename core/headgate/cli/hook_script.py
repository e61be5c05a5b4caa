"""`headgate hook-script`: the script a plain Git server runs after each push, as the git plugin ships it."""

from __future__ import annotations

import asyncio
import sys

import typer

from headgate.cli.endings import Ending
from headgate.cli.installed import installed_plugins
from headgate.cli.invocation import Invocation
from headgate.cli.output import write_json

app = typer.Typer()

_PLUGIN, _ROUTE = "git", "post-receive"


@app.command()
def hook_script(context: typer.Context) -> None:
    """Print the post-receive hook for a plain Git server.

    Save it as hooks/post-receive of the bare repository and make it executable; the comments at its top say
    which settings it reads.
    """
    call = Invocation.of(context)
    kinds = installed_plugins(call).kinds
    route = next((kind for plugin, kind in kinds.routes if (plugin, kind.name) == (_PLUGIN, _ROUTE)), None)
    if route is None:
        raise Ending(f"the plugin {_PLUGIN}, which ships the script, is not loaded", hint="`headgate plugins` says why")
    from headgate.api import RouteRequest

    request = RouteRequest(method="GET", tail="", query={}, headers={}, body=b"")

    async def ask() -> bytes:
        return (await route.answer(request)).body

    script = asyncio.run(ask()).decode()
    write_json({"script": script}) if call.json else sys.stdout.write(script)
