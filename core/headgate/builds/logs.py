"""All logs by build, and following one while it grows; not their format."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from headgate import api
from headgate.builds.log_format import LogLine, LogPage, LogReader
from headgate.builds.log_writer import LogWriter
from headgate.credentials.redaction import Redactor

_POLL = 0.5
"""Seconds between two looks at a log that another process writes, or that nobody writes yet."""

_BATCH = 2_000
"""Lines read at once."""

_BATCH_BYTES = 131_072
"""Bytes read at once, about: what one follower that reads no further may hold."""

_SHARED = 16
"""Pages kept for followers who come to the same line a moment later."""

_log = structlog.get_logger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Logs:
    """The folder of logs. Made once; the worker opens writers in it, readers and followers come as they like."""

    def __init__(self, root: Path) -> None:
        """`root` is made when the first log is."""
        self._root = root
        self._open: dict[str, LogWriter] = {}
        self._pages: dict[tuple[str, int], tuple[LogPage, int | None]] = {}
        self._changing = threading.Lock()  # writers are made in threads, since that can take the disk a while

    def writer(
        self, build_id: str, *, redactor: Redactor, limit: int, held: Callable[[], bool] = lambda: True
    ) -> LogWriter:
        """Begin the build's log, or go on with that of an attempt before; `limit` in bytes.

        `held` says whether the build is still the writer's; what comes when it is not is dropped.
        """
        writer = LogWriter(
            self._path(build_id),
            masking=redactor.stream,
            limit=limit,
            closed=lambda: self._forget(build_id),
            held=held,
        )
        self._open[build_id] = writer
        with self._changing:
            for place in [place for place in self._pages if place[0] == build_id]:
                del self._pages[place]  # a line that a crash cut off is written anew
        return writer

    def say(self, build: api.Build, *, redactor: Redactor, limit: int) -> None:
        """What became of a build whose log nobody writes any more, as its last line."""
        try:
            log = self.writer(build.id, redactor=redactor, limit=limit)
            log.say(f"headgate: {build.outcome or build.state}: {build.reason}")
            log.close()
        except OSError as error:
            _log.error("log_not_written", build_id=build.id, error=str(error))

    def _forget(self, build_id: str) -> None:
        self._open.pop(build_id, None)

    def reader(self, build_id: str) -> LogReader:
        """The build's log, empty when it has none."""
        return LogReader(self._path(build_id))

    async def follow(
        self, build_id: str, *, first: int = 0, done: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[tuple[LogLine, ...]]:
        """Lines from number `first` on, in batches as they come, until the build is finished and all is told.

        `done` says whether the build is finished; it is asked only while nobody in this process writes the log.
        """
        reader = self.reader(build_id)
        offset: int | None = None
        while True:
            writer = self._open.get(build_id)
            finished = writer is None and await done()
            size = writer.size if writer is not None else 0
            more = True
            while more:
                page, offset = self._page(build_id, reader, first, offset)
                first, more = page.next, page.more
                if page.lines:
                    yield page.lines
            if finished:
                return
            if writer is None:
                await asyncio.sleep(_POLL)
            else:
                await writer.wait(size if offset is None else offset)

    def _page(self, build_id: str, reader: LogReader, first: int, offset: int | None) -> tuple[LogPage, int | None]:
        """The page that begins at line `first`, read once for all who follow closely: lines never change.

        One that was not full ends where the log did when it was read; the next one goes on from there.
        """
        kept = self._pages.get((build_id, first))
        if kept is not None:
            return kept
        page, offset = reader.after(first, _BATCH, offset, size=_BATCH_BYTES)
        if page.lines:
            # Whether there is more is asked again: it is about the moment of reading.
            kept = msgspec.structs.replace(page, more=True), offset
            with self._changing:
                while len(self._pages) >= _SHARED:
                    del self._pages[next(iter(self._pages))]
                self._pages[build_id, first] = kept
        return page, offset

    def _path(self, build_id: str) -> Path:
        if not _NAME.fullmatch(build_id):
            raise api.QueueError("a build's id holds letters, digits, - and _ only")
        return self._root / f"{build_id}.log"
