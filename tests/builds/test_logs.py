"""Logs: what is written is read back, line by line, whatever the pieces were."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import api
from headgate.builds import log_writer
from headgate.builds.log_format import LogReader
from headgate.builds.logs import Logs
from headgate.credentials.redaction import Redactor


@pytest.fixture
def logs(tmp_path):
    return Logs(tmp_path / "logs")


def write(logs, *pieces, limit=1_000_000, build="b_1", redactor=None):
    """One log of (step, bytes) pieces; a text is said by us, and `None` ends the step."""
    writer = logs.writer(build, redactor=redactor or Redactor(), limit=limit)
    for step, data in pieces:
        writer.end(step) if data is None else writer.write(step, data)
    writer.close()
    return logs.reader(build)


def texts(reader):
    return [line.text for line in reader.lines_from(0)]


async def test_lines_have_time_step_and_text(logs, tmp_path):
    writer = logs.writer("b_1", redactor=Redactor(), limit=1000)
    writer.say("hello")
    writer.write(1, b"one\ntw")
    writer.write(1, b"o\nno break")
    writer.end(1)
    writer.write(2, b"three\n")
    writer.close()
    lines = list(logs.reader("b_1").lines_from(0))
    assert [(line.number, line.step, line.text) for line in lines] == [
        (0, 0, "hello"),
        (1, 1, "one"),
        (2, 1, "two"),
        (3, 1, "no break"),
        (4, 2, "three"),
    ]
    assert logs.reader("b_1").steps() == {1: 1, 2: 4}
    assert (tmp_path / "logs" / "b_1.log").read_bytes().split(b"\n")[1].split(b"\t")[1:] == [b"1", b"one"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    text=st.text(alphabet=st.sampled_from("ab\n\té€😀\r"), max_size=200),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    longest=st.sampled_from([8, 50, 65_536]),
)
async def test_the_text_does_not_depend_on_where_the_pieces_were_cut(logs, tmp_path, text, cuts, longest):
    raw = text.encode()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    before, log_writer.LONGEST = log_writer.LONGEST, longest
    try:
        for file in (tmp_path / "logs").glob("*"):
            file.unlink()
        reader = write(logs, *((1, raw[a:b]) for a, b in itertools.pairwise(places)))
    finally:
        log_writer.LONGEST = before
    found = texts(reader)
    expected = text.split("\n")
    if longest == 65_536:
        assert found == (expected[:-1] if expected[-1] == "" else expected)
    else:
        assert "".join(found) == text.replace("\n", "")
        assert all(len(line.encode()) <= longest for line in found)


async def test_bytes_that_are_no_utf8_are_replaced(logs):
    assert texts(write(logs, (1, b"a\xffb\xc3\n"))) == ["a�b�"]


async def test_a_character_cut_in_two_pieces_is_whole(logs):
    assert texts(write(logs, (1, b"caf\xc3"), (1, b"\xa9\n"))) == ["café"]


async def test_long_lines_are_split(logs):
    assert [len(line) for line in texts(write(logs, (1, b"x" * 150_000 + b"\n")))] == [65_536, 65_536, 18_928]


async def test_a_secret_is_masked_across_pieces_and_in_our_own_words(logs):
    redactor = Redactor().scoped(["s3cr3t-value"])
    writer = logs.writer("b_1", redactor=redactor, limit=1000)
    writer.write(1, b"it is s3cr3")
    writer.write(1, b"t-value.\n")
    writer.say("s3cr3t-value")
    writer.close()
    assert texts(logs.reader("b_1")) == ["it is ***.", "***"]


async def test_without_the_redactor_the_secret_shows(logs):
    """The negative control of the test above."""
    assert texts(write(logs, (1, b"it is s3cr3"), (1, b"t-value.\n"))) == ["it is s3cr3t-value."]


async def test_a_full_log_says_so_once_and_keeps_our_words(logs):
    writer = logs.writer("b_1", redactor=Redactor(), limit=1000)
    for _ in range(100):
        writer.write(1, b"0123456789\n" * 10)
    writer.say("the end")
    writer.close()
    found = texts(logs.reader("b_1"))
    assert found[-1] == "the end"
    assert found[-2] == "headgate: the log has reached its limit of 1,000 bytes; what follows is not kept"
    assert set(found[:-2]) == {"0123456789"}
    assert writer.size < 1_200


async def test_pages_use_the_index(logs, monkeypatch):
    reader = write(
        logs, *((1, b"".join(b"line %d\n" % n for n in range(at, at + 100))) for at in range(0, 10_000, 100))
    )
    page = reader.page(7_777, 3)
    assert [line.text for line in page.lines] == ["line 7777", "line 7778", "line 7779"]
    assert (page.next, page.more) == (7_780, True)
    assert reader._find(7_777)[0] > 6_700
    last = reader.page(9_999, 10)
    assert ([line.text for line in last.lines], last.next, last.more) == (["line 9999"], 10_000, False)
    assert reader.page(20_000).lines == ()


async def test_a_missing_or_torn_index_only_costs_time(logs, tmp_path):
    reader = write(logs, *((1, b"%d some more words\n" % n * 1_000) for n in range(5)))
    index = tmp_path / "logs" / "b_1.idx"
    index.write_bytes(index.read_bytes()[:-5])
    assert reader.page(4_500, 1).lines[0].text == "4 some more words"
    index.unlink()
    assert reader.page(4_500, 1).lines[0].text == "4 some more words"


async def test_a_small_log_has_no_index_and_knows_its_steps_all_the_same(logs, tmp_path):
    """Also when another attempt goes on with it, and when it grows large then."""
    reader = write(logs, (1, b"one\n"), (2, b"two\nthree\n"))
    assert not (tmp_path / "logs" / "b_1.idx").exists()
    assert reader.steps() == {1: 0, 2: 1}
    write(logs, (3, b"four\n"), (4, b"a line of some length\n" * 4_000), (5, b"last\n"))
    assert (tmp_path / "logs" / "b_1.idx").exists()
    assert reader.steps() == {1: 0, 2: 1, 3: 3, 4: 4, 5: 4_004}
    assert [line.text for line in reader.page(4_004, 10).lines] == ["last"]


async def test_a_second_attempt_goes_on_behind_what_a_crash_left(logs, tmp_path):
    write(logs, (1, b"one\ntwo\n"))
    with (tmp_path / "logs" / "b_1.log").open("ab") as file:
        file.write(b"12\t1\thalf a li")
    assert texts(logs.reader("b_1")) == ["one", "two"]
    reader = write(logs, (1, b"three\n"))
    assert [(line.number, line.text) for line in reader.lines_from(0)] == [(0, "one"), (1, "two"), (2, "three")]
    times = [line.milliseconds for line in reader.lines_from(0)]
    assert times == sorted(times)


async def test_the_beginning_of_a_line_is_written_after_a_while(logs, monkeypatch):
    monkeypatch.setattr(log_writer, "_PARTIAL", 0.01)
    writer = logs.writer("b_1", redactor=Redactor(), limit=1000)
    writer.write(1, b"password: ")
    async with asyncio.timeout(5):
        await writer.wait()
    assert texts(logs.reader("b_1")) == ["password: "]
    writer.close()


async def test_following_sees_everything_once_and_ends(logs):
    seen = []
    finished = False

    async def done():
        return finished

    async def follow():
        async for lines in logs.follow("b_1", done=done):
            seen.extend(line.text for line in lines)

    async with asyncio.timeout(10):
        follower = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        writer = logs.writer("b_1", redactor=Redactor(), limit=100_000)
        for n in range(500):
            writer.write(1, b"line %d\n" % n)
            if n % 7 == 0:
                await asyncio.sleep(0)
        writer.close()
        finished = True
        await follower
    assert seen == [f"line {n}" for n in range(500)]


async def test_a_follower_is_woken_by_the_writer_and_not_by_a_timer(logs, monkeypatch):
    monkeypatch.setattr("headgate.builds.logs._POLL", 1_000)
    writer = logs.writer("b_1", redactor=Redactor(), limit=100_000)
    writer.say("first")

    async def never():
        return False

    follower = logs.follow("b_1", done=never)
    async with asyncio.timeout(5):
        assert [line.text for line in await anext(follower)] == ["first"]
        task = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0.01)
        writer.write(1, b"second\n")
        assert [line.text for line in await task] == ["second"]
    await follower.aclose()
    writer.close()


async def test_many_followers_read_the_log_once_and_each_sees_every_line_once(logs, monkeypatch):
    """Also those who come in the middle, and one who stops in between."""
    reads = 0
    after = LogReader.after

    def counted(*given, **named):
        nonlocal reads
        reads += 1
        return after(*given, **named)

    monkeypatch.setattr(LogReader, "after", counted)
    finished = False
    seen = {number: [] for number in range(50)}

    async def done():
        return finished

    async def follow(number):
        async for lines in logs.follow("b_1", first=number % 7, done=done):
            seen[number] += [line.text for line in lines]
            await asyncio.sleep(0.05 if number == 49 else 0)

    async with asyncio.timeout(20):
        writer = logs.writer("b_1", redactor=Redactor(), limit=1_000_000)
        followers = [asyncio.ensure_future(follow(number)) for number in range(25)]
        for n in range(5_000):
            writer.write(1, b"line %d\n" % n)
            if n == 1_234:
                followers += [asyncio.ensure_future(follow(number)) for number in range(25, 50)]
            if n % 10 == 0:
                await asyncio.sleep(0)
        writer.close()
        finished = True
        await asyncio.gather(*followers)
    for number, told in seen.items():
        assert told == [f"line {n}" for n in range(number % 7, 5_000)]
    assert reads < 500, "alone, each of 50 would have read each of 500 pieces"


async def test_followers_are_woken_together_and_not_for_each_line(logs, monkeypatch):
    monkeypatch.setattr(log_writer, "TOGETHER", 3_600.0)
    writer = logs.writer("b_1", redactor=Redactor(), limit=100_000)
    woken = asyncio.ensure_future(writer.wait())
    await asyncio.sleep(0)
    writer.write(1, b"first\n")
    async with asyncio.timeout(5):
        await woken
    later = [asyncio.ensure_future(writer.wait()) for _ in range(3)]
    behind = asyncio.ensure_future(writer.wait(0))
    await asyncio.sleep(0)
    for _ in range(100):
        writer.write(1, b"more\n")
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in (*later, behind)), "they were woken a moment ago"
    writer.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*later, behind)


async def test_one_who_asks_for_what_is_there_already_does_not_wait_for_more(logs):
    """The control: nothing is written after it asks."""
    writer = logs.writer("b_1", redactor=Redactor(), limit=100_000)
    writer.write(1, b"one\n")
    async with asyncio.timeout(5):
        await writer.wait(0)
    waiting = asyncio.ensure_future(writer.wait(writer.size))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    writer.close()
    await waiting


async def test_what_a_follower_holds_is_bounded_in_bytes(logs):
    writer = logs.writer("b_1", redactor=Redactor(), limit=10_000_000)
    writer.write(1, (b"x" * 60_000 + b"\n") * 100)
    writer.close()

    async def done():
        return True

    sizes = [sum(len(line.text) for line in lines) async for lines in logs.follow("b_1", done=done)]
    assert sum(sizes) == 6_000_000
    assert max(sizes) < 300_000


async def test_a_log_that_goes_on_is_not_read_from_memory(logs):
    """The half of a line that a crash left is written anew, perhaps with other words."""

    async def done():
        return True

    async def followed():
        return [line.text async for lines in logs.follow("b_1", done=done) for line in lines]

    write(logs, (1, b"one\ntwo\n"))
    assert await followed() == ["one", "two"]
    path = logs.reader("b_1")._path
    path.write_bytes(path.read_bytes()[:-2])
    write(logs, (1, b"three\n"))
    assert await followed() == ["one", "three"]


@pytest.mark.parametrize("locked", [True, False])
def test_a_log_may_be_opened_in_a_thread_while_others_are_followed(logs, locked):
    """The pages that followers share change meanwhile; without a lock (the control) neither would expect that."""
    write(logs, (1, b"one\n"), build="b_1")
    write(logs, (1, b"one\n"), build="b_2")
    followers = []

    class Pages(dict):
        def __iter__(self):
            for place in super().__iter__():
                follower = threading.Thread(target=logs._page, args=("b_2", logs.reader("b_2"), 0, None))
                follower.start()
                follower.join(0.2)
                followers.append(follower)
                yield place

    logs._pages = Pages({("b_1", 0): (None, None)})
    if locked:
        write(logs, (1, b"two\n"), build="b_1")
        for follower in followers:
            follower.join()
        assert list(logs._pages.keys()) == [("b_2", 0)]
    else:
        logs._changing = contextlib.nullcontext()
        with pytest.raises(RuntimeError, match="changed size"):
            write(logs, (1, b"two\n"), build="b_1")


def test_a_log_without_file_is_empty(tmp_path):
    assert LogReader(tmp_path / "none.log").page().lines == ()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "-x"])
def test_ids_are_no_paths(logs, name):
    with pytest.raises(api.QueueError):
        logs.reader(name)


async def test_a_full_disk_is_told_to_the_one_who_writes(logs):
    writer = logs.writer("b_1", redactor=Redactor(), limit=100_000)
    real, writer._log = writer._log, __import__("os").open("/dev/full", 1)
    with pytest.raises(OSError, match="No space left"):
        writer.write(1, b"x\n")
    writer._log = real
    writer.close()


def test_the_folder_is_made_and_closed_to_others(tmp_path):
    async def go():
        writer = Logs(tmp_path / "a").writer("b_1", redactor=Redactor(), limit=1_000_000)
        writer.write(1, b"a line that makes it large\n" * 5_000)
        writer.close()

    asyncio.run(go())
    assert (tmp_path / "a" / "b_1.log").stat().st_mode & 0o077 == 0
    assert Path(tmp_path / "a" / "b_1.idx").stat().st_mode & 0o077 == 0


async def test_a_writer_whose_build_is_not_its_own_any_more_writes_nothing(logs):
    """Lines, the rest of a line, our own words: none of it may stand in what another attempt writes."""
    held = [True]
    writer = logs.writer("b_1", redactor=Redactor(), limit=1000, held=lambda: held[0])
    writer.write(1, b"ours\nhalf")
    held[0] = False
    writer.write(1, b" a line\nstale\n")
    writer.say("headgate: stale")
    writer.write(1, b"rest")
    writer.close()
    assert [line.text for line in logs.reader("b_1").lines_from(0)] == ["ours"]
