"""The command line: one file a command, loaded when it is called; not a second way to do what the server does."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> None:
    """The `headgate` command. Leaves with an exit code of `headgate.cli.endings.ExitCode`, never with a traceback."""
    # Imported here, so that `import headgate.cli.client` does not pay for the whole command line.
    from headgate.cli.commands import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
