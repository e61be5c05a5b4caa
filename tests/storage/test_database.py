"""Opening: one process, the right schema, sound after a crash; and what was acknowledged survives `kill -9`."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.storage import damage, deliveries, dialect
from headgate.storage import database as opening
from headgate.storage.database import open_database
from headgate.storage.errors import Busy, StorageDamaged, StorageRefused
from headgate.storage.schema import migrate

HOLDER = """
import asyncio, sys
from headgate.storage.database import open_database

async def main():
    async with open_database(sys.argv[1], on_fatal=print):
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""

RECORDER = """
import asyncio, os, sys
from datetime import UTC, datetime
from headgate.api import Delivery
from headgate.storage import deliveries
from headgate.storage.database import open_database
from headgate.storage.ids import new_id

async def caller(database):
    while True:
        now = datetime.now(UTC)
        delivery = Delivery(id=new_id("d", now), connection="c", received_at=now, headers=(), body=b"x" * 2000)
        answer = await database.writer.add(deliveries.record, deliveries.NewDelivery(delivery=delivery, key=delivery.id))
        os.write(1, f"{answer.id}\\n".encode())

async def main():
    async with open_database(sys.argv[1], on_fatal=print) as database:
        await asyncio.gather(*(caller(database) for _ in range(32)))

asyncio.run(main())
"""


def start(program, url, **more):
    core = Path(opening.__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", program, url],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(core)},
        **more,
    )


