"""Process trees: a command ends with everything it started, however it started it and however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from headgate import api
from headgate.builds.lease import Lease
from headgate.builds.processes import Lapsed, Processes, _Supervisor

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

ESCAPE = "(setsid sh -c '(setsid sleep 300 &) ; exec sleep 300' &) ; "
"""Two processes, each in a session of its own, one of them an orphan from the start."""


async def run(pool, script, tmp_path, *, environment=ENVIRONMENT, output=None, **more):
    return await pool.run(
        ["/bin/sh", "-c", script],
        environment=environment,
        directory=tmp_path,
        output=output or (lambda _: None),
        **more,
    )


async def test_exit_codes_and_output(processes, tmp_path):
    said = bytearray()
    assert await run(processes, "echo out; echo err >&2; exit 7", tmp_path, output=said.extend) == 7
    assert said == b"out\nerr\n"
    assert await run(processes, "kill -9 $$", tmp_path) == -9


async def test_all_output_arrives_before_the_end(processes, tmp_path):
    said = bytearray()
    await run(processes, "seq 200000", tmp_path, output=said.extend)
    assert said == b"".join(b"%d\n" % n for n in range(1, 200_001))


async def test_what_a_command_starts_with(processes, tmp_path):
    """No input, no descriptors of ours, its own session, no core dumps, default signals, the asked folder."""
    said = bytearray()
    script = "readlink /proc/self/fd/0; ls /proc/self/fd; ulimit -c; umask; pwd; cat; grep -E 'SigIgn|SigBlk' /proc/self/status"
    await run(processes, f"{script}; test $(ps -o sid= -p $$) -eq $$ && echo leader", tmp_path, output=said.extend)
    lines = said.decode().split("\n")
    # Signals 32 and 33 are libc's own and nobody's to reset; GNU make starts its children with them ignored.
    ignored = int(lines.pop(9).removeprefix("SigIgn:\t"), 16) & ~(0b11 << 31)
    assert ignored == 0
    assert lines == [
        "/dev/null", "0", "1", "2", "3", "0", "0022", str(tmp_path), "SigBlk:\t0000000000000000", "leader", "",
    ]  # fmt: skip


async def test_only_the_given_environment(processes, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVER_SECRET", "x")
    said = bytearray()
    await processes.run(["/usr/bin/env"], environment={"A": "ü 'b'\n"}, directory=tmp_path, output=said.extend)
    assert said.decode() == "A=ü 'b'\n\n"


async def test_a_normal_end_takes_double_forked_processes_with_it(processes, tmp_path, marked):
    assert await run(processes, ESCAPE + "sleep 0.2", tmp_path, environment=marked.environment) == 0
    assert marked.pids() == []


async def test_without_the_supervisor_double_forked_processes_stay(tmp_path, marked):
    """The negative control: killing the process group and the children, as is often done, is not enough."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", ESCAPE + "sleep 300"], env=marked.environment, cwd=tmp_path, start_new_session=True
    )
    await marked.until(4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    await marked.until(2)


async def test_cancelling_ends_the_tree(processes, tmp_path, marked):
    task = asyncio.ensure_future(run(processes, ESCAPE + "sleep 300", tmp_path, environment=marked.environment))
    await marked.until(4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert marked.pids() == []


async def test_a_tree_that_ignores_sigterm_is_killed_after_the_grace(processes, tmp_path, marked):
    script = "trap '' TERM; echo ready; " + ESCAPE + "while :; do sleep 1; done"
    said = bytearray()
    task = asyncio.ensure_future(
        run(processes, script, tmp_path, environment=marked.environment, output=said.extend, grace=0.3)
    )
    await marked.until(4)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0.3 <= time.monotonic() - began < 3
    assert marked.pids() == []


async def test_a_tree_that_heeds_sigterm_may_clean_up(processes, tmp_path):
    said = bytearray()
    script = "trap 'sleep 0.1; echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    task = asyncio.ensure_future(run(processes, script, tmp_path, output=said.extend))
    async with asyncio.timeout(5):
        while b"ready" not in said:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b"cleaned" in said


async def test_a_second_cancellation_does_not_leave_the_tree_behind(processes, tmp_path, marked):
    script = "trap '' TERM; while :; do sleep 1; done"
    task = asyncio.ensure_future(run(processes, script, tmp_path, environment=marked.environment, grace=0.3))
    await marked.until(2)
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert marked.pids() == []


async def test_a_supervisor_serves_again_and_again(processes, tmp_path):
    before = {supervisor.pid for supervisor in processes._all}
    for code in (0, 3, 0):
        assert await run(processes, f"exit {code}", tmp_path) == code
    task = asyncio.ensure_future(run(processes, "sleep 300", tmp_path))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert await run(processes, "exit 5", tmp_path) == 5
    assert {supervisor.pid for supervisor in processes._all} == before


async def test_more_at_once_than_supervisors_are_ready(processes, tmp_path):
    assert await asyncio.gather(*(run(processes, f"exit {n}", tmp_path) for n in range(6))) == list(range(6))


@pytest.mark.parametrize(
    ("argv", "directory", "message"),
    [
        (["/nowhere/tool"], ".", "cannot start /nowhere/tool: /nowhere/tool: No such file"),
        (["tool-that-is-not-there"], ".", "cannot start tool-that-is-not-there"),
        (["/bin/true"], "missing", "cannot start /bin/true: .*missing: No such file"),
        (["/bin/echo", "x" * 200_000], ".", "cannot start /bin/echo: .*Argument list too long"),
        (["/bin/echo", "a\0b"], ".", "cannot start /bin/echo: embedded null byte"),
    ],
)
async def test_a_command_that_cannot_start_says_why(processes, tmp_path, argv, directory, message):
    with pytest.raises(api.QueueError, match=message):
        await processes.run(argv, environment=ENVIRONMENT, directory=tmp_path / directory, output=lambda _: None)
    assert await run(processes, "exit 4", tmp_path) == 4


async def test_a_large_environment_arrives(processes, tmp_path):
    environment = {**ENVIRONMENT, **{f"V{n}": "x" * 100_000 for n in range(10)}}
    assert await run(processes, "test ${#V9} -eq 100000", tmp_path, environment=environment) == 0


async def test_a_killed_supervisor_is_an_error_and_replaced(processes, tmp_path, marked):
    task = asyncio.ensure_future(run(processes, "sleep 300", tmp_path, environment=marked.environment))
    await marked.until(2)
    (supervisor,) = processes._all
    os.kill(supervisor.pid, signal.SIGKILL)
    with pytest.raises(api.QueueError, match="supervised"):
        await task
    assert await run(processes, "exit 4", tmp_path) == 4


async def test_output_that_cannot_be_kept_ends_the_tree(processes, tmp_path, marked):
    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(api.QueueError, match="No space left"):
        await run(processes, "echo x; sleep 300", tmp_path, environment=marked.environment, output=full)
    assert marked.pids() == []


async def test_leaving_the_pool_ends_what_runs(tmp_path, marked):
    async with Processes(ready=1) as pool:
        task = asyncio.ensure_future(run(pool, ESCAPE + "sleep 300", tmp_path, environment=marked.environment))
        await marked.until(4)
    assert marked.pids() == []
    with pytest.raises(api.QueueError):
        await task


HOST = """
    import asyncio, sys
    from pathlib import Path
    from headgate.builds.processes import Processes, _Supervisor
    async def main():
        async with Processes(ready=1) as pool:
            await pool.run(["/bin/sh", "-c", sys.argv[1]], environment={"PATH": "/usr/bin:/bin", sys.argv[2]: sys.argv[3]},
                           directory=Path("/"), output=lambda _: None)
    asyncio.run(main())
"""


async def test_when_the_host_is_killed_the_tree_is_gone_within_five_seconds(marked):
    script = "trap '' TERM HUP; " + ESCAPE + "while :; do sleep 1; done"
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HOST), script, *marked.mark.split("=")])
    await marked.until(4, seconds=10)
    host.kill()
    host.wait()
    await marked.until(0, seconds=5)


