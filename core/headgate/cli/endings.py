"""How a command ends when it cannot do what was asked: a sentence, what to do next, and an exit code; not success."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum
from typing import Any

from headgate.cli.output import json_text, paint, plain


class ExitCode(IntEnum):
    """What the shell learns. 70 and 78 are EX_SOFTWARE and EX_CONFIG of sysexits.h."""

    OK = 0
    NO = 1
    """It was understood, and the answer is no: no such build, no server, a build that failed."""
    INPUT = 2
    """What you typed or wrote is wrong."""
    FAULT = 70
    """Our fault."""
    CONFIG = 78
    """The configuration cannot be used."""
    INTERRUPTED = 130


class Ending(Exception):
    """A command that ends early. The message is one sentence; `hint` says what to do next."""

    def __init__(
        self, message: str, *, code: ExitCode = ExitCode.NO, hint: str = "", problems: tuple[Any, ...] = ()
    ) -> None:
        """`problems`: what is wrong place by place, each printed on a line of its own."""
        self.message = message
        self.code = code
        self.hint = hint
        self.problems = problems
        super().__init__(message)


def ending_of(error: Exception) -> Ending:
    """The ending that fits an error, whoever has to act on it."""
    # Late: a command that ends well never needs the public API for this.
    from headgate.api.errors import ConfigError, HeadgateError, QueueError

    match error:
        case Ending():
            return error
        case ConfigError():
            count = len(error.problems)
            message = "the configuration cannot be used" + (f": {count} problems" if count > 1 else "")
            hint = "correct it, then try again; `headgate check` shows every problem"
            return Ending(message, code=ExitCode.CONFIG, hint=hint, problems=error.problems)
        case QueueError():
            return Ending(str(error), code=ExitCode.INPUT)
        case HeadgateError():
            return Ending(str(error), code=_code_of(error))
        case OSError(filename=str() as name, strerror=str() as reason):
            return Ending(f"{name}: {reason[:1].lower()}{reason[1:]}")
        case _:
            return _fault(error)


def _code_of(error: Exception) -> ExitCode:
    """Of an error with nothing to add: no, unless the database cannot be opened."""
    from headgate.storage.errors import StorageDamaged, StorageRefused  # late, as above; it brings no SQL

    match error:
        case StorageDamaged():
            return ExitCode.FAULT
        case StorageRefused():  # whoever starts it again must change something first
            return ExitCode.CONFIG
        case _:
            return ExitCode.NO


def report(ending: Ending, *, as_json: bool) -> None:
    """Print it on standard error: standard output holds results only."""
    if as_json:
        content = {
            "error": ending.message,
            "hint": ending.hint,
            "exit_code": int(ending.code),
            "problems": [str(problem) for problem in ending.problems],
        }
        print(json_text(content), file=sys.stderr)
        return
    for problem in ending.problems:
        print(plain(str(problem)), file=sys.stderr)
    print(f"{paint('headgate:', 'red', to=sys.stderr)} {plain(ending.message)}", file=sys.stderr)
    if ending.hint:
        print(f"  {plain(ending.hint)}", file=sys.stderr)


def _fault(error: Exception) -> Ending:
    """A fault of ours: what it is and where, in two lines; the whole traceback only for those who ask for it."""
    if os.environ.get("HEADGATE_TRACEBACK") == "1":
        traceback.print_exception(error, file=sys.stderr)
    last = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    place = f" at {os.path.basename(last.filename)}:{last.lineno}" if last else ""  # noqa: PTH119 - pathlib is not yet imported
    return Ending(
        f"a fault of ours: {type(error).__name__}: {error}{place}",
        code=ExitCode.FAULT,
        hint="run it again with HEADGATE_TRACEBACK=1 and report what it prints; no secret of yours should be in it",
    )
