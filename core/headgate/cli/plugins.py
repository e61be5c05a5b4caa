"""`headgate plugins`: what is installed here and, where a server answers, how it behaves there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import typer

from headgate.cli.client import Silence, client_of
from headgate.cli.endings import ExitCode
from headgate.cli.installed import installed_plugins
from headgate.cli.invocation import Invocation
from headgate.cli.output import Tone, paint, plain, say, table, write_json

app = typer.Typer()

Plugin: TypeAlias = dict[str, Any]
"""As the server or `headgate.plugins.PluginReport` gives it."""


@app.command()
def plugins(context: typer.Context) -> None:
    """List the installed plugins, what each brings and how it behaves in the running server.

    Exits with 1 when one of them is broken or is not called any more.
    """
    call = Invocation.of(context)
    found = _of_server(call)
    if found is None:
        import msgspec

        found = msgspec.to_builtins(installed_plugins(call).reports)
    if call.json:
        write_json(found)
    else:
        table(("plugin", "status", "from", "brings"), [_row(one) for one in found])
        for one in found:
            for line in _remarks(one):
                say(f"{plain(one['name'])} ({plain(one['distribution'])} {plain(one['version'])}): {plain(line)}")
    if any(one["status"] == "broken" or _circuits(one) for one in found):
        raise typer.Exit(ExitCode.NO)


def _of_server(call: Invocation) -> list[Plugin] | None:
    """What the server says; `None` when none was asked for by name and none answers."""
    if call.url is None and not call.config.exists():
        return None
    try:
        found: list[Plugin] = client_of(call).get("plugins")["items"]
    except Silence:
        if call.url is not None:
            raise
        return None
    return found


def _circuits(one: Plugin) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (one.get("health") or {}).get("circuits", [])
    return found


def _row(one: Plugin) -> tuple[str, ...]:
    tones: dict[str, Tone] = {"loaded": "green", "broken": "red", "denied": "yellow"}
    status = paint("circuit open", "red") if _circuits(one) else paint(one["status"], tones[one["status"]])
    return (
        plain(one["name"]),
        status,
        plain(f"{one['distribution']} {one['version']}"),
        plain(", ".join(one["kinds"])),
    )


def _remarks(one: Plugin) -> Iterator[str]:
    if one["reason"]:
        yield one["reason"]
    for circuit in _circuits(one):
        yield (
            f"circuit open since {circuit['since']} ({circuit['method']}), because {circuit['reason']}; "
            f"tried again at {circuit['next_trial_at']}"
        )
    health = one.get("health") or {}
    said = {
        "faults": health.get("faults"),
        "time-outs": health.get("timeouts"),
        "slow calls": health.get("slow_calls"),
        "refused calls": health.get("refused_calls"),
        "seconds in which all had to wait": health.get("blocked_seconds"),
        "bytes taken and kept": health.get("growth"),
    }
    if counted := [f"{count:g} {word}" for word, count in said.items() if count]:
        yield ", ".join(counted) + (f"; the last: {health['last_fault']}" if health["last_fault"] else "")
