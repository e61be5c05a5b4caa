"""Group commit: shared fsyncs, answers only after them, faults that stay with the one who made them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa

from headgate.storage import deliveries, dialect, writer
from headgate.storage.database import open_database
from headgate.storage.errors import Busy, StorageClosed, StorageFailed, StorageFull

COUNT = sa.text("SELECT count(*) FROM deliveries")


class Gate:
    """Holds the writer inside a unit, so that what comes meanwhile gathers."""

    def __init__(self, database):
        self.database = database
        self.entered = threading.Event()
        self.open = threading.Event()

    async def __aenter__(self):
        async def hold(conn):
            self.entered.set()
            self.open.wait(10)

        self.task = asyncio.create_task(self.database.writer.write(hold))
        await until(self.entered.is_set)
        return self

    async def __aexit__(self, *_):
        self.open.set()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition, seconds=5.0):
    """Polls with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def committed(url):
    """What another program sees in the file now."""
    with sqlite3.connect(dialect.file_of(url)) as other:
        count = other.execute("SELECT count(*) FROM deliveries").fetchone()[0]
    other.close()
    return count


def key_is_committed(url, key):
    with sqlite3.connect(dialect.file_of(url)) as other:
        found = other.execute("SELECT 1 FROM deliveries WHERE key = ?", (key,)).fetchone()
    other.close()
    return found is not None


async def test_what_waits_together_is_one_call_and_one_transaction(database, make_delivery):
    calls, begun = [], 0

    async def record(conn, values):
        calls.append(len(values))
        return await deliveries.record(conn, values)

    def begins(_conn, _cursor, statement, *_):
        nonlocal begun
        begun += statement == "BEGIN IMMEDIATE"

    engine = database.writer._engine
    async with Gate(database):
        sa.event.listen(engine, "before_cursor_execute", begins)
        new = [make_delivery(key=str(number)) for number in range(50)]
        waiting = [asyncio.create_task(database.writer.add(record, one)) for one in new]
        await until(lambda: database.writer.waiting == 50)
    assert [answer.id for answer in await asyncio.gather(*waiting)] == [one.delivery.id for one in new]
    assert calls == [50]
    assert begun == 1


async def test_no_answer_comes_while_the_commit_takes_its_time(database, make_delivery, monkeypatch):
    """The disk is slow: the caller waits, however long it takes."""
    commit, reached, go_on = sa.RootTransaction.commit, threading.Event(), threading.Event()

    def slow(transaction):
        reached.set()
        go_on.wait(10)
        commit(transaction)

    monkeypatch.setattr(sa.RootTransaction, "commit", slow)
    caller = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
    await until(reached.is_set)
    finished, _ = await asyncio.wait([caller], timeout=0.05)
    assert not finished
    go_on.set()
    await caller


async def test_an_answer_comes_only_after_the_commit(database, url, make_delivery):
    """Another program looks into the file at the moment each caller is answered."""
    seen = []

    async def caller(number):
        await database.writer.add(deliveries.record, make_delivery(key=str(number)))
        seen.append(key_is_committed(url, str(number)))

    await asyncio.gather(*(caller(number) for number in range(5)))
    assert seen == [True] * 5


async def test_an_answer_before_the_commit_would_be_seen(database, url, make_delivery, monkeypatch):
    """Negative control of the test above: a writer that answers as soon as the rows are in is found out."""
    run, commit, answered = writer._run, sa.RootTransaction.commit, threading.Event()

    def run_and_answer(connection, call):
        answers = run(connection, call)
        database.writer._answer(answers)
        return answers

    def slow(transaction):
        answered.wait(10)
        commit(transaction)

    monkeypatch.setattr(writer, "_run", run_and_answer)
    monkeypatch.setattr(sa.RootTransaction, "commit", slow)
    await database.writer.add(deliveries.record, make_delivery())
    assert committed(url) == 0
    answered.set()


async def test_a_raising_unit_harms_no_other_of_its_group(database, make_delivery):
    async def raising(conn):
        await deliveries.record(conn, [make_delivery(key="from the raising unit")])
        raise ValueError("no")

    async with Gate(database):
        before = asyncio.create_task(database.writer.write(lambda conn: deliveries.record(conn, [make_delivery()])))
        bad = asyncio.create_task(database.writer.write(raising))
        after = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
        await until(lambda: database.writer.waiting == 3)
    with pytest.raises(ValueError, match="no"):
        await bad
    await before
    await after
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == 2


