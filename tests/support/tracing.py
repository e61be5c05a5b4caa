"""strace on a running server: what it asks the kernel, in which order, and an end at a chosen call."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from needs import missing, need

_LINE = re.compile(r"(?P<tid>\d+) +(?:(?P<call>\w+)\(|<\.\.\. (?P<resumed>\w+) resumed>)(?P<rest>.*)")
_CUT = "<unfinished ...>"


class Call(NamedTuple):
    """One line of a trace: a call that began, ended, or did both with nothing between."""

    tid: int
    name: str
    text: str
    """The arguments as strace writes them, `-s` bytes of each; the result where the call ended."""

    begins: bool
    ends: bool


class Strace:
    """Attached for as long as the context lasts: to a process and all that it starts, or to a few threads alone."""

    def __init__(self, process: int | Sequence[int], output: Path, *options: str) -> None:
        """`process`: its id, or those of threads."""
        whom = ["-f", "-p", str(process)] if isinstance(process, int) else [f"--attach={one}" for one in process]
        self._argv = ["strace", "-o", str(output), *options, *whom]
        self._answers = 1 if isinstance(process, int) else len(process)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        # One line for each it was to attach to, said when that is done. A thread may have ended meanwhile.
        said = [self._process.stderr.readline() for _ in range(self._answers)]
        for line in said:
            assert b"attached" in line or b"No such process" in line, said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)
        self._process.stderr.close()


def need_strace() -> None:
    """Skip (in CI: fail) where strace is not installed or may not attach to a process of ours."""
    strace = need("strace")
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            tried = subprocess.run(
                ["timeout", "-s", "INT", "0.3", strace, "-p", str(sleeper.pid)], capture_output=True, check=False
            )
        finally:
            sleeper.kill()
    if b"attached" not in tried.stderr:
        missing(f"strace may not attach to a process ({tried.stderr.decode(errors='replace').strip()})")


def calls(trace: Path) -> Iterator[Call]:
    """The lines of a trace that are about calls, in the order in which strace saw them happen."""
    with trace.open(errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            began, rest = found["call"], found["rest"]
            yield Call(
                tid=int(found["tid"]),
                name=began or found["resumed"],
                text=rest,
                begins=began is not None,
                ends=not rest.endswith(_CUT),
            )


def threads(pid: int) -> list[int]:
    """The threads of a process, in the order in which they were started."""
    return sorted(int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir())
