"""What a command prints: text with colour on a terminal, plain text elsewhere, or JSON; not what it says."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO, TypeAlias

from headgate.telemetry.plain import plain as plain  # noqa: PLC0414 - commands find it here, beside the rest of output
from headgate.telemetry.plain import plain_json

Tone: TypeAlias = Literal["bold", "dim", "red", "green", "yellow", "blue", "cyan"]

_CODES: Final[Mapping[Tone, str]] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
}
_OUTCOME_TONES: Final[Mapping[str, Tone]] = {
    "succeeded": "green",
    "failed": "red",
    "errored": "red",
    "timed_out": "red",
    "lost": "red",
    "cancelled": "yellow",
    "superseded": "yellow",
    "running": "blue",
    "queued": "cyan",
}
_COLOUR_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;]{0,32}m")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def colour_on(to: TextIO | None = None) -> bool:
    """Whether `to` (standard output) is a terminal whose owner did not say NO_COLOR (https://no-color.org)."""
    stream = sys.stdout if to is None else to
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, *tones: Tone, to: TextIO | None = None) -> str:
    """`text` in colour where colour is on, else as it is."""
    if not tones or not colour_on(to):
        return text
    return f"\x1b[{';'.join(_CODES[tone] for tone in tones)}m{text}\x1b[0m"


def log_text(text: str) -> str:
    """A line of a build's log: its colours stay where colour is on; everything else a terminal would obey is shown."""
    if "\x1b" not in text:
        return plain(text)
    pieces, end = [], 0
    for found in _COLOUR_SEQUENCE.finditer(text):
        pieces += [plain(text[end : found.start()]), found[0] if colour_on() else ""]
        end = found.end()
    reset = "\x1b[0m" if colour_on() else ""
    return "".join(pieces) + plain(text[end:]) + reset


def say(text: str = "") -> None:
    """Print one line of a result."""
    print(text)


def note(text: str) -> None:
    """Print one line beside the result, on standard error."""
    print(paint(text, "dim", to=sys.stderr), file=sys.stderr)


def warn(text: str) -> None:
    """Print one line that somebody should look at, on standard error."""
    print(f"{paint('!', 'yellow', to=sys.stderr)} {plain(text)}", file=sys.stderr)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON that a terminal can be shown: readable letters, and no control characters."""
    return plain_json(json.dumps(value, ensure_ascii=False, indent=indent))


def write_json(value: Any) -> None:
    """Print a result as JSON: indented on a terminal, one line elsewhere."""
    print(json_text(value, indent=2 if sys.stdout.isatty() else None))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings. Cells may carry `paint`; on a terminal the last column is folded between words."""
    if sys.stdout.isatty():
        _rich_table(columns, rows)
        return
    cells = [[plain(cell) for cell in row] for row in [[column.upper() for column in columns], *rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Late: rich is for terminals only, and costs every other command a tenth of a second.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="dim")
    lines = [[Text.from_ansi(log_text(cell)) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        drawn.add_column(column.upper(), no_wrap=index < len(columns) - 1, overflow="fold")
    for line in lines:
        drawn.add_row(*line)
    console = Console(no_color=not colour_on(), highlight=False)
    # An id or a URL that is folded cannot be copied: rather than that, lines are longer than the terminal is wide.
    *whole, folded = zip([Text(column) for column in columns], *lines, strict=True)
    least = sum(max(cell.cell_len for cell in cells) + 2 for cells in whole)
    least += max(len(word) for cell in folded for word in (cell.plain.split() or [""]))
    console.width = max(console.width, least)
    console.print(drawn)


def outcome(build: Mapping[str, Any]) -> str:
    """A build's outcome, or its state while it has none, in its colour."""
    word = str(build.get("outcome") or build.get("state") or "?")
    return paint(word, _OUTCOME_TONES[word]) if word in _OUTCOME_TONES else plain(word)


def repository_name(repository: Mapping[str, Any], connection: str | None) -> str:
    """`github.com/acme/web`; a folder on the server's disk has no host to name: by its connection, `mine:app`."""
    host, path = repository["host"], repository["path"]
    return plain(f"{connection or '?'}:{path}" if host in {"", "localhost"} else f"{host}/{path}")


def short_sha(sha: str | None) -> str:
    """The first ten digits, or `-`."""
    return plain(sha[:10]) if sha else "-"


def short_ref(ref: str | None) -> str:
    """`main` for a branch, `tag v1` for a tag, the full name for others, `-` for none."""
    if not ref:
        return "-"
    if ref.startswith("refs/tags/"):
        return "tag " + plain(ref.removeprefix("refs/tags/"))
    return plain(ref.removeprefix("refs/heads/"))


def moment(text: str | None) -> datetime | None:
    """An API time as an aware datetime."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def ago(text: str | None, *, now: datetime | None = None) -> str:
    """`3 min ago` for an API time, `-` for none."""
    then = moment(text)
    if then is None:
        return "-"
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"in {span(-seconds)}" if seconds < 0 else f"{span(seconds)} ago"


def took(start: str | None, end: str | None, *, now: datetime | None = None) -> str:
    """How long something went on, still counting when it has no end; `-` when it never started."""
    first, last = moment(start), moment(end)
    return "-" if first is None else span(((last or now or datetime.now(UTC)) - first).total_seconds())


def span(seconds: float) -> str:
    """`0.8 s`, `12 s`, `3 min`, `2 h 5 min`, `4 days`: as exact as a person needs it."""
    if seconds < 10:  # noqa: PLR2004 - below ten a decimal tells something
        return f"{max(seconds, 0):.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min" + (f" {seconds % _MINUTE:.0f} s" if seconds < 10 * _MINUTE else "")
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} day" + ("s" if seconds >= 2 * _DAY else "")
