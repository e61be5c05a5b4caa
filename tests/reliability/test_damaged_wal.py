"""Write-ahead logs cut at every border and flipped at hundreds of places: what was committed is there, or it is said.

SQLite itself says nothing: it takes whatever follows damage for the remains of a crash.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
import wal_writer
from disks import CONFIG, JOBS, Pushes, built, health, until_health
from live import Headgate
from soak import LONG

from headgate.storage import damage, wal
from headgate.storage.errors import StorageDamaged

ROWS = 24
FLIPS = 3_000 if LONG else 300
FRAME = 24 + 4096
MOVED = ("none", "half", "all")

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(1_200 if LONG else 120)]


class Found(NamedTuple):
    """What became of one damaged copy: `rows` that can be read, or `refused`; `said`: that something is wrong."""

    rows: int
    refused: bool
    said: bool

    @property
    def silent(self) -> bool:
        """Committed rows are gone without a word."""
        return self.rows < ROWS and not (self.refused or self.said)


@pytest.fixture(autouse=True)
def said():
    """What was logged, here and not on the screen, where hundreds of copies would say the same."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(params=MOVED)
def killed(request, tmp_path):
    """A database whose writer was killed."""
    database = tmp_path / "killed" / "headgate.db"
    database.parent.mkdir()
    program = [sys.executable, wal_writer.__file__, str(database), str(ROWS), request.param]
    assert subprocess.run(program, check=False).returncode == -9
    return database


def copy(database: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(database.parent, to)
    return to / database.name


def opened(database: Path) -> Found:
    """Look at it as a start does, then read everything as SQLite shows it. Whatever can be read is what was written."""
    try:
        damage.look_at_wal(database)
        damage.look_after_crash(database)
    except StorageDamaged:
        return Found(rows=0, refused=True, said=True)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'kept'").fetchone()[0]
        rows = connection.execute("SELECT number, body FROM kept ORDER BY number").fetchall() if tables else []
    assert rows == [(number, wal_writer.body(number)) for number in range(len(rows))], "no prefix of what was committed"
    return Found(rows=len(rows), refused=False, said=bool(damage.evidence(database)))


def cuts(size: int) -> list[int]:
    """Every border of frames, and three places inside of each."""
    borders = range(32, size, FRAME)
    inside = [border + more for border in borders for more in (7, 24, 2_000)]
    return [0, 13, *borders, *inside]


def flips(size: int) -> list[tuple[int, int]]:
    chosen = random.Random(20261121)
    return [(chosen.randrange(size), 1 << chosen.randrange(8)) for _ in range(FLIPS)]


def flip(path: Path, at: int, mask: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def test_what_a_killed_writer_left_is_whole_and_nothing_is_said(killed, tmp_path):
    assert opened(copy(killed, tmp_path / "copy")) == Found(rows=ROWS, refused=False, said=False)


def test_a_log_cut_anywhere_is_a_prefix_and_a_loss_is_said(killed, tmp_path):
    size = wal.wal_of(killed).stat().st_size
    found = []
    for cut in cuts(size):
        database = copy(killed, tmp_path / "copy")
        with wal.wal_of(database).open("r+b") as file:
            file.truncate(cut)
        found.append(opened(database))
    _tell(f"{len(found)} cuts", found)
    assert not [one for one in found if one.silent]
    assert all(one.said for one in found), "each of these cuts took something committed from the log"


def test_a_flipped_bit_anywhere_in_the_log_loses_nothing_in_silence(killed, tmp_path):
    found = []
    for at, mask in flips(wal.wal_of(killed).stat().st_size):
        database = copy(killed, tmp_path / "copy")
        flip(wal.wal_of(database), at, mask)
        found.append(opened(database))
    _tell(f"{FLIPS} flips", found)
    assert not [one for one in found if one.silent]


def test_without_its_index_a_log_that_goes_on_behind_damage_is_said_to_be_damaged(killed, tmp_path):
    """The index is gone after some crashes of a machine. What cannot be told then is only the last transaction."""
    for at, mask in flips(wal.wal_of(killed).stat().st_size - 4 * FRAME)[:100]:
        database = copy(killed, tmp_path / "copy")
        wal.index_of(database).unlink()
        flip(wal.wal_of(database), at, mask)
        assert not opened(database).silent, at


def test_control_sqlite_alone_loses_committed_rows_without_a_word(killed, tmp_path, monkeypatch):
    monkeypatch.setattr(wal, "examine", lambda _: None)
    lost = 0
    for at, mask in flips(wal.wal_of(killed).stat().st_size)[:60]:
        database = copy(killed, tmp_path / "copy")
        flip(wal.wal_of(database), at, mask)
        try:
            lost += opened(database).silent
        except (AssertionError, sqlite3.DatabaseError):
            lost += 1  # worse: old pages among new ones
    assert lost > 10


def _tell(what: str, found: list[Found]) -> None:
    whole = sum(one.rows == ROWS for one in found)
    refused = sum(one.refused for one in found)
    print(f"{what}: {whole} whole, {len(found) - whole - refused} a prefix, {refused} refused, ", end="")
    print(f"{sum(one.said for one in found)} said, {sum(one.silent for one in found)} silent")


async def test_a_server_says_that_its_log_was_damaged_until_somebody_has_seen_to_it(tmp_path):
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    database = headgate.folder / "data" / "headgate.db"
    pushes = Pushes(headgate, seed=31)
    try:
        await headgate.start()
        for _ in range(10):
            assert (await pushes.post())[0] == 202
        await built(headgate, pushes.acknowledged)
        assert (await pushes.post())[0] == 202
        await headgate.kill()
        flip(wal.wal_of(database), 32 + 24 + 100, 4)
        await headgate.start()
        (kept,) = damage.evidence(database)
        assert "the write-ahead log of the database was damaged" in headgate.output.read_text()
        await until_health(headgate, "database", says=kept.name)
        assert (await pushes.post())[0] == 202, "it serves all the same"
        await headgate.kill()
        await headgate.start()
        await until_health(headgate, "database", says=kept.name)
        kept.unlink()
        await until_health(headgate, "database", says="")
        assert "database" not in await health(headgate)
        assert await headgate.stop() == 0
    finally:
        headgate.close()
