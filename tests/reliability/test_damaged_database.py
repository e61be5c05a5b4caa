"""A database file with flipped bits: harmless, or refused at the start, or seen when it is used; never a wrong structure.

What SQLite cannot see is a bit flipped inside of a value: a letter of a reason, a byte of a body. The programs here
count those; docs/reliability.md says what that means.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from disks import CONFIG, JOBS, Pushes, built, exit_code, last_line
from live import Headgate
from soak import LONG

from headgate.storage import build_reads, deliveries, explanations
from headgate.storage.database import open_database
from headgate.storage.errors import StorageDamaged, StorageRefused

FLIPS = 2_000 if LONG else 200
OUR_FAULT = 70

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(3_000 if LONG else 300)]


@pytest.fixture
async def stopped(tmp_path):
    """A real server that has built some pushes and stopped in order."""
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    pushes = Pushes(headgate, seed=51)
    await headgate.start()
    try:
        for _ in range(40):
            assert (await pushes.post())[0] == 202
        await built(headgate, pushes.acknowledged)
        assert await headgate.stop() == 0
    finally:
        headgate.close()
    headgate.output.write_text("")
    yield headgate
    headgate.close()


def flips(size: int) -> list[tuple[int, int]]:
    chosen = random.Random(20261122)
    return [(chosen.randrange(size), 1 << chosen.randrange(8)) for _ in range(FLIPS)]


def tables(file: Path) -> dict[str, list[Any]]:
    """Every value of every table, as SQLite shows it."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.text_factory = bytes  # a flipped bit may be no UTF-8 any more
        names = [
            row[0].decode()
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        return {name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for name in names}


async def used(url: str) -> None:
    """What a server does with it: route what waits, list, explain."""
    fatal: list[BaseException] = []
    async with open_database(url, on_fatal=fatal.append) as database:
        await database.probe()
        async with database.reading() as connection:
            await deliveries.pending(connection, limit=100)
            for one in (await deliveries.page(connection, limit=100)).items:
                await deliveries.get(connection, one.id)
                await explanations.explain_delivery(connection, one.id)
            await build_reads.page(connection, limit=100)


async def outcome(file: Path, sound: dict[str, list[Any]], *, after_crash: bool) -> str:
    """What becomes of one damaged file."""
    if after_crash:
        file.with_name(f"{file.name}.lock").write_text("running, pid 1\n")
    try:
        await used(f"sqlite+aiosqlite:///{file}")
    except (StorageDamaged, StorageRefused):
        return "refused at the start"
    except Exception:  # noqa: BLE001 - whatever it is: the answer is no 2xx
        return "seen in use"
    try:
        now = await asyncio.to_thread(tables, file)
    except sqlite3.DatabaseError:
        return "in what nobody read"
    if now == sound:
        return "harmless"
    if {name: len(rows) for name, rows in now.items()} != {name: len(rows) for name, rows in sound.items()}:
        return "other rows"
    different = sum(len(set(now[name]) - set(rows)) for name, rows in sound.items())
    return "another value" if different == 1 else "other rows"


@pytest.mark.parametrize("after_crash", [True, False], ids=["after a crash", "after an orderly stop"])
async def test_a_flipped_bit_is_harmless_or_seen_or_one_value(stopped, tmp_path, after_crash):
    original = stopped.folder / "data" / "headgate.db"
    sound = tables(original)
    found: collections.Counter[str] = collections.Counter()
    copy = tmp_path / "copy" / original.name
    for at, mask in flips(original.stat().st_size):
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        raw = bytearray(original.read_bytes())
        raw[at] ^= mask
        copy.write_bytes(raw)
        found[await outcome(copy, sound, after_crash=after_crash)] += 1
    print(f"{FLIPS} flips: {dict(found)}")
    assert found["harmless"] < FLIPS, "the flips hit something"
    assert found["refused at the start"] + found["seen in use"] > 0
    if after_crash:
        assert found["refused at the start"] > FLIPS // 10
        assert not found["other rows"] + found["in what nobody read"], "the start looks at all of a small file"
    else:  # the control: nobody looked, so much of the same damage is met later
        assert found["refused at the start"] < FLIPS // 20


async def test_damage_that_is_met_in_use_ends_the_server_and_the_next_start_is_refused(stopped):
    file = stopped.folder / "data" / "headgate.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'delivery_contents'").fetchone()
    with file.open("r+b") as damaged:
        damaged.seek((page - 1) * size)
        damaged.write(bytes(size))
    await stopped.start()  # it stopped in order: nobody looks
    one = (await stopped.json("deliveries"))[0]
    await stopped.command("replay", one["id"], code=None)
    assert await exit_code(stopped, within=20) == OUR_FAULT
    said = last_line(stopped)
    assert "the database failed: exiting at once" in said
    assert "SQLITE_CORRUPT" in said
    with pytest.raises(AssertionError, match="did not start"):
        await stopped.start()
    assert await exit_code(stopped, within=20) == OUR_FAULT
    assert "is damaged" in stopped.output.read_text()
    assert "restore a backup" in stopped.output.read_text()
