"""A server that starts quickly: a fork of one process that has imported everything already; the same code, as real.

Two hundred starts would spend most of their time importing. What is forked has opened nothing: no database, no
event loop, no socket. From there on it is `headgate serve` as from the shell, in a process and a session of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = str(Path(sys.executable).with_name("headgate"))


class WarmParent:
    """The process that forks servers, one at a time. `spawn` has what `subprocess.Popen` has, as far as tests use it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )

    def spawn(self, argv: list[str], *, cwd: Path, env: dict[str, str], output: Path) -> Forked:
        """Run `argv` (a Python program and its arguments) in a fork."""
        return Forked(self, self.ask(argv=argv, cwd=str(cwd), env=env, output=str(output)))

    def ask(self, **what: Any) -> int:
        """One order and its answer: the id of a new process, or the exit code of the last one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that starts servers has ended; what it said stands in the test's output"
        return int(answer)

    def close(self) -> None:
        """End it, and the server it may still have."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class Forked:
    """One server."""

    def __init__(self, parent: WarmParent, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent

    def poll(self) -> int | None:
        """The exit code once it has ended."""
        if self.returncode is None and Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; `timeout` is Popen's, and pytest's stands for it."""
        if self.returncode is None:
            self.returncode = self._parent.ask(wait=self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _orders() -> str:
    """Fork whenever asked; returns in the fork, with the program to run."""
    orders = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    children: set[int] = set()
    for line in orders:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            children.discard(order["wait"])
            answers.write(b"%d\n" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if not pid:
            os.setsid()
            os.chdir(order["cwd"])
            os.environ.clear()
            os.environ.update(order["env"])
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            orders.close()
            answers.close()
            sys.argv = order["argv"]
            return sys.argv[0]
        children.add(pid)
        answers.write(b"%d\n" % pid)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    sys.exit()


if __name__ == "__main__":
    import alembic.command  # noqa: F401 - imported here for all forks
    import uvloop  # noqa: F401 - likewise

    import headgate.app
    import headgate.cli.commands
    import headgate.cli.serve
    import headgate.plugins

    headgate.plugins.load_plugins()
    runpy.run_path(_orders(), run_name="__main__")
