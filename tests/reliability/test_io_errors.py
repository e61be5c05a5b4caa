"""A disk that fails below a running server: nothing is acknowledged after it, the process ends, a restart is clean."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from disks import CONFIG, JOBS, Pushes, built, exit_code, failing, last_line
from live import Headgate

SOON = 10.0
"""Seconds within which the process must be gone: the time of a heavily loaded machine, not ours."""

pytestmark = pytest.mark.reliability


@pytest.fixture
async def headgate(tmp_path):
    server = Headgate(tmp_path / "headgate", CONFIG, JOBS)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("calls", "file", "name"),
    [
        ("fdatasync,fsync", "headgate.db-wal", "SQLITE_IOERR_FSYNC"),  # the commit itself
        ("fdatasync,fsync", "headgate.db", "SQLITE_IOERR_FSYNC"),  # the checkpoint after it
        ("pwrite64", "headgate.db-wal", "SQLITE_IOERR_WRITE"),
        ("pwrite64", "headgate.db", "SQLITE_IOERR_WRITE"),
    ],
)
async def test_an_io_error_ends_the_process_and_what_was_acknowledged_is_built_once(headgate, calls, file, name):
    pushes = Pushes(headgate, seed=5)
    await headgate.start()
    for _ in range(5):
        assert (await pushes.post())[0] == 202
    await built(headgate, pushes.acknowledged)
    before = len(pushes.acknowledged)
    async with failing(headgate, calls, error="EIO", of=headgate.folder / "data" / file):
        in_flight, _ = await pushes.post()
        began = time.monotonic()
        code = await exit_code(headgate, within=SOON)
        took = time.monotonic() - began
    if file.endswith("-wal"):
        assert in_flight == 0 or in_flight >= 500, "what did not reach the disk was acknowledged"
    assert code == 70
    said = last_line(headgate)
    assert "the database failed: exiting at once" in said
    assert name in said
    await headgate.start()
    for _ in range(3):
        assert (await pushes.post())[0] == 202
    counts = await built(headgate, pushes.acknowledged)
    assert await headgate.stop() == 0
    print(f"{calls} on {file}: answered {in_flight or 'nothing'}, gone {took:.2f} s after that")
    assert len(pushes.acknowledged) >= before + 3
    assert set(pushes.acknowledged) <= set(counts), "an acknowledged push was lost"
    assert set(counts.values()) == {1}, "a push was built twice"
    assert "damaged" not in headgate.output.read_text()


async def test_an_error_while_reading_ends_the_process_too(headgate):
    """What else is read from such a disk may be wrong: an explanation, a build to claim."""
    pushes = Pushes(headgate, seed=6, padding=100_000)
    await headgate.start()
    for _ in range(150):  # more than a cache holds
        assert (await pushes.post())[0] == 202
    await built(headgate, pushes.acknowledged)
    found = await headgate.json("deliveries", "--limit", "200")
    async with failing(headgate, "pread64", error="EIO", of=headgate.folder / "data" / "headgate.db"):
        for one in found:
            await headgate.command("explain", one["id"], code=None)
            if headgate.process.poll() is not None:
                break
        assert await exit_code(headgate, within=SOON) == 70
    assert "the database failed: exiting at once" in last_line(headgate)
    await headgate.start()
    assert set((await built(headgate, pushes.acknowledged)).values()) == {1}


async def test_control_a_server_that_forgives_a_failed_fsync_acknowledges_after_it(tmp_path):
    """The protection off: the kernel may have dropped what it could not write, and the next commit looks fine."""
    program = (sys.executable, str(Path(__file__).parents[1] / "support" / "forgives_io_errors.py"))
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS, program=program)
    pushes = Pushes(headgate, seed=7)
    try:
        await headgate.start()
        async with failing(
            headgate, "fdatasync,fsync", error="EIO", of=headgate.folder / "data" / "headgate.db-wal", when="1"
        ):
            answers = [(await pushes.post())[0] for _ in range(30)]
            assert headgate.process.poll() is None, "nothing ended it"
        assert 503 in answers, "a commit failed"
        assert 202 in answers[answers.index(503) :], "and something was acknowledged after it"
    finally:
        headgate.close()
