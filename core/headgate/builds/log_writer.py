"""Writes a build's log: framed, masked, capped and indexed; not our own server log.

Text is masked before it is written. Colours stay as they came, bytes that are no UTF-8 become U+FFFD, a line over
64 KiB is split, and beyond the limit one line says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from headgate.builds.log_format import EVERY, MARK, OURS, RECORD, SMALL, LogReader

LONGEST: Final = 65_536
"""Bytes of one line; a longer one is split."""

_PARTIAL = 1.0
"""Seconds until the beginning of a line is written without its end."""

_OURS_BEYOND = 65_536
"""Bytes our own words may add to a log that has reached its limit."""

TOGETHER: Final = 0.02
"""Seconds between two times that followers are woken: a step that prints line by line does not wake a hundred of
them for each."""


class Masking(Protocol):
    """One stream's masker, as `credentials.redaction` gives it."""

    def feed(self, piece: bytes) -> bytes:
        """What may be written now."""

    def flush(self) -> bytes:
        """The rest."""


class _Stream:
    """What one step has said and not yet ended with a line break."""

    __slots__ = ("masking", "tail")

    def __init__(self, masking: Masking) -> None:
        self.masking = masking
        self.tail = b""


class LogWriter:
    """One build's log, made and used on the event loop. Every method may raise `OSError`: the disk is full or gone."""

    def __init__(
        self,
        path: Path,
        *,
        masking: Callable[[], Masking],
        limit: int,
        closed: Callable[[], None],
        held: Callable[[], bool],
    ) -> None:
        """`masking` makes one masker per step; `limit` in bytes; `closed` is called at the end.

        An existing log (of an attempt before) is continued. While `held()` says no, nothing is written: the log may
        be that of another attempt by now.
        """
        self._held = held
        self._masking = masking
        self._limit = limit
        self._closed = closed
        self._began = time.monotonic()
        self._streams: dict[int, _Stream] = {}
        self._step: int | None = None
        self._full = False
        self._timer: asyncio.TimerHandle | None = None
        self._followers: set[asyncio.Future[None]] = set()
        self._woken_at = 0.0
        self._waking: asyncio.TimerHandle | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._log = os.open(path, flags, 0o600)
        self._index_path = path.with_suffix(".idx")
        self._index: int | None = None
        self._unwritten = b""  # what the index will begin with, should the log need one
        self._lines, self._size = self._continue(path)
        self._marked = self._lines

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def write(self, step: int, data: bytes) -> None:
        """What `step` (from 1) wrote, cut anywhere."""
        stream = self._streams.get(step)
        if stream is None:
            stream = self._streams[step] = _Stream(self._masking())
        for at in range(0, len(data), LONGEST):
            self._take(step, stream, stream.masking.feed(data[at : at + LONGEST]))
        if stream.tail and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PARTIAL, self._flush_partial)

    def end(self, step: int) -> None:
        """The step has ended: what it left without a line break is a line."""
        stream = self._streams.pop(step, None)
        if stream is not None:
            self._take(step, stream, stream.masking.flush())
            if stream.tail:
                self._append(step, stream.tail + b"\n")

    def say(self, text: str) -> None:
        """One line of ours (several, when it has line breaks)."""
        masking = self._masking()
        raw = masking.feed(text.encode(errors="replace")) + masking.flush()
        if self._size < self._limit + _OURS_BEYOND:
            for at in range(0, len(raw), LONGEST):
                self._frame(OURS, raw[at : at + LONGEST] + b"\n")

    def close(self) -> None:
        """Write what is left, and tell the followers that this was all."""
        if self._log < 0:
            return
        try:
            for step in list(self._streams):
                self.end(step)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            os.close(self._log)
            if self._index is not None:
                os.close(self._index)
            self._log = -1
            self._closed()
            self._wake_all()

    async def wait(self, beyond: int | None = None) -> None:
        """Until there are more bytes than `beyond` (by default: than now), or the log is closed.

        All who wait are woken together, and not more often than every `TOGETHER` seconds.
        """
        if self._log < 0:
            return
        future = asyncio.get_running_loop().create_future()
        self._followers.add(future)
        if beyond is not None and self._size > beyond:
            self._wake()
        try:
            await future
        finally:
            self._followers.discard(future)

    def _take(self, step: int, stream: _Stream, data: bytes) -> None:
        """Add masked bytes to the step's tail and write the whole lines."""
        whole, found, rest = data.rpartition(b"\n")
        if not found:
            stream.tail += rest
        else:
            body, stream.tail = stream.tail + whole + found, rest
            self._append(step, body if len(body) <= LONGEST else _split(body))
        while len(stream.tail) > LONGEST:
            cut = _whole_characters(stream.tail, LONGEST)
            self._append(step, stream.tail[:cut] + b"\n")
            stream.tail = stream.tail[cut:]

    def _flush_partial(self) -> None:
        self._timer = None
        for step, stream in self._streams.items():
            cut = _whole_characters(stream.tail, len(stream.tail))
            if cut:
                body, stream.tail = stream.tail[:cut] + b"\n", stream.tail[cut:]
                try:
                    self._append(step, body)
                except OSError:
                    return  # the next write says so to somebody who can act

    def _append(self, step: int, body: bytes) -> None:
        """Whole lines of a step, as far as the limit allows."""
        if self._full:
            return
        room = self._limit - self._size
        if len(body) + 24 * body.count(b"\n") > room:
            self._full = True
            body = body[: body.rfind(b"\n", 0, max(0, room)) + 1]
            if body:
                self._frame(step, body)
            self.say(f"headgate: the log has reached its limit of {self._limit:,} bytes; what follows is not kept")
        else:
            self._frame(step, body)

    def _frame(self, step: int, body: bytes) -> None:
        """Write lines that fit. Many lines cost as little as one: this is where a noisy build spends our time."""
        if not self._held():
            return
        if not body.isascii():
            body = body.decode("utf-8", "replace").encode()
        if step not in (self._step, OURS):
            self._step = step
            self._mark(step)
        elif self._lines - self._marked >= EVERY:
            self._mark(MARK)
        prefix = b"%d\t%d\t" % (self._base + (time.monotonic() - self._began) * 1000, step)
        framed = prefix + body[:-1].replace(b"\n", b"\n" + prefix) + b"\n"
        try:
            self._put(self._log, framed)
        except OSError:
            with contextlib.suppress(OSError):  # what failed is told, not this
                os.ftruncate(self._log, self._size)  # half a line would be glued to whatever fits later
            raise
        self._size += len(framed)
        self._lines += body.count(b"\n")
        if self._index is None and self._size > SMALL:
            self._open_index()
        self._wake()

    def _mark(self, step: int) -> None:
        self._marked = self._lines
        record = RECORD.pack(self._lines, self._size, step)
        if self._index is None:
            self._unwritten += record
        else:
            self._put(self._index, record)

    def _open_index(self) -> None:
        self._index = os.open(self._index_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._put(self._index, self._unwritten)
        self._unwritten = b""

    @staticmethod
    def _put(descriptor: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:  # whoever reads this sees no file name, and must know which disk to look at
            raise OSError(error.errno, f"the build's log cannot be written: {error.strerror}") from error

    def _wake(self) -> None:
        """Now when they slept for a while, else in a moment together with what comes until then."""
        if not self._followers or self._waking is not None:
            return
        wait = self._woken_at + TOGETHER - time.monotonic()
        if wait <= 0:
            self._wake_all()
        else:
            self._waking = asyncio.get_running_loop().call_later(wait, self._wake_all)

    def _wake_all(self) -> None:
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        self._woken_at = time.monotonic()
        for future in self._followers:
            if not future.done():
                future.set_result(None)

    def _continue(self, path: Path) -> tuple[int, int]:
        """Lines and bytes that are there already; the half of a line that a crash left is cut off."""
        self._base = 0
        size = os.fstat(self._log).st_size
        if size == 0:
            self._index_path.unlink(missing_ok=True)
            return 0, 0
        tail_at = max(0, size - 2 * LONGEST)
        tail = os.pread(self._log, size - tail_at, tail_at)
        size = tail_at + tail.rfind(b"\n") + 1
        os.truncate(self._log, size)
        if self._index_path.exists():
            self._open_index()
            os.truncate(self._index_path, self._index_path.stat().st_size // RECORD.size * RECORD.size)
        else:
            self._unwritten = b"".join(RECORD.pack(*record) for record in LogReader(path).records())
        lines = 0
        for line in LogReader(path).lines_from(0):
            lines, self._base = line.number + 1, line.milliseconds
        return lines, size


def _split(body: bytes) -> bytes:
    """Whole lines with the long ones split."""
    parts: list[bytes] = []
    for line in body[:-1].split(b"\n"):
        rest = line
        while len(rest) > LONGEST:
            cut = _whole_characters(rest, LONGEST)
            parts.append(rest[:cut])
            rest = rest[cut:]
        parts.append(rest)
    return b"\n".join(parts) + b"\n"


def _whole_characters(data: bytes, end: int) -> int:
    """The last place up to `end` that cuts no UTF-8 character; `end` itself where the bytes are no UTF-8."""
    for at in range(end - 1, max(end - 4, -1), -1):
        byte = data[at]
        if byte < 0x80:  # noqa: PLR2004 - ASCII
            return end
        if byte >= 0xC0:  # noqa: PLR2004 - the first byte of a character says how long it is
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4  # noqa: PLR2004 - likewise
            return at if at + length > end else end
    return end