def end(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.wait(10)
    process.stdout.close()


async def test_a_second_process_is_refused_and_told_who_was_first(url, fatal):
    first = start(HOLDER, url)
    try:
        assert first.stdout.readline() == b"open\n"
        for attempt in (lambda: migrate(url), lambda: open_database(url, on_fatal=fatal.append).__aenter__()):
            with pytest.raises(StorageRefused, match=f"another process uses .*pid {first.pid}"):
                await result if (result := attempt()) else None
    finally:
        end(first)
    async with open_database(url, on_fatal=fatal.append):
        """The lock died with its process."""


async def test_without_the_lock_two_would_write(url, fatal, make_delivery, monkeypatch):
    """Negative control: SQLite alone lets a second process in."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    first = start(HOLDER, url)
    try:
        assert first.stdout.readline() == b"open\n"
        async with open_database(url, on_fatal=fatal.append) as database:
            await database.writer.add(deliveries.record, make_delivery())
    finally:
        end(first)


@pytest.mark.reliability
@pytest.mark.parametrize("attempt", range(3))
async def test_what_was_answered_survives_kill_9(url, fatal, attempt):
    """Whatever the killed process had printed as recorded is there, whole, and can be worked on."""
    process = start(RECORDER, url)
    printed = b""
    deadline = time.monotonic() + 30
    while printed.count(b"\n") < 200 * (attempt + 1) and time.monotonic() < deadline:
        printed += os.read(process.stdout.fileno(), 65_536)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    while more := os.read(process.stdout.fileno(), 65_536):
        printed += more
    process.stdout.close()
    acknowledged = printed.decode().split("\n")[:-1]
    assert len(acknowledged) >= 200
    async with open_database(url, on_fatal=fatal.append) as database, database.reading() as conn:
        found = {one.delivery.id: one.delivery for one in await deliveries.pending(conn, limit=100_000)}
    assert set(acknowledged) <= set(found)
    assert all(len(delivery.body) == 2_000 for delivery in found.values())


async def test_commits_are_synchronised_and_references_checked(database):
    async def pragmas(conn):
        names = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        return [(await conn.execute(sa.text(f"PRAGMA {name}"))).scalar() for name in names]

    full = 2
    assert await database.writer.write(pragmas) == ["wal", full, 1, 0]


async def test_an_error_does_not_carry_values_into_the_log(database, make_delivery):
    new = make_delivery(body=b"a secret of the sender")
    with pytest.raises(Exception, match="UNIQUE") as caught:
        await database.writer.write(lambda conn: deliveries.record(conn, [new, new]))
    assert "secret" not in str(caught.value)
    assert new.delivery.id not in str(caught.value)


async def test_a_missing_database_is_not_made_by_opening_it(tmp_path, fatal):
    with pytest.raises(StorageRefused, match=r"there is no database at .*run: headgate migrate"):
        async with open_database(f"sqlite+aiosqlite:///{tmp_path}/none.db", on_fatal=fatal.append):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_an_older_schema_must_be_migrated_first(url, fatal):
    connection = sqlite3.connect(dialect.file_of(url))
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    with pytest.raises(StorageRefused, match="has schema 0000, this Headgate needs"):
        async with open_database(url, on_fatal=fatal.append):
            pass


async def test_a_file_that_is_no_database_is_refused(url, fatal):
    dialect.file_of(url).write_bytes(b"no database at all, whatever it was " * 1_000)
    with pytest.raises(StorageRefused, match="file is not a database"):
        async with open_database(url, on_fatal=fatal.append):
            pass


async def damaged(url, fatal, make_delivery):
    """A database with a page of zeros in the middle, as a bad disk leaves it."""
    async with open_database(url, on_fatal=fatal.append) as database:
        for _ in range(50):
            await database.writer.add(deliveries.record, make_delivery(body=b"x" * 900))
    file = dialect.file_of(url)
    connection = sqlite3.connect(file)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'delivery_contents'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with file.open("r+b") as out:
        out.seek((page - 1) * size)
        out.write(b"\xff" * size)
    return file


async def test_damage_is_found_after_a_crash(url, fatal, make_delivery):
    file = await damaged(url, fatal, make_delivery)
    file.with_name(file.name + ".lock").write_text("running, pid 1\n")
    with pytest.raises(StorageRefused, match="is damaged"):
        async with open_database(url, on_fatal=fatal.append):
            pass


async def test_a_crash_is_remembered_until_somebody_looked_for_damage(url, fatal, make_delivery):
    """A start migrates first, which looks for nothing; and one refusal does not make the file sound."""
    file = await damaged(url, fatal, make_delivery)
    file.with_name(file.name + ".lock").write_text("running, pid 1\n")
    migrate(url)
    for _ in range(2):
        with pytest.raises(StorageDamaged, match="restore a backup"):
            async with open_database(url, on_fatal=fatal.append):
                pass


async def test_after_an_orderly_stop_nobody_looks_for_damage(url, fatal, make_delivery):
    """Negative control of the test above, and the price of a quick start: it is met when it is read."""
    await damaged(url, fatal, make_delivery)
    async with open_database(url, on_fatal=fatal.append) as database, database.reading() as conn:
        with pytest.raises(Exception, match="malformed"):
            await deliveries.pending(conn, limit=100)


async def test_looking_for_damage_ends_in_time(url, fatal, monkeypatch):
    monkeypatch.setattr(damage, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(damage, "_PROGRESS_STEPS", 1)
    file = dialect.file_of(url)
    file.with_name(file.name + ".lock").write_text("running, pid 1\n")
    async with open_database(url, on_fatal=fatal.append):
        pass


async def test_an_orderly_stop_leaves_one_file(url, fatal, make_delivery):
    """The last connection moves the whole WAL: a copy of the file is a backup."""
    async with open_database(url, on_fatal=fatal.append) as database:
        await database.writer.add(deliveries.record, make_delivery())
        assert dialect.file_of(url).with_name("headgate.db-wal").exists()
    names = {path.name for path in dialect.file_of(url).parent.iterdir()}
    assert names == {"headgate.db", "headgate.db.lock"}


@pytest.mark.parametrize("own", [True, False], ids=["own readers", "control"])
async def test_a_crowd_of_requests_keeps_no_room_from_reading(url, monkeypatch, own):
    """Negative control: a room that reads with the requests' connections has to end for want of one."""
    monkeypatch.setattr(dialect, "PATIENCE", 0.2)
    async with open_database(url, on_fatal=print) as database:
        leave = asyncio.Event()

        async def read():
            async with database.for_requests.reading():
                await leave.wait()

        crowd = [asyncio.create_task(read()) for _ in range(3 * dialect.READERS)]
        refused, _ = await asyncio.wait(crowd, timeout=2)
        room = database if own else database.for_requests
        with nullcontext() if own else pytest.raises(Busy):
            async with room.reading() as connection:
                assert (await connection.execute(sa.text("SELECT 1"))).scalar() == 1
        leave.set()
        await asyncio.wait(crowd)
        assert [type(one.exception()) for one in refused] == [Busy] * 2 * dialect.READERS
