"""Two servers on one data directory: the second is refused with a reason, whatever the first is doing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from disks import CONFIG, JOBS, Pushes, built, exit_code
from live import PROGRAM, Headgate

CONFIGURATION = 78

pytestmark = pytest.mark.reliability


@pytest.fixture
async def servers(tmp_path):
    """Two of one folder, on two ports."""
    both = [Headgate(tmp_path / "headgate", CONFIG, JOBS) for _ in range(2)]
    both[1].output = tmp_path / "second.txt"
    yield both
    for server in both:
        server.close()


async def refused(second: Headgate) -> str:
    """Start it, see it end, and what it said."""
    with pytest.raises(AssertionError, match="did not start"):
        await second.start()
    assert await exit_code(second, within=10) == CONFIGURATION
    return second.output.read_text()


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "SIGSTOP"])
async def test_a_second_server_is_refused_and_told_who_was_first(servers, stopped):
    first, second = servers
    pushes = Pushes(first, seed=41)
    await first.start()
    if stopped:
        os.kill(first.process.pid, signal.SIGSTOP)
    said = await refused(second)
    assert "another process uses" in said
    assert f"pid {first.process.pid}" in said
    assert "stop it first, or give this one its own data folder" in said
    os.kill(first.process.pid, signal.SIGCONT)
    assert (await pushes.post())[0] == 202, "the first was not disturbed"
    assert set((await built(first, pushes.acknowledged)).values()) == {1}


async def test_when_the_first_was_killed_the_second_takes_over(servers):
    first, second = servers
    pushes = Pushes(first, seed=42)
    await first.start()
    await refused(second)
    assert (await pushes.post())[0] == 202
    await first.kill()
    await second.start()
    counts = await built(second, pushes.acknowledged)
    assert set(pushes.acknowledged) <= set(counts)
    assert set(counts.values()) == {1}


async def test_control_without_the_lock_two_servers_answer_on_one_data_directory(servers):
    program = (sys.executable, str(Path(__file__).parents[1] / "support" / "ignores_the_lock.py"))
    for server in servers:
        server.program = program
        await server.start()
        assert (await Pushes(server, seed=server.port).post())[0] == 202
    assert PROGRAM not in program