async def test_when_a_plain_parent_is_killed_the_tree_stays(marked):
    """The negative control of the test above."""
    plain = (
        "import subprocess, sys, os; subprocess.run(['/bin/sh', '-c', sys.argv[1]],"
        " env={'PATH': '/usr/bin:/bin', sys.argv[2]: sys.argv[3]}, start_new_session=True)"
    )
    host = subprocess.Popen([sys.executable, "-c", plain, ESCAPE + "exec sleep 300", *marked.mark.split("=")])
    await marked.until(3, seconds=10)
    host.kill()
    host.wait()
    await asyncio.sleep(0.3)
    assert len(marked.pids()) == 3


async def test_a_fork_storm_ends(processes, tmp_path, marked):
    """Processes that go on forking while they are killed."""
    script = "f() { sleep 0.01; (f &); (sleep 20 &); }; for i in 1 2 3 4 5; do (f &) ; done; sleep 300"
    task = asyncio.ensure_future(run(processes, script, tmp_path, environment=marked.environment, grace=0))
    async with asyncio.timeout(10):
        while len(marked.pids()) < 40:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert marked.pids() == []


def test_it_works_on_uvloop_too(tmp_path, marked):
    """The loop the server runs on treats sockets, pipes and children its own way."""
    uvloop = pytest.importorskip("uvloop")
    said = bytearray()

    async def story():
        async with Processes(ready=1) as pool:
            assert await run(pool, "seq 50000; exit 3", tmp_path, output=said.extend) == 3
            task = asyncio.ensure_future(run(pool, ESCAPE + "sleep 300", tmp_path, environment=marked.environment))
            await marked.at_least(3)
            task.cancel()
            await asyncio.wait({task})
            assert marked.pids() == []
            with pytest.raises(api.QueueError, match="cannot start"):
                await pool.run(["/nowhere"], environment={}, directory=tmp_path, output=said.extend)
            assert await run(pool, "exit 4", tmp_path) == 4

    uvloop.run(story())
    assert said == b"".join(b"%d\n" % n for n in range(1, 50_001))


