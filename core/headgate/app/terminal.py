"""What a person at the terminal is told: where the server is, what was built, what to try next; not the log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from headgate.api.builds import Build, Outcome, State
from headgate.telemetry.plain import plain

Say: TypeAlias = Callable[[str], None]


class Terminal:
    """Sentences for whoever started the server."""

    def __init__(self, say: Say, *, config: Path) -> None:
        """`config` is named in suggested commands where it is not what the command line finds by itself."""
        self._write = say
        self._command = _command(config)

    def _say(self, text: str) -> None:
        """Much of it is what strangers wrote: refs, actors, reasons."""
        self._write(plain(text))

    def token(self, token: str) -> None:
        """The admin token, the only time it can be shown."""
        self._say(
            "\nThis server has a new admin token. It is shown this once and stored only as a hash:\n\n"
            f"    {token}\n\n"
            "From this machine and account you need no token: the command line uses the server's local socket.\n"
        )

    def serving(self, url: str, *, version: str, jobs: int, connections: int, problems: Mapping[str, str]) -> None:
        """Where it listens, and what to look at first."""
        counted = f"{_count(jobs, 'job')}, {_count(connections, 'connection')}"
        self._say(f"Headgate {version} is ready on {url} ({counted})")
        for place, reason in problems.items():
            self._say(f"  {place} is not open: {reason}")
        self._say(f"  try: {self._command} jobs    and: {self._command} builds\n")

    def build(self, build: Build) -> None:
        """A build that started to wait, or ended."""
        what = _what(build)
        if build.state is State.QUEUED:
            self._say(f"{build.label} is queued{what} ({build.reason})")
        elif build.state is State.FINISHED and build.outcome is not None:
            mark = "✓" if build.outcome is Outcome.SUCCEEDED else "✗"
            seconds = ""
            if build.started_at and build.finished_at:
                seconds = f" after {(build.finished_at - build.started_at).total_seconds():.1f} s"
            self._say(f"{mark} {build.label} {build.outcome}{seconds}{what}")
            self._say(f"  its log: {self._command} log '{build.job}#{build.number}'")
            self._say(f"  why it was built: {self._command} explain '{build.job}#{build.number}'\n")

    def stopping(self, running: int, *, seconds: float) -> None:
        """Why the server does not end at once."""
        if running:
            self._say(f"Stopping; what runs ({_count(running, 'build')}) has {seconds:.0f} s to end")


def _what(build: Build) -> str:
    """`: 1f5fad5c42 of main`, as much of it as is known."""
    words = [build.sha[:10]] if build.sha else []
    if build.ref:
        words.append(f"of {build.ref.removeprefix('refs/heads/')}")
    return f": {' '.join(words)}" if words else ""


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _command(config: Path) -> str:
    """How the reader can call the command line: as it was called, from the same folder."""
    called = Path(sys.argv[0])
    if called.name != "headgate":
        command = "headgate"
    elif called.is_absolute() and called.is_relative_to(Path.cwd()):
        command = str(called.relative_to(Path.cwd()))
    else:
        command = sys.argv[0]
    found_by_itself = config.absolute().parent == Path.cwd() and config.name in ("config.yaml", "config.example.yaml")
    return command if found_by_itself else f"{command} --config {config}"
