"""`headgate`, with one protection off: commits are not synchronised, as SQLite's `synchronous = NORMAL` has it."""

from __future__ import annotations

from headgate.cli import main
from headgate.storage import dialect

dialect._WRITER_PRAGMAS = tuple(  # type: ignore[misc]
    pragma.replace("synchronous = FULL", "synchronous = NORMAL") for pragma in dialect._WRITER_PRAGMAS
)
main()
