"""Runs one command at a time and ends its whole process tree; a small program of its own, not a part of the host.

The host starts it as `python -I -S supervisor.py FD` ahead of time and speaks to it over the socket FD: frames
of four length bytes and JSON, the request carrying the output pipe beside it. It is a child subreaper, so a
descendant that forks twice and leaves its session still becomes its child, and "no children left" (ECHILD) is
proof that nothing is left. When the socket ends, the host has died, and the tree is killed at once. So it is when
the build's lease runs out: a host that stands still cannot say so, and another may have the build by then.

It imports nothing but the standard library: it must start fast and never break with the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

_LENGTH = struct.Struct(">I")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_OOM_SCORE = b"500"
"""Raised for builds: when memory runs out, the kernel should end them and not the server."""

_PATIENCE = 10.0
"""Seconds until killed processes that do not go (a dead disk, another user's) are reported as stuck."""

_LONGEST_SLEEP = 3600.0
"""Seconds; `poll` fails when asked for more than three weeks, and a lease may be as long as an admin likes."""

_DEFAULTED = (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGXFSZ)


def main(descriptor: int) -> None:
    """Serve requests until the host closes the socket or dies."""
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")
    # Only the end of the socket ends us: a signal to the whole group must not leave a build without its keeper.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wakeup, alarm = os.pipe()
    for end in (wakeup, alarm):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    while (request := receive(channel)) is not None:
        message, output = request
        if output is not None and not _serve(channel, libc, wakeup, message, output):
            break
    kill_tree()


def _serve(channel: socket.socket, libc: ctypes.CDLL, wakeup: int, order: dict[str, Any], output: int) -> bool:
    """Run one command to its end and say how it ended; false when the host is gone."""
    until: float | None = order.get("until")
    try:
        pid = _start(libc, order, output)
    except OSError as error:
        return send(channel, {"error": error.strerror or str(error), "lapsed": _over(until)})
    finally:
        os.close(output)
    if not send(channel, {"started": pid}):
        return False
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    code: int | None = None
    kill_at: float | None = None
    while True:
        ready = {fd for fd, _ in poll.poll(_milliseconds_to(kill_at, until))}
        if wakeup in ready:
            _drain(wakeup)
        ended, childless = _reap(pid)
        code = ended if ended is not None else code
        if channel.fileno() in ready:
            request = receive(channel)
            if request is None:
                return False
            if "until" in request[0]:
                until = float(request[0]["until"])
            elif kill_at is None:
                kill_at = time.monotonic() + float(request[0].get("end", 0))
                # bubblewrap passes no signal on and would take everything with it: what it wraps is asked instead.
                _signal_tree(signal.SIGTERM, spare=pid if order.get("wrapped") else None)
        # A normal end takes what the command left behind with it; a requested one gives the rest its grace.
        lapsed = _over(until)
        if childless or lapsed or _over(kill_at) or (code is not None and kill_at is None):
            killed, stuck = kill_tree(watched=pid)
            lapsed = lapsed and code is None
            code = code if code is not None else killed
            return send(channel, {"exit": -signal.SIGKILL if code is None else code, "stuck": stuck, "lapsed": lapsed})


def _over(moment: float | None) -> bool:
    return moment is not None and time.monotonic() >= moment


def _milliseconds_to(*moments: float | None) -> float | None:
    """How long `poll` may sleep, until the first of them that is one."""
    first = min((moment for moment in moments if moment is not None), default=None)
    return None if first is None else min(max(0.0, first - time.monotonic()), _LONGEST_SLEEP) * 1000 + 1


def _start(libc: ctypes.CDLL, order: dict[str, Any], output: int) -> int:
    """Fork and exec; an `OSError` of the child's set-up is raised here."""
    if _over(order.get("until")):
        raise OSError(0, "the build's lease has run out")
    reading, writing = os.pipe()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(libc, order, output, keeper)
        except OSError as error:
            subject = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            os.write(writing, f"{subject}{error.strerror}".encode()[:4096])
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it and this process end
            os.write(writing, str(error).encode(errors="replace")[:4096])
        finally:
            os._exit(127)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        reason = file.read()
    if reason:
        os.waitpid(pid, 0)
        raise OSError(0, reason.decode(errors="replace"))
    return pid


def _become(libc: ctypes.CDLL, order: dict[str, Any], output: int, keeper: int) -> None:
    """In the child: its own session, nothing of ours inherited, then the command."""
    os.setsid()
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(127)
    signal.set_wakeup_fd(-1)
    for number in _DEFAULTED:
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:  # noqa: PTH123 - no pathlib: it must start fast
        file.write(_OOM_SCORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)
    os.chdir(order["directory"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    argv = order["argv"]
    os.execvpe(argv[0], argv, order["environment"])  # noqa: S606 - running it without a shell is the purpose


def kill_tree(*, watched: int = 0, patience: float = _PATIENCE) -> tuple[int | None, int]:
    """Kill every descendant until none is left: the exit code of `watched`, and how many would not go."""
    code: int | None = None
    give_up, pause = time.monotonic() + patience, 0.0005
    while True:
        ended, childless = _reap(watched)
        code = ended if ended is not None else code
        if childless:
            return code, 0
        living = _signal_tree(signal.SIGKILL)
        if time.monotonic() > give_up:
            return code, living
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _signal_tree(number: int, *, spare: int | None = None) -> int:
    """Send `number` to every descendant but `spare`; how many there were."""
    found = descendants(os.getpid())
    for pid in found:
        if pid != spare:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
    return len(found)


def descendants(root: int) -> list[int]:
    """All processes below `root`, parents first, from one look at /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - likewise
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - likewise
                    # The name in brackets may hold anything, also brackets: what follows the last one counts.
                    fields = file.read().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _reap(watched: int) -> tuple[int | None, bool]:
    """Collect the dead: the exit code of `watched` if it was among them, and whether no child is left at all."""
    code: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code, True
        if pid == 0:
            return code, False
        if pid == watched:
            code = os.waitstatus_to_exitcode(status)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 4096):
            pass


def send(channel: socket.socket, message: dict[str, Any]) -> bool:
    """Send one frame; false when nobody listens any more."""
    raw = json.dumps(message).encode()
    try:
        channel.sendall(_LENGTH.pack(len(raw)) + raw)
    except OSError:
        return False
    return True


def receive(channel: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """The next frame and the descriptor that came with it; `None` at the end."""
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, 1)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - by position only; recv_fds of CPython 3.11 drops the flag
        head += _exactly(channel, _LENGTH.size - len(head)) if head else b""
        if not head:
            return None
        message = json.loads(_exactly(channel, _LENGTH.unpack(head)[0]))
    except (OSError, EOFError):
        return None
    return message, (descriptors[0] if descriptors else None)


def _exactly(channel: socket.socket, count: int) -> bytes:
    raw = bytearray()
    while len(raw) < count:
        part = channel.recv(count - len(raw))
        if not part:
            raise EOFError
        raw += part
    return bytes(raw)


if __name__ == "__main__":
    main(int(sys.argv[1]))
