"""Writes docs/commands.md from the commands themselves; `--check` only says whether it is up to date."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate.cli.commands import COMMANDS, Entry, load, root

PAGE = Path(__file__).with_name("commands.md")

HEAD = """# Commands

<!-- Written by docs/generate_commands.py; change the commands, not this page. -->

Every command takes `--config PATH` (or `HEADGATE_CONFIG`; otherwise `./config.yaml`, then `./config.example.yaml`),
`--json` and `--help`. Those that ask a server use its local socket in the configuration's data folder, where the
socket's mode is the key; `--url` (or `HEADGATE_URL`) with a token in `HEADGATE_TOKEN` asks a server elsewhere.

| exit code | meaning |
|---|---|
| 0 | yes, done |
| 1 | understood, and the answer is no: no such build, no server, a build that failed |
| 2 | what you typed or wrote is wrong |
| 70 | our fault (`HEADGATE_TRACEBACK=1` shows where), or the database is damaged or failed |
| 78 | the configuration cannot be used, or the database cannot be opened: in use, of a newer version |

Results go to standard output, everything else to standard error; with `--json` an error is one JSON object there.
Colour is for terminals and respects `NO_COLOR`. A build is named `job#12` or by its id.
"""

EVERYWHERE = {"--config", "--url", "--json", "--help"}
"""Options that the page's head explains once."""


def main(arguments: list[str]) -> int:
    """Write the page, or compare with `--check`: 1 when it is out of date."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is out of date; run: python docs/generate_commands.py", file=sys.stderr)
    return 1


def page() -> str:
    """The whole page."""
    # The width of the terminal that writes the page must not show in it.
    os.environ["COLUMNS"] = "100"
    context = root().make_context("headgate", ["jobs"])
    sections = dict.fromkeys(entry.section for entry in COMMANDS.values())
    parts = [HEAD]
    for section in sections:
        parts.append(f"## {section}\n")
        for name, entry in COMMANDS.items():
            if entry.section == section:
                parts += described(name, entry, context)
    return "\n".join(parts)


def described(name: str, entry: Entry, parent: Any) -> Iterator[str]:
    """One command and the commands below it."""
    command = load(name, entry)
    yield from one(command, f"headgate {name}", parent, depth=3)
    for below, child in sorted(getattr(command, "commands", {}).items()):
        yield from one(child, f"headgate {name} {below}", parent, depth=4)


def one(command: Any, path: str, parent: Any, *, depth: int) -> Iterator[str]:
    """Heading, usage, help, parameters."""
    context = type(parent)(command, parent=None, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    usage = re.sub(r"\[OPTIONS\] ?|[{}]", "", usage)
    yield f"{'#' * depth} `{path}`\n"
    yield f"```text\n{path} {usage}".rstrip() + "\n```\n"
    yield "\n".join(line.strip() for line in (command.help or "").strip().splitlines()) + "\n"
    records = [
        parameter.get_help_record(context)
        for parameter in command.params
        if not EVERYWHERE.intersection(parameter.opts)
    ]
    rows = [f"| `{_name(names)}` | {told.removesuffix('  [required]')} |" for names, told in filter(None, records)]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows]) + "\n"


def _name(names: str) -> str:
    """`JOB` for typer's `JOB <str>`; a bar would end the cell."""
    return re.sub(r":?<[^>]*>$", "", names).strip().replace("|", "or")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
