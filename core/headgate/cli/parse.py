"""`headgate parse`: a webhook's headers and body → events, with the code a server would use and without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli.endings import Ending, ExitCode
from headgate.cli.installed import installed_plugins
from headgate.cli.invocation import Invocation
from headgate.cli.output import note, paint, plain, say

if TYPE_CHECKING:
    from headgate.api import ProviderKind, Reading

app = typer.Typer()


@app.command()
def parse(
    context: typer.Context,
    bodies: Annotated[
        list[str], typer.Argument(metavar="BODY...", help="Files with a body each; - is standard input.")
    ],
    provider: Annotated[
        str, typer.Option("-P", "--provider", metavar="NAME", help="Whose webhook it is: github, git, …")
    ],
    headers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Headers, as `Name: value` lines or a JSON object.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="NAME: VALUE", help="One header.")
    ] = None,
) -> None:
    """Show what a provider's code reads in a webhook's body, offline.

    On a terminal for a person; elsewhere, and with --json, one line of JSON a body, in their order: its events, or
    why it was ignored, with "unreadable": true when that is because it cannot be read. No signature is checked and
    nothing is kept. Exits with 2 when a body cannot be read.
    """
    call = Invocation.of(context)
    kind = _kind(call, provider)
    pairs = tuple(_headers(headers, header or ()))
    if kind.event_header is not None and kind.event_header not in dict(pairs):
        note(f"no header {kind.event_header} was given: which event it is can only be told from the body")
    as_lines = call.json or not sys.stdout.isatty()
    all_read = True
    for name in bodies:
        result = _read(kind, name, pairs)
        all_read = all_read and "unreadable" not in result
        if as_lines:
            say(json.dumps(result, ensure_ascii=False))
        else:
            _print(name, result)
    if not all_read:
        raise typer.Exit(ExitCode.INPUT)


def _kind(call: Invocation, name: str) -> ProviderKind:
    providers = installed_plugins(call).kinds.providers
    if name in providers:
        return providers[name]
    raise Ending(
        f"there is no provider {name}",
        code=ExitCode.INPUT,
        hint=f"there are {', '.join(sorted(providers)) or 'none'}; `headgate plugins` shows what could not be loaded",
    )


def _headers(file: Path | None, given: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Lower-case names and their values, in order."""
    lines: list[str] = []
    if file is not None:
        text = file.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            yield from _of_object(text, file)
        else:
            lines += text.splitlines()
    for line in [*lines, *given]:
        name, sign, value = line.partition(":")
        if name.strip().startswith(("POST ", "HTTP/")):
            continue
        if sign:
            yield name.strip().lower(), value.strip()
        elif line.strip():
            raise Ending(f"{line.strip()!r} is no header", code=ExitCode.INPUT, hint="write `Name: value`")


def _of_object(text: str, file: Path) -> Iterable[tuple[str, str]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Ending(f"{file} is no JSON: {error}", code=ExitCode.INPUT) from None
    for name, value in found.items():
        if not isinstance(value, str):
            raise Ending(f"the header {name} in {file} is no text", code=ExitCode.INPUT, hint='write {"Name": "value"}')
        yield name.lower(), value


def _read(kind: ProviderKind, name: str, headers: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    import msgspec

    from headgate.api import Delivery, Parsed, Unreadable

    try:
        body = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        return {"ignored": f"{name} cannot be read: {error.strerror}", "unreadable": True}
    if not any(key == "content-type" for key, _ in headers):
        headers = (*headers, ("content-type", "application/json"))
    delivery = Delivery(
        id="offline", connection="offline", received_at=datetime.now(UTC), headers=headers, body=body, remote=""
    )
    try:
        reading: Reading = kind.read(delivery)
    except Unreadable as error:
        return {"ignored": str(error), "unreadable": True}
    if isinstance(reading, Parsed):
        return {"events": msgspec.to_builtins(reading.events)}
    return {"ignored": reading.reason}


def _print(name: str, result: dict[str, Any]) -> None:
    name = plain(name)
    if "ignored" in result:
        word = paint("unreadable", "red") if "unreadable" in result else paint("ignored", "yellow")
        say(f"{word} {name}: {plain(result['ignored'])}")
    for event in result.get("events", ()):
        say(f"{paint(plain(event['type']), 'green', 'bold')} {name}")
        for field, value in event.items():
            if field != "type" and value not in (None, "", [], ()):
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                say(f"  {paint(f'{plain(field):<18}', 'dim')} {plain(shown)}")