STOPS_ITS_SUPERVISOR = "sleep 300 & kill -STOP $PPID; sleep 300"


async def test_a_step_that_stops_its_supervisor_ends_all_the_same(tmp_path, marked):
    """Without isolation it can: the cancelled step hung for ever, and so did the server's own end."""
    async with asyncio.timeout(10):
        async with Processes(ready=1) as pool:
            task = asyncio.create_task(
                run(pool, STOPS_ITS_SUPERVISOR, tmp_path, environment=marked.environment, grace=0.2)
            )
            await marked.until(3)
            task.cancel()
            await asyncio.wait({task})
            assert marked.pids() == []


async def test_control_a_stopped_supervisor_that_nobody_wakes_ends_nothing(tmp_path, marked, monkeypatch):
    wake = _Supervisor._wake
    monkeypatch.setattr(_Supervisor, "_wake", lambda _: None)
    async with asyncio.timeout(10):
        async with Processes(ready=1) as pool:
            task = asyncio.create_task(
                run(pool, STOPS_ITS_SUPERVISOR, tmp_path, environment=marked.environment, grace=0.2)
            )
            await marked.until(3)
            task.cancel()
            await asyncio.wait({task}, timeout=1)
            assert not task.done()
            assert len(marked.pids()) == 3
            monkeypatch.setattr(_Supervisor, "_wake", wake)


def lease_of(seconds):
    return Lease(seconds, asked=time.monotonic())


async def test_a_tree_ends_with_its_lease_while_its_host_stands_still(processes, tmp_path, marked):
    """Nobody renews, and this process does nothing at all meanwhile: the supervisor ends the tree by itself."""
    lease = lease_of(1.5)
    task = asyncio.ensure_future(
        run(processes, ESCAPE + "sleep 300", tmp_path, environment=marked.environment, lease=lease)
    )
    await marked.until(4)
    while time.monotonic() < lease.until + 1 and marked.pids():
        time.sleep(0.01)  # the event loop must not run
    assert marked.pids() == []
    with pytest.raises(Lapsed):
        await task
    assert await run(processes, "exit 3", tmp_path) == 3, "the supervisor serves on"


async def test_control_without_a_lease_the_tree_outlives_its_host_standing_still(processes, tmp_path, marked):
    lease = lease_of(0.5)
    task = asyncio.ensure_future(run(processes, ESCAPE + "sleep 300", tmp_path, environment=marked.environment))
    await marked.until(4)
    time.sleep(max(0.0, lease.until - time.monotonic()) + 0.5)
    assert len(marked.pids()) == 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_renewed_lease_lets_the_tree_go_on(processes, tmp_path):
    lease = lease_of(1.0)
    task = asyncio.ensure_future(run(processes, "sleep 2; exit 4", tmp_path, lease=lease))
    while not task.done():
        lease.renewed(asked=time.monotonic())
        await asyncio.sleep(0.2)
    assert await task == 4


async def test_nothing_is_started_when_the_lease_has_run_out(processes, tmp_path):
    """A server that wakes between two steps."""
    lease = Lease(1.0, asked=time.monotonic() - 2)
    with pytest.raises(Lapsed):
        await run(processes, "touch started", tmp_path, lease=lease)
    assert list(tmp_path.iterdir()) == []
    assert await run(processes, "exit 3", tmp_path) == 3, "the supervisor serves on"


async def test_a_lost_lease_ends_the_tree_at_once(processes, tmp_path, marked):
    """No grace: another may have the build already."""
    lease = lease_of(1000)
    script = "trap '' TERM; " + ESCAPE + "while :; do sleep 1; done"
    task = asyncio.ensure_future(run(processes, script, tmp_path, environment=marked.environment, lease=lease))
    await marked.until(4)
    lease.lost()
    await marked.until(0, seconds=2)
    with pytest.raises(Lapsed):
        await task
