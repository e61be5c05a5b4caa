"""Process trees that end when told, when their command ends, and when this host dies; not what runs in them.

Every command runs below a supervisor (`supervisor.py`) that was started ahead of time, so that a build does not
wait for an interpreter. A supervisor serves one command after another and is replaced when it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from headgate import api
from headgate.builds.lease import Lease

_LENGTH = struct.Struct(">I")
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_READ: Final = 65_536
_LAST_OUTPUT = 2.0
"""Seconds to wait for the end of the output once the tree is gone: another process may hold the pipe."""

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL when a command is ended before its time."""


class Lapsed(api.QueueError):
    """The build's lease ran out, and its supervisor has ended the command or not started it."""


class Processes:
    """A pool of supervisors. Entering starts `ready` of them; leaving ends every tree still running."""

    def __init__(self, *, ready: int) -> None:
        """`ready`: supervisors kept waiting; more are started when more commands run at once."""
        self._ready = ready
        self._idle: list[_Supervisor] = []
        self._all: set[_Supervisor] = set()

    async def __aenter__(self) -> Self:
        """Starts the supervisors, without waiting until they are up."""
        self._idle = [self._start() for _ in range(self._ready)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends what still runs, and waits for it."""
        everyone, self._all, self._idle = list(self._all), set(), []
        await asyncio.gather(*(supervisor.close() for supervisor in everyone))

    async def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        output: Callable[[bytes], None],
        wrapped: bool = False,
        grace: float = GRACE,
        lease: Lease | None = None,
    ) -> int:
        """Run `argv` to its end: its exit code, negative for a signal.

        `output` is given what the command writes, both streams in one. Standard input is empty. When the
        command ends, what it left running is killed; when this call is cancelled, the tree gets SIGTERM,
        `grace` seconds, then SIGKILL, and only then `CancelledError` goes on. `wrapped`: the command is
        bubblewrap. Raises `QueueError` when the command cannot be started or its supervisor was killed, and
        `Lapsed` when `lease` ran out: the tree is ended then, even while this process stands still.
        """
        supervisor = self._idle.pop() if self._idle else self._start()
        try:
            order = {
                "argv": list(argv),
                "environment": dict(environment),
                "directory": str(directory),
                "wrapped": wrapped,
            }
            return await supervisor.run(order, output, grace, lease)
        finally:
            if supervisor.usable and supervisor in self._all:
                self._idle.append(supervisor)
            else:
                self._all.discard(supervisor)
                await supervisor.close()

    def _start(self) -> _Supervisor:
        supervisor = _Supervisor()
        self._all.add(supervisor)
        return supervisor


class _Supervisor:
    """Our end of one supervisor process."""

    def __init__(self) -> None:
        self.usable = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
        self._channel = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", str(_SUPERVISOR), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Nothing of ours: its environment could be read by what runs below it.
                env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(
        self, order: dict[str, Any], output: Callable[[bytes], None], grace: float, lease: Lease | None
    ) -> int:
        order = {**order, "until": lease.until if lease else None}
        # Whatever stops this function half-way leaves the other end in an unknown state: it is thrown away.
        self.usable = False
        reading, writing = os.pipe()
        reader = _Reader(reading, output)
        try:
            try:
                await self._send(order, writing)
            finally:
                os.close(writing)
            answer = asyncio.ensure_future(self._answer())
            try:
                first = await asyncio.shield(answer)
                if "started" not in first:
                    self.usable = True
                    raise _not_started(order, first)  # noqa: TRY301 - the handler below must see it
                answer = asyncio.ensure_future(self._answer())
                last = await self._last(answer, reader, lease, order["until"])
            except BaseException:
                if not self.usable:
                    await _to_the_end(self._stop(answer, grace))
                raise
            await reader.rest(_LAST_OUTPUT)
        finally:
            reader.close()
        self.usable = not last["stuck"]
        if last["lapsed"]:
            raise _lapsed()
        return int(last["exit"])

    async def _last(
        self, answer: asyncio.Future[dict[str, Any]], reader: _Reader, lease: Lease | None, until: float | None
    ) -> dict[str, Any]:
        """Wait for the end of the command, and pass every renewal of its lease on meanwhile."""
        with lease.followed(self._prolong) if lease else contextlib.nullcontext():
            if lease and lease.until != until:
                self._prolong(lease.until)  # renewed since the order was written
            either: set[asyncio.Future[Any]] = {answer, reader.failed}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if reader.failed.done():
            raise api.QueueError(f"the output cannot be kept: {reader.failed.result()}")
        return answer.result()

    def _prolong(self, until: float) -> None:
        with contextlib.suppress(OSError):  # it is gone, or stands still: its lease runs out then
            self._tell({"until": until})

    async def _stop(self, answer: asyncio.Future[dict[str, Any]], grace: float) -> None:
        """Have the tree ended; the output goes on being read meanwhile."""
        self._wake()
        with contextlib.suppress(OSError, api.QueueError):
            self._tell({"end": grace})
            last = await answer
            if "started" in last:
                last = await self._answer()
            self.usable = not last.get("stuck", 1)

    async def _send(self, order: dict[str, Any], output: int) -> None:
        raw = json.dumps(order).encode()
        loop = asyncio.get_running_loop()
        try:
            # Four bytes always fit: nothing else is on its way to the supervisor.
            socket.send_fds(self._channel, [_LENGTH.pack(len(raw))], [output])
            await loop.sock_sendall(self._channel, raw)
        except OSError as error:
            raise _lost() from error

    def _tell(self, message: dict[str, Any]) -> None:
        """A small frame while the command runs, in one piece or not at all: they must not mix."""
        raw = json.dumps(message).encode()
        self._channel.send(_LENGTH.pack(len(raw)) + raw)

    async def _answer(self) -> dict[str, Any]:
        head = await self._exactly(_LENGTH.size)
        answer: dict[str, Any] = json.loads(await self._exactly(_LENGTH.unpack(head)[0]))
        return answer

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        raw = b""
        while len(raw) < count:
            try:
                part = await loop.sock_recv(self._channel, count - len(raw))
            except OSError as error:
                raise _lost() from error
            if not part:
                raise _lost()
            raw += part
        return raw

    def _wake(self) -> None:
        """A step that is not isolated can stop its supervisor, which would then end nothing, not even itself."""
        with contextlib.suppress(OSError):
            self._process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """Close the channel, whereupon the supervisor kills what it has and ends."""
        self.usable = False
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # a run still waiting for its answer learns of it too
        while self._process.poll() is None:
            self._wake()  # each time: it may have been stopped again
            await asyncio.sleep(0.002)
        self._channel.close()


class _Reader:
    """Gives what arrives in a pipe to a function, on the event loop."""

    def __init__(self, descriptor: int, output: Callable[[bytes], None]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self.failed: asyncio.Future[BaseException] = self._loop.create_future()
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
            if data:
                self._output(data)
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001 - a full disk ends this build, never the event loop
            data = b""
            if not self.failed.done():
                self.failed.set_result(error)
        if not data:
            self._loop.remove_reader(self._descriptor)
            if not self._ended.done():
                self._ended.set_result(None)

    async def rest(self, seconds: float) -> None:
        """Wait for the end of the output."""
        await asyncio.wait({self._ended}, timeout=seconds)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.failed.cancel()


async def _to_the_end(work: Any) -> None:
    """Await `work` although this task is cancelled again meanwhile; the cancellation goes on afterwards."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def _not_started(order: dict[str, Any], answer: dict[str, Any]) -> api.QueueError:
    return _lapsed() if answer["lapsed"] else api.QueueError(f"cannot start {order['argv'][0]}: {answer['error']}")


def _lapsed() -> Lapsed:
    return Lapsed("the server stood still for longer than the lease (worker.lease)")


def _lost() -> api.QueueError:
    return api.QueueError("the process that supervised the step was killed")
