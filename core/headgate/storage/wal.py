"""What a write-ahead log holds against what was committed to it; not SQLite's own recovery, which is silent.

SQLite reads a WAL up to the first frame that is damaged and takes the rest for the remains of a crash: acknowledged
transactions vanish without a word. Worse, frames that a checkpoint had moved into the database are replayed up to
the damage only, which puts old pages among new ones. Yet the WAL index (`-shm`), which survives a `kill -9` and
mostly also the machine, says how many frames were committed and how many were moved: so we read it before SQLite
does, and compare. Formats: https://www.sqlite.org/fileformat2.html#walformat, https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from pathlib import Path

import msgspec

_HEADER = 32
_FRAME = struct.Struct(">4xI8s8x")  # after the page's number: the pages of a committed database, the salts
_MAGIC = (0x377F0682, 0x377F0683)
_INDEX = struct.Struct("=16xI12x8s8s")  # one copy of the index' header: frames, salts, checksum
_SIGNED = 40
_MOVED = struct.Struct("=I28xI")  # after its two copies: frames moved into the database, frames begun to be moved
_MASK = 0xFFFF_FFFF


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What the WAL index said: frames committed, moved into the database, begun to be moved; the WAL it is of."""

    committed: int
    moved: int
    begun: int
    salts: bytes


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Damage. `lost` frames are gone whatever is done, at most as many transactions.

    `set_aside`: the database file alone is complete up to there, and what is left of the WAL would take it back.
    """

    lost: int
    set_aside: bool


def wal_of(database: Path) -> Path:
    """The write-ahead log beside a database."""
    return database.with_name(database.name + "-wal")


def index_of(database: Path) -> Path:
    """The index of the write-ahead log, shared memory in a file."""
    return database.with_name(database.name + "-shm")


def examine(database: Path) -> Loss | None:
    """Whether committed frames cannot be read any more. For whoever holds the lock, before anybody opens the database.

    Raises `sqlite3.Error` for what is no database. Without an index, damage is seen when two or more transactions
    stand behind the first damaged frame: one may be what a power cut left of a transaction nobody was told about.
    """
    wal = wal_of(database)
    index = _index(index_of(database))
    salts = _salts(wal)
    if index is not None and salts not in (None, index.salts):
        index = None  # of another WAL; the one that is there has begun since
    if not wal.exists() and index is None:
        return None
    readable = _readable(database)
    if index is not None and readable < index.committed:
        if readable < index.moved == index.begun:
            lost = index.committed - index.moved
            return Loss(lost=lost, set_aside=True) if lost or wal.exists() else None
        return Loss(lost=index.committed - readable, set_aside=False)
    behind = _commits_behind(wal, readable)
    return Loss(lost=behind, set_aside=False) if behind > 1 else None


def _index(path: Path) -> Index | None:
    try:
        raw = path.read_bytes()[: 2 * _INDEX.size + _MOVED.size]
    except FileNotFoundError:
        return None
    if len(raw) < 2 * _INDEX.size + _MOVED.size:
        return None
    moved, begun = _MOVED.unpack_from(raw, 2 * _INDEX.size)
    for at in (0, _INDEX.size):  # the first copy is written last
        committed, salts, checksum = _INDEX.unpack_from(raw, at)
        if checksum == _checksum(raw[at : at + _SIGNED]) and committed:
            return Index(committed=committed, moved=moved, begun=max(moved, begun), salts=salts)
    return None


def _checksum(raw: bytes) -> bytes:
    first = second = 0
    for one, two in struct.iter_unpack("=II", raw):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return struct.pack("=II", first, second)


def _salts(wal: Path) -> bytes | None:
    """The salts of a WAL whose header is sound."""
    try:
        with wal.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return None
    if len(header) < _HEADER or int.from_bytes(header[:4], "big") not in _MAGIC:
        return None
    order = ">" if header[3] & 1 else "<"
    first = second = 0
    for one, two in struct.iter_unpack(f"{order}II", header[:24]):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return header[16:24] if struct.pack(">II", first, second) == header[24:] else None


def _readable(database: Path) -> int:
    """How many frames SQLite takes: what it writes into the index it makes. Read-only, it moves none of them."""
    if database.stat().st_size == 0:
        return 0
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        made = _index(index_of(database))
    return made.committed if made else 0


def _commits_behind(wal: Path, readable: int) -> int:
    """Transactions of the same WAL that end behind its readable frames."""
    try:
        file = wal.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        header = file.read(_HEADER)
        size = os.fstat(file.fileno()).st_size
        if len(header) < _HEADER:
            return 0
        page = int.from_bytes(header[8:12], "big")
        salts = header[16:24]
        if _salts(wal) is None:  # the header itself is damaged: what it said, the first frame says too
            page = _page_size(file.fileno(), size)
            salts = os.pread(file.fileno(), 8, _HEADER + 8)
        if not page:
            return 0
        step = page + _FRAME.size
        frames = range(_HEADER + readable * step, size - _FRAME.size + 1, step)
        found = [_FRAME.unpack(os.pread(file.fileno(), _FRAME.size, at)) for at in frames]
    return sum(1 for pages, of in found if pages and of == salts)


def _page_size(descriptor: int, size: int) -> int:
    """The distance of the first two frames, which have the same salts; 0 when there are none."""
    salts = os.pread(descriptor, 8, _HEADER + 8)
    for power in range(9, 17):
        at = _HEADER + (1 << power) + _FRAME.size
        if at + _FRAME.size <= size and os.pread(descriptor, 8, at + 8) == salts:
            return 1 << power
    return 0
