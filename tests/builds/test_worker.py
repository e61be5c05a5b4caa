"""The worker over a real database and real processes: every end a build can come to."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import build_desk
import pytest
from build_desk import Desk

from headgate import api
from headgate.builds import attempt
from headgate.builds.worker import Worker
from headgate.builds.workspace import Folder
from headgate.storage import builds
from headgate.storage.database import open_database
from headgate.storage.errors import Busy, StorageFull
from headgate.storage.schema import migrate

ESCAPE = "(setsid sh -c '(setsid sleep 300 &) ; exec sleep 300' &) ; "


async def test_a_build_succeeds_and_tells(desk):
    build_id = await desk.plan("echo one; echo two >&2", "pwd")
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.reason, build.isolation) == (api.Outcome.SUCCEEDED, "all 2 steps succeeded", "none")
    assert [(step.name, step.status, step.exit_code) for step in build.steps] == [
        ("s1", "succeeded", 0),
        ("s2", "succeeded", 0),
    ]
    assert all(step.started_at <= step.finished_at for step in build.steps)
    assert desk.said(build_id) == ["one", "two", str(desk.folder / "data" / "workspaces" / f"{build_id}-1" / "work")]
    assert await desk.news(build_id) == [("running", "running", None), ("finished", "finished", "succeeded")]
    assert [build.state for build in desk.changes] == [api.State.RUNNING, api.State.RUNNING, api.State.FINISHED]
    assert desk.metrics.value("headgate_builds_total", outcome="succeeded") == 1
    assert list((desk.folder / "data" / "workspaces").iterdir()) == [], "workspaces do not grow"


async def test_whoever_watches_sees_each_step_when_it_ends(desk):
    """Not only the start and the end: what was reported in between, with how it is isolated."""
    build_id = await desk.plan("true", "true", f"while [ ! -e {desk.folder}/go ]; do sleep 0.02; done")
    async with desk.at_work():
        async with asyncio.timeout(10):
            while [len(build.steps) for build in desk.changes] != [0, 1, 2]:
                await asyncio.sleep(0.01)
        seen = desk.changes[-1]
        assert (seen.id, seen.state, seen.isolation) == (build_id, api.State.RUNNING, "none")
        assert [(step.name, step.status) for step in seen.steps] == [("s1", "succeeded"), ("s2", "succeeded")]
        (desk.folder / "go").touch()
        await desk.until(build_id)
    assert len(desk.changes[-1].steps) == 3


async def test_the_first_failure_stops_and_always_steps_still_run(desk):
    build_id = await desk.plan("true", "exit 3", "echo never", api.Step(name="clean", run="echo cleaned", always=True))
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.reason) == (api.Outcome.FAILED, "step “s2” failed with exit code 3")
    assert [step.status for step in build.steps] == ["succeeded", "failed", "skipped", "succeeded"]
    assert desk.said(build_id) == ["cleaned"]


@pytest.mark.parametrize("how", ["timed_out", "cancelled"])
async def test_a_stopped_build_ends_its_tree_and_runs_its_always_steps(desk, marked, how):
    build_id = await desk.plan(
        "echo ready; " + ESCAPE + "sleep 300",
        "echo never",
        api.Step(name="clean", run="echo cleaned; false", always=True),
        api.Step(name="clean more", run="echo cleaned more", always=True),
        timeout=1.0 if how == "timed_out" else 3600,
        environment=dict([marked.mark.split("=")]),
    )
    async with desk.at_work() as worker:
        await desk.until_said(build_id, "ready")
        await marked.at_least(3)
        if how == "cancelled":
            assert (await worker.cancel(build_id, "not needed any more"))[0] == "requested"
        build = await desk.until(build_id)
        assert marked.pids() == []
    assert build.outcome == how
    assert build.reason == ("not needed any more" if how == "cancelled" else "it took longer than 1 s")
    assert [step.status for step in build.steps] == [how, "skipped", "failed", "succeeded"]
    assert build.steps[0].exit_code is None
    assert build.steps[0].started_at is not None
    assert desk.said(build_id) == ["ready", "cleaned", "cleaned more"]
    assert (await desk.news(build_id))[-1] == ("finished", "finished", how)


async def test_always_steps_have_a_budget(desk, monkeypatch, marked):
    monkeypatch.setattr(attempt, "ALWAYS_SECONDS", 0.3)
    build_id = await desk.plan(
        "sleep 300",
        api.Step(name="clean", run=ESCAPE + "sleep 300", always=True),
        timeout=0.2,
        environment=dict([marked.mark.split("=")]),
    )
    async with desk.at_work():
        build = await desk.until(build_id)
        assert marked.pids() == []
    assert build.outcome == "timed_out"
    assert [step.status for step in build.steps] == ["timed_out", "timed_out"]


async def test_a_waiting_build_is_cancelled_at_once(desk):
    build_id = await desk.plan("true")
    worker = desk.worker()
    assert (await worker.cancel(build_id, "typo"))[0] == "finished"
    assert (await desk.get(build_id)).outcome is api.Outcome.CANCELLED
    assert await desk.news(build_id) == [("finished", "finished", "cancelled")]
    assert (await worker.cancel(build_id, "typo"))[0] == "already"
    assert await worker.cancel("b_none", "typo") == (None, None)


async def test_a_cancellation_asked_elsewhere_is_noticed_by_the_lease(desk):
    desk.lease = 0.9
    build_id = await desk.plan("echo ready; sleep 300")
    async with desk.at_work():
        await desk.until_said(build_id, "ready")
        await desk.worker("another").cancel(build_id, "from afar")
        build = await desk.until(build_id)
    assert (build.outcome, build.reason) == (api.Outcome.CANCELLED, "from afar")


async def test_a_fenced_build_ends_and_writes_nothing(desk, marked):
    """Somebody else took it: our tree ends, and what the other wrote stays."""
    desk.lease = 0.9
    build_id = await desk.plan("echo ready; " + ESCAPE + "sleep 300", environment=dict([marked.mark.split("=")]))
    async with desk.at_work():
        await desk.until_said(build_id, "ready")
        (claimed,) = await desk.worker()._queue.abandoned(worker="w1")
        await desk.worker()._queue.release(claimed, reason="taken by a test")
        await marked.until(0)
    build = await desk.get(build_id)
    assert (build.outcome, build.reason) == (api.Outcome.LOST, "taken by a test")


async def test_a_lease_that_cannot_be_renewed_ends_the_build_before_it_runs_out(desk, marked, monkeypatch):
    desk.lease = 0.9
    build_id = await desk.plan("echo ready; sleep 300", environment=dict([marked.mark.split("=")]))
    async with desk.at_work() as worker:
        await desk.until_said(build_id, "ready")

        async def full(*_):
            raise StorageFull("the disk is full")

        monkeypatch.setattr(worker._queue, "renew", full)
        await marked.until(0)


async def test_a_lease_keeper_that_breaks_ends_the_build(desk, marked, monkeypatch):
    """Whatever goes wrong while renewing, a build does not go on without a lease."""
    desk.lease = 0.9
    build_id = await desk.plan("echo ready; sleep 300", environment=dict([marked.mark.split("=")]))
    async with desk.at_work() as worker:
        await desk.until_said(build_id, "ready")

        async def broken(*_):
            raise ZeroDivisionError

        monkeypatch.setattr(worker._queue, "renew", broken)
        await marked.until(0)


async def test_a_stopping_server_cuts_always_steps_short(desk, marked):
    build_id = await desk.plan(
        "echo ready; sleep 300",
        api.Step(name="clean", run="echo cleaning; sleep 300", always=True),
        retries=1,
        environment=dict([marked.mark.split("=")]),
    )
    worker = desk.worker()
    task = asyncio.create_task(worker.run())
    await desk.until_said(build_id, "ready")
    await worker.cancel(build_id, "enough")
    await desk.until_said(build_id, "cleaning")
    began = time.monotonic()
    await worker.drain(0)
    await task
    assert time.monotonic() - began < 5
    assert marked.pids() == []
    build = await desk.get(build_id)
    assert (build.outcome, build.reason) == (api.Outcome.CANCELLED, "enough"), "asked to end, so not tried again"


async def test_while_the_lease_is_renewed_nobody_gives_the_build_up(desk):
    desk.lease = 1.0
    build_id = await desk.plan("sleep 2.5")
    async with desk.at_work(), desk.at_work("w2"):
        assert (await desk.until(build_id)).outcome is api.Outcome.SUCCEEDED


async def _taken_and_begun(queue, worker, *, lease):
    (one,) = await queue.claim(worker=worker, lease=lease, limit=1)
    assert await queue.begin(one.claimed)


async def test_a_build_that_a_dead_worker_had_not_begun_is_built_without_any_retry(desk):
    """Until a build begins nothing of it has run: a crash in its checkout costs nobody a build."""
    build_id = await desk.plan("echo attempt $HEADGATE_ATTEMPT")
    await desk.worker("w1")._queue.claim(worker="w1", lease=1000, limit=1)
    async with desk.at_work("w1"):
        build = await desk.until(build_id)
    assert (build.outcome, build.attempt) == (api.Outcome.SUCCEEDED, 1)
    assert desk.said(build_id) == ["attempt 1"]


@pytest.mark.parametrize("retries", [0, 1])
async def test_what_a_dead_worker_left_is_lost_or_tried_again(desk, retries):
    build_id = await desk.plan("echo attempt $HEADGATE_ATTEMPT", retries=retries)
    await _taken_and_begun(desk.worker("w1")._queue, "w1", lease=1000)
    async with desk.at_work("w1"):
        build = await desk.until(build_id)
    if retries:
        assert (build.outcome, build.attempt) == (api.Outcome.SUCCEEDED, 2)
        assert desk.said(build_id) == ["attempt 2"]
        assert [phase for phase, *_ in await desk.news(build_id)] == ["running", "queued", "running", "finished"]
    else:
        assert (build.outcome, build.attempt) == (api.Outcome.LOST, 1)
        assert build.reason == "the worker w1 ended while it ran"
        assert desk.log(build_id) == ["headgate: lost: the worker w1 ended while it ran"]
        assert (await desk.news(build_id))[-1] == ("finished", "finished", "lost")


async def test_another_workers_build_is_given_up_only_when_its_lease_is_over(desk):
    build_id = await desk.plan("true")
    await _taken_and_begun(desk.worker("gone")._queue, "gone", lease=1.0)
    desk.lease = 0.2
    async with desk.at_work("w1"):
        await asyncio.sleep(0.4)
        assert (await desk.get(build_id)).state is api.State.RUNNING
        assert (await desk.until(build_id)).outcome is api.Outcome.LOST


@pytest.mark.parametrize(("retries", "state", "outcome"), [(0, "finished", "lost"), (1, "queued", None)])
async def test_draining_lets_builds_end_and_hands_the_rest_back(desk, marked, retries, state, outcome):
    short = await desk.plan("sleep 0.3")
    long = await desk.plan("echo ready; sleep 300", retries=retries, environment=dict([marked.mark.split("=")]))
    worker = desk.worker()
    task = asyncio.create_task(worker.run())
    await desk.until_said(long, "ready")
    waiting = await desk.plan("true")
    worker.wake()
    await worker.drain(1.0)
    await task
    assert marked.pids() == []
    assert (await desk.get(short)).outcome is api.Outcome.SUCCEEDED
    build = await desk.get(long)
    assert (build.state.value, build.outcome and build.outcome.value) == (state, outcome)
    assert build.reason == "the server was stopped while it ran"
    assert (await desk.get(waiting)).state is api.State.QUEUED


async def test_cancelling_the_worker_hands_back_too(desk, marked):
    build_id = await desk.plan("echo ready; sleep 300", environment=dict([marked.mark.split("=")]))
    task = asyncio.create_task(desk.worker().run())
    await desk.until_said(build_id, "ready")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert marked.pids() == []
    assert (await desk.get(build_id)).outcome is api.Outcome.LOST


async def test_waking_starts_a_build_without_waiting_for_the_timer(desk):
    async with desk.at_work() as worker:
        while worker.sandbox is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        build_id = await desk.plan("true")
        began = time.monotonic()
        worker.wake()
        await desk.until(build_id)
        assert time.monotonic() - began < 2


async def test_no_more_at_once_than_there_are_slots(desk, tmp_path):
    desk.slots = 2
    script = f"echo + >> {tmp_path}/seen; sleep 0.2; echo - >> {tmp_path}/seen"
    ids = [await desk.plan(script) for _ in range(5)]
    async with desk.at_work():
        for build_id in ids:
            await desk.until(build_id)
    running = peak = 0
    for line in (tmp_path / "seen").read_text().split():
        running += 1 if line == "+" else -1
        peak = max(peak, running)
    assert peak == 2


async def test_passwords_and_credentials_reach_the_build_and_not_its_log(desk):
    class Store:
        async def get(self, name):
            return {
                "token": api.Credential(type="token", fields={"token": api.Secret("tok-123456")}),
                "login": api.Credential(
                    type="user_password",
                    fields={"username": api.Secret("ada"), "password": api.Secret("pass-123456")},
                ),
                "key": api.Credential(
                    type="ssh_key",
                    fields={"private_key": api.Secret("KEY LINE 1\nKEY LINE 2"), "known_hosts": api.Secret("host key")},
                ),
            }[name]

    desk.stores = {"s": Store()}
    build_id = await desk.plan(
        'echo "$TOKEN $LOGIN $LOGIN_USERNAME $PASSWORD"; cat "$KEY" "$KEY_KNOWN_HOSTS"; stat -c %a "$KEY"',
        'test "$TOKEN" = tok-123456; test "$(tail -n 1 "$KEY")" = "KEY LINE 2"; printf %s "$PASSWORD" | rev',
        credentials={"TOKEN": "secret://s/token", "LOGIN": "secret://s/login", "KEY": "secret://s/key"},
        parameters={"PASSWORD": "***"},
        sealed={"PASSWORD": "sealed-text"},
    )
    async with desk.at_work():
        build = await desk.until(build_id)
    assert build.outcome is api.Outcome.SUCCEEDED
    said = desk.said(build_id)
    assert said[:4] == ["*** *** ada ***", "***", "host key", "600"]
    assert said[4] == f"sealed-text@build/{build_id}/PASSWORD"[::-1], "the negative control: another form shows"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"executor": "moon"}, "there is no executor moon here (there are: process)"),
        ({"credentials": {"A": "secret://gone/x"}}, "secret://gone/x: no credential store is called gone"),
    ],
)
async def test_what_we_cannot_do_is_errored_with_a_sentence(desk, more, reason):
    build_id = await desk.plan("echo never", **more)
    async with desk.at_work():
        build = await desk.until(build_id)
    assert build.outcome is api.Outcome.ERRORED
    assert build.reason.startswith(reason)
    assert [step.status for step in build.steps] == ["skipped"]
    assert desk.said(build_id) == []


async def test_an_executor_that_raises_costs_its_build_only(desk, caplog):
    class Broken:
        async def run(self, work, bench):
            raise ZeroDivisionError

    desk.executors["broken"] = Broken()
    first = await desk.plan("true", executor="broken", retries=1)
    second = await desk.plan("true")
    async with desk.at_work():
        build = await desk.until(first)
        assert (await desk.until(second)).outcome is api.Outcome.SUCCEEDED
    assert (build.outcome, build.attempt) == (api.Outcome.ERRORED, 2)
    assert "ZeroDivisionError" in build.reason


class Again:
    """Refuses a first attempt, and stays with a second one, which begins before the first has removed its folder."""

    def __init__(self, monkeypatch):
        self.second, self.over = asyncio.Event(), asyncio.Event()
        remove = Folder.remove

        async def after_the_second_began(folder):
            if folder.own.name.endswith("-1"):
                await self.second.wait()
            await remove(folder)

        monkeypatch.setattr(Folder, "remove", after_the_second_began)

    async def run(self, work, bench):
        if work.build.attempt == 1:
            raise api.QueueError("not the first time")
        self.second.set()
        await self.over.wait()
        return api.Result(outcome=api.Outcome.SUCCEEDED, reason="the second time", steps=())


async def run_again(desk, again):
    """How many builds the worker knows of, and what asking one of them to end led to."""
    desk.executors["again"] = again
    build_id = await desk.plan("true", executor="again", retries=1)
    async with desk.at_work() as worker:
        await again.second.wait()
        while len(worker._tasks) > 1:
            await asyncio.sleep(0.01)
        known, slots = worker.running, len(worker._busy)
        await worker.cancel(build_id, "enough")
        if not known:
            again.over.set()
        return known, slots, (await desk.until(build_id)).outcome


async def test_a_build_that_is_tried_again_is_not_ended_by_the_attempt_before(desk, monkeypatch):
    """It has a slot, and can be cancelled and handed back, though the first attempt ends when it runs already."""
    assert await run_again(desk, Again(monkeypatch)) == (1, 1, "cancelled")


async def test_an_attempt_that_does_not_look_whose_place_it_clears_loses_the_next_one(desk, monkeypatch):
    def heedless(self, attempt, claim, task):
        self._tasks.discard(task)
        self._attempts.pop(claim[0], None)
        self._free(claim)

    monkeypatch.setattr(Worker, "_ended", heedless)
    known, _, outcome = await run_again(desk, Again(monkeypatch))
    assert (known, outcome) == (0, "succeeded")


async def test_an_executor_that_does_not_end_is_left_behind(desk, monkeypatch, caplog):
    monkeypatch.setattr(attempt, "_PATIENCE", 0.1)
    release, refused = asyncio.Event(), []

    class Stubborn:
        async def run(self, work, bench):
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    try:
                        await bench.run(["true"], step="s1", environment={}, directory=work.workspace, isolation="none")
                    except api.QueueError as error:
                        refused.append(str(error))
            return api.Result(outcome=api.Outcome.SUCCEEDED, reason="late")

    desk.executors["stubborn"] = Stubborn()
    build_id = await desk.plan("true", executor="stubborn", timeout=0.2)
    async with desk.at_work():
        assert (await desk.until(build_id)).outcome is api.Outcome.TIMED_OUT
    release.set()


async def test_isolation_is_shown_and_holds(desk):
    if shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap here")
    desk = type(desk)(desk.database, desk.folder, isolation="required")
    (desk.folder / "config.yaml").write_text("x")
    build_id = await desk.plan(
        f"test ! -e {desk.folder}/headgate.db; test ! -e {desk.folder}/config.yaml; echo kept > ~/file; echo kept > /tmp/file",
        "cat ~/file /tmp/file $TMPDIR/file; test $TMPDIR = /tmp; python3 -c 'print(1)'; test $PPID -lt 10",
    )
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.isolation) == (api.Outcome.SUCCEEDED, "bubblewrap"), desk.log(build_id)
    assert desk.said(build_id) == ["kept", "kept", "kept", "1"]
    assert "isolated with bubblewrap" in desk.log(build_id)


async def test_required_isolation_without_bubblewrap_is_errored(desk, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    desk = type(desk)(desk.database, desk.folder, isolation="required")
    build_id = await desk.plan("echo never")
    async with desk.at_work():
        build = await desk.until(build_id)
    assert (build.outcome, build.isolation) == (api.Outcome.ERRORED, None)
    assert "isolation is required" in build.reason


async def test_a_build_knows_what_was_built_before(desk):
    async with desk.at_work() as worker:
        for sha, script in (("b", "true"), ("c", "false")):
            await desk.until(await desk.plan(script, sha=sha * 40))
            worker.wake()
        last = await desk.plan("echo $GIT_PREVIOUS_COMMIT; echo $GIT_PREVIOUS_SUCCESSFUL_COMMIT")
        worker.wake()
        await desk.until(last)
    assert desk.said(last) == ["c" * 40, "b" * 40]


async def test_leftovers_of_an_earlier_life_are_removed(desk):
    left = desk.folder / "data" / "workspaces" / "b_old" / "work" / "deep"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    left.chmod(0o500)
    async with desk.at_work() as worker:
        end = time.monotonic() + 5
        while worker.sandbox is None or left.exists():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
    assert list((desk.folder / "data" / "workspaces").iterdir()) == []


async def test_a_second_worker_on_the_same_data_leaves_the_firsts_workspaces_alone(desk):
    build_id = await desk.plan("echo ready; sleep 1", "pwd")
    async with desk.at_work("w1"):
        await desk.until_said(build_id, "ready")
        async with desk.at_work("w2") as second:
            while second.sandbox is None:
                await asyncio.sleep(0.01)
            assert (await desk.until(build_id)).outcome is api.Outcome.SUCCEEDED


async def test_a_full_disk_does_not_forget_a_result(desk, monkeypatch):
    """The end of a build waits until it can be written."""
    real, failures = builds.finish, []

    async def finish(*arguments, **more):
        if len(failures) < 2:
            failures.append(1)
            raise StorageFull("the disk is full")
        return await real(*arguments, **more)

    monkeypatch.setattr(builds, "finish", finish)
    build_id = await desk.plan("true")
    async with desk.at_work():
        assert (await desk.until(build_id)).outcome is api.Outcome.SUCCEEDED
    assert len(failures) == 2


async def test_a_busy_database_does_not_break_a_build_that_only_wants_to_say_how_far_it_is(desk, monkeypatch):
    async def busy(*_, **__):
        raise Busy("too many writes wait")

    monkeypatch.setattr(builds, "progress", busy)
    build_id = await desk.plan("echo one", "echo two")
    async with desk.at_work():
        build = await desk.until(build_id)
    assert build.outcome is api.Outcome.SUCCEEDED
    assert len(build.steps) == 2


HOST = """
    import asyncio, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from build_desk import Desk
    from headgate.storage.database import open_database
    async def main():
        async with open_database(sys.argv[2], on_fatal=print) as database:
            desk = Desk(database, Path(sys.argv[3]), isolation=sys.argv[4])
            await desk.worker().run()
    asyncio.run(main())