async def test_one_bad_value_of_a_batch_is_found_and_the_rest_is_written(database, make_delivery):
    new = [make_delivery(key=str(number)) for number in range(100)]
    new[37] = make_delivery(key="37", body="text is no bytes and no row")
    new[5] = make_delivery()
    twin = new[5]  # the same id again: a constraint of the database, not of Python
    async with Gate(database):
        waiting = [asyncio.create_task(database.writer.add(deliveries.record, one)) for one in [*new, twin]]
        await until(lambda: database.writer.waiting == 101)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    wrong = [index for index, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert wrong == [37, 100]
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == 99  # all but 37, the twin's first telling among them


async def test_without_running_apart_one_bad_value_takes_the_group_along(database, make_delivery, monkeypatch):
    """Negative control: with the second run switched off, innocent callers fail."""

    def all_fail(connection, call):
        return [(waiting, None, ValueError("with the others")) for waiting in call]

    monkeypatch.setattr(writer, "_run_apart", all_fail)
    async with Gate(database):
        good = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
        bad = asyncio.create_task(database.writer.write(lambda conn: conn.execute(sa.text("SELECT nonsense"))))
        await until(lambda: database.writer.waiting == 2)
    for task in (good, bad):
        with pytest.raises(ValueError, match="with the others"):
            await task


async def test_a_batch_that_loses_an_answer_is_refused(database):
    async def forgetful(conn, values):
        return values[1:]

    with pytest.raises(TypeError, match="0 results for 1 values"):
        await database.writer.add(forgetful, 1)


async def test_a_cancelled_caller_is_not_run_and_the_others_go_on(database, make_delivery):
    async with Gate(database):
        gone = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
        stays = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
        await until(lambda: database.writer.waiting == 2)
        gone.cancel()
    await stays
    assert gone.cancelled()
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == 1


async def test_a_caller_cancelled_while_it_is_written_breaks_nothing(database, make_delivery):
    gate = Gate(database)
    async with gate:
        gate.task.cancel()
        await asyncio.wait([gate.task])
    assert gate.task.cancelled()
    assert (await database.writer.add(deliveries.record, make_delivery())).duplicate_of is None


async def test_a_unit_that_cancels_itself_cancels_its_caller_only(database, make_delivery):
    async def cancelled(conn):
        raise asyncio.CancelledError

    task = asyncio.create_task(database.writer.write(cancelled))
    await asyncio.wait([task])
    assert task.cancelled()
    await database.writer.add(deliveries.record, make_delivery())


@pytest.mark.parametrize(("limit", "before"), [(2, 2), (1_000, 20)])
async def test_what_can_wait_takes_turns_with_what_is_waited_for_and_keeps_its_order(
    database, monkeypatch, limit, before
):
    """Negative control: with long groups who waits sits through all of them."""
    monkeypatch.setattr(writer, "LATER_LIMIT", limit)
    order = []

    async def note(conn, values):
        order.extend(values)
        return values

    async def note_later(conn, values):
        return await note(conn, values)

    async with Gate(database):
        later = [database.writer.submit(note_later, number, later=True) for number in range(20)]
        first = database.writer.submit(note, "somebody waits")
        assert database.writer.waiting == 21
    await asyncio.gather(first, *later)
    assert order.index("somebody waits") == before
    order.remove("somebody waits")
    assert order == list(range(20))


@pytest.mark.parametrize(("rest", "at_least", "at_most"), [(1.0, 0.1, 0.6), (0.0, 0.7, 1.0)])
async def test_what_can_wait_has_half_of_the_time_however_long_it_takes(database, monkeypatch, rest, at_least, at_most):
    """Negative control: without a rest, long groups of it leave next to nothing to who waits."""
    monkeypatch.setattr(writer, "LATER_LIMIT", 1)
    monkeypatch.setattr(writer, "LATER_REST", rest)
    spent = []

    async def slow(conn, values):
        begin = time.monotonic()
        time.sleep(0.1)
        spent.append(time.monotonic() - begin)
        return values

    async def note(conn, values):
        return values

    later = [database.writer.submit(slow, number, later=True) for number in range(40)]
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        await database.writer.add(note, None)
    share = sum(spent) / (time.monotonic() - begin)
    for one in later:
        one.cancel()
    assert at_least < share < at_most


async def test_a_unit_that_waits_for_something_else_is_refused_and_harms_nobody(database, make_delivery):
    async def sleeps(conn):
        await deliveries.record(conn, [make_delivery(key="from the unit that waits")])
        await asyncio.sleep(0)

    async with Gate(database):
        bad = asyncio.create_task(database.writer.write(sleeps))
        good = asyncio.create_task(database.writer.add(deliveries.record, make_delivery()))
        await until(lambda: database.writer.waiting == 2)
    with pytest.raises(TypeError, match="waits for something that is not the database"):
        await bad
    await good
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == 1


async def test_too_many_waiting_writes_are_refused_at_once(database, make_delivery):
    database.writer._queue_limit = 3
    async with Gate(database):
        waiting = [asyncio.create_task(database.writer.add(deliveries.record, make_delivery())) for _ in range(3)]
        await until(lambda: database.writer.waiting == 3)
        with pytest.raises(Busy):
            await database.writer.add(deliveries.record, make_delivery())
    await asyncio.gather(*waiting)


async def test_another_program_that_holds_the_database_makes_it_busy_not_broken(url, make_delivery, fatal, monkeypatch):
    monkeypatch.setattr(dialect, "_BUSY_SECONDS", 0.05)
    async with open_database(url, on_fatal=fatal.append) as database:
        other = sqlite3.connect(dialect.file_of(url), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="locked"):
            await database.writer.add(deliveries.record, make_delivery())
        other.execute("ROLLBACK")
        other.close()
        await database.writer.add(deliveries.record, make_delivery())
    assert not fatal


async def test_a_full_disk_fails_the_group_and_the_next_that_fits_is_written(database, make_delivery):
    """`max_page_count` gives SQLite's own SQLITE_FULL."""

    async def pragma(conn, text):
        return (await conn.execute(sa.text(f"PRAGMA {text}"))).scalar()

    pages = await database.writer.write(lambda conn: pragma(conn, "page_count"))
    await database.writer.write(lambda conn: pragma(conn, f"max_page_count = {pages + 20}"))
    async with Gate(database):
        big = asyncio.create_task(database.writer.add(deliveries.record, make_delivery(body=b"x" * 1_000_000)))
        small = asyncio.create_task(database.writer.write(lambda conn: deliveries.record(conn, [make_delivery()])))
        await until(lambda: database.writer.waiting == 2)
    for task in (big, small):
        with pytest.raises(StorageFull):
            await task
    await database.writer.add(deliveries.record, make_delivery())
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == 1


async def test_an_io_error_ends_all_acknowledging(url, make_delivery, fatal):
    """A file that may not grow is a real I/O error (EFBIG): who waits is refused, and so is everybody later."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_database(url, on_fatal=fatal.append) as database:
        size = dialect.file_of(url).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, before[1]))
        try:
            async with Gate(database):
                big = asyncio.create_task(database.writer.add(deliveries.record, make_delivery(body=b"x" * 1_000_000)))
                await until(lambda: database.writer.waiting == 1)
            with pytest.raises(StorageFailed):
                await big
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert len(fatal) == 1
        with pytest.raises(StorageFailed):
            await database.writer.add(deliveries.record, make_delivery())
    assert len(fatal) == 1
    assert committed(url) == 0


async def test_a_failing_checkpoint_ends_all_acknowledging(url, make_delivery, fatal):
    """The automatic checkpoint would swallow the error; ours does not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_database(url, on_fatal=fatal.append) as database:
        database.writer._next_checkpoint = math.inf
        await database.writer.add(deliveries.record, make_delivery(body=b"x" * 1_000_000))
        size = dialect.file_of(url).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        database.writer._next_checkpoint = 0.0
        try:
            with contextlib.suppress(StorageFailed):  # the checkpoint may be first
                await database.writer.write(lambda conn: conn.execute(sa.text("SELECT 1")))
            await until(lambda: fatal)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert dialect.trouble(fatal[0]) is StorageFailed


async def test_closing_writes_what_waits_and_takes_no_more(url, make_delivery, fatal):
    async with open_database(url, on_fatal=fatal.append) as database:
        gate = Gate(database)
        await gate.__aenter__()
        waiting = [asyncio.create_task(database.writer.add(deliveries.record, make_delivery())) for _ in range(9)]
        await until(lambda: database.writer.waiting == 9)
        asyncio.get_running_loop().call_later(0.05, gate.open.set)
    assert len([answer.id for answer in await asyncio.gather(*waiting)]) == 9
    with pytest.raises(StorageClosed):
        await database.writer.add(deliveries.record, make_delivery())
    assert committed(url) == 9
    assert not fatal


async def test_readers_cannot_write(database):
    async with database.reading() as conn:
        with pytest.raises(sa.exc.OperationalError, match="readonly"):
            await conn.execute(sa.text("DELETE FROM deliveries"))


async def test_a_reader_sees_one_state_from_first_to_last_statement(database, make_delivery):
    async with database.reading() as conn:
        before = (await conn.execute(COUNT)).scalar()
        await database.writer.add(deliveries.record, make_delivery())
        assert (await conn.execute(COUNT)).scalar() == before
    async with database.reading() as conn:
        assert (await conn.execute(COUNT)).scalar() == before + 1
