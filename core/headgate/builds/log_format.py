r"""How a log stands on disk, and reading it, also while it is being written; not who writes it.

A line of `<build>.log` is `<milliseconds since the build began>\t<step>\t<text>\n` in UTF-8; step 0 is Headgate
itself, others count from 1. `<build>.idx` holds records of three 64-bit numbers (line, byte offset, step): one
where a step begins, and one about every thousand lines with the step `MARK`, enough to find a line without
reading all. A log that stayed small has none: making a file costs more than reading that much.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

MARK: Final = 2**64 - 1
"""The step of an index record that only marks a line."""

OURS: Final = 0
"""The step of what Headgate itself says."""

EVERY: Final = 1_000
"""Lines between two marks, at least."""

SMALL: Final = 65_536
"""Bytes up to which a log needs no index."""

RECORD = struct.Struct("<QQQ")
_PAGE_BYTES = 4_194_304


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `number` counts from 0; `step` 0 is Headgate itself, others count from 1."""

    number: int
    milliseconds: int
    step: int
    text: str


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines. `next` is the number after the last one; `more`: there are further lines now."""

    lines: tuple[LogLine, ...]
    next: int
    more: bool


class LogReader:
    """Reads a log, also one that is being written."""

    def __init__(self, path: Path) -> None:
        """`path`: the `.log` file, which need not be there yet."""
        self._path = path

    def page(self, first: int = 0, limit: int = 1_000) -> LogPage:
        """Lines from number `first` on, at most `limit` of them and 4 MiB."""
        page, _ = self._read(first, limit, self._find(first))
        return page

    def after(
        self, first: int, limit: int, offset: int | None, *, size: int = _PAGE_BYTES
    ) -> tuple[LogPage, int | None]:
        """As `page`, for one who goes on reading: give back the second value as `offset`. `size`: bytes, about.

        `None`: the log does not reach line `first` yet.
        """
        return self._read(first, limit, self._find(first) if offset is None else (first, offset), size)

    def lines_from(self, first: int) -> Iterator[LogLine]:
        """All lines from number `first` on, read a page at a time."""
        offset: int | None = None
        more = True
        while more:
            page, offset = self.after(first, EVERY, offset)
            yield from page.lines
            first, more = page.next, page.more

    def steps(self) -> dict[int, int]:
        """The first line of each step that has said something."""
        found: dict[int, int] = {}
        for line, _, step in self.records():
            if step != MARK:
                found.setdefault(step, line)
        return found

    def records(self) -> list[tuple[int, int, int]]:
        """The index, in order: (line, offset, step)."""
        try:
            raw = self._path.with_suffix(".idx").read_bytes()
        except FileNotFoundError:
            return self._of_small()
        return list(RECORD.iter_unpack(raw[: len(raw) // RECORD.size * RECORD.size]))

    def _of_small(self) -> list[tuple[int, int, int]]:
        """The records that a log without an index would have; it is small, or begins so."""
        try:
            with self._path.open("rb") as file:
                raw = file.read(SMALL)
        except FileNotFoundError:
            return []
        records: list[tuple[int, int, int]] = []
        offset, last = 0, OURS
        for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(keepends=True)):
            step = _line(number, line).step
            if step not in (last, OURS):
                records.append((number, offset, step))
                last = step
            offset += len(line)
        return records

    def _find(self, line: int) -> tuple[int, int]:
        """The nearest indexed (line, offset) at or before `line`."""
        best = (0, 0)
        if line > 0:
            for number, offset, _ in self.records():
                if best[0] <= number <= line:
                    best = number, offset
        return best

    def _read(
        self, first: int, limit: int, start: tuple[int, int], most: int = _PAGE_BYTES
    ) -> tuple[LogPage, int | None]:
        number, offset = start
        lines: list[LogLine] = []
        size = 0
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return LogPage(lines=(), next=first, more=False), offset if number == first else None
        with file:
            file.seek(offset)
            for raw in _whole_lines(file):
                if number >= first:
                    if len(lines) >= limit or size > most:
                        return LogPage(lines=tuple(lines), next=number, more=True), offset
                    lines.append(_line(number, raw))
                    size += len(raw)
                number += 1
                offset += len(raw)
        if number < first:
            return LogPage(lines=(), next=first, more=False), None
        return LogPage(lines=tuple(lines), next=number, more=False), offset


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their break; the last one without a break is still being written."""
    for raw in file:
        if raw.endswith(b"\n"):
            yield raw


def _line(number: int, raw: bytes) -> LogLine:
    time_, _, rest = raw[:-1].partition(b"\t")
    step, _, text = rest.partition(b"\t")
    return LogLine(
        number=number,
        milliseconds=int(time_) if time_.isdigit() else 0,
        step=int(step) if step.isdigit() else OURS,
        text=text.decode("utf-8", "replace"),
    )