"""


@pytest.mark.parametrize("isolation", ["none", "auto"])
async def test_a_killed_server_takes_its_builds_with_it_and_the_next_one_says_lost(tmp_path, marked, isolation):
    """kill -9 of the whole host process; the database lock goes with it, and the tree within five seconds."""
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)
    async with open_database(url, on_fatal=print) as database:
        desk = Desk(database, tmp_path)
        build_id = await desk.plan("echo ready; " + ESCAPE + "sleep 300", environment=dict([marked.mark.split("=")]))
    here = str(Path(build_desk.__file__).parent)
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HOST), here, url, str(tmp_path), isolation])
    await marked.at_least(3, seconds=20)
    host.send_signal(signal.SIGKILL)
    host.wait()
    await marked.until(0, seconds=5)
    async with open_database(url, on_fatal=print) as database:
        desk = Desk(database, tmp_path)
        async with desk.at_work():
            build = await desk.until(build_id)
    assert build.outcome is api.Outcome.LOST
    assert build.finished_at - build.started_at < timedelta(seconds=60)
    assert list((tmp_path / "data" / "workspaces").iterdir()) == []


async def test_a_build_that_has_not_begun_when_the_server_stops_waits_again(desk):
    """In its checkout, say, which here takes for ever: nothing of it ran, so nothing is lost though it has no retries."""

    class Slow:
        async def check_out(self, *_, **__):
            preparing.set()
            await asyncio.Event().wait()

    preparing, desk.sources = asyncio.Event(), Slow()
    build_id = await desk.plan("true", checkout=api.Checkout())
    worker = desk.worker()
    task = asyncio.create_task(worker.run())
    await preparing.wait()
    began = time.monotonic()
    await worker.drain(60)
    await task
    assert time.monotonic() - began < 30, "it is not waited for"
    build = await desk.get(build_id)
    assert (build.state, build.attempt) == (api.State.QUEUED, 0)
    assert build.reason == "the server was stopped before it began"


async def test_a_build_that_is_claimed_while_the_server_stops_waits_again(desk, monkeypatch):
    build_id = await desk.plan("true")
    worker = desk.worker()
    claim = worker._queue.claim

    async def claimed(**more):
        assigned = await claim(**more)
        worker.stop_claiming()
        return assigned

    monkeypatch.setattr(worker._queue, "claim", claimed)
    await worker.run()
    build = await desk.get(build_id)
    assert (build.state, build.attempt) == (api.State.QUEUED, 0)
