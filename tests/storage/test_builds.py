"""The queue's arrows, one by one; the machine that lets hypothesis pull them is in test_builds_machine.py."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headgate.api import Outcome, State, StepResult
from headgate.storage import builds

STEPS = (StepResult(name="unit tests", status="succeeded", exit_code=0),)


@pytest.fixture
def run(database):
    """Runs one function of the queue as a unit of its own."""

    async def run(function, *arguments, **named):
        return await database.writer.write(lambda conn: function(conn, *arguments, **named))

    return run


@pytest.fixture
def claim(run, now):
    """Claims up to `limit` builds."""

    async def claim(limit=1, worker="w1", **more):
        return await run(
            builds.claim, worker=worker, now=now, lease_until=now + timedelta(seconds=30), limit=limit, **more
        )

    return claim


async def test_numbers_count_within_a_job(run, make_build):
    first = await run(builds.plan, [make_build(), make_build(job="lib"), make_build()])
    second = await run(builds.plan, [make_build(), make_build(job="lib")])
    assert [one.build.label for one in [*first, *second]] == ["web #1", "lib #1", "web #2", "web #3", "lib #2"]
    assert not any(one.existing for one in [*first, *second])


async def test_the_newest_build_of_each_job_is_found_at_once(run, database, make_build):
    await run(builds.plan, [make_build(), make_build(job="lib"), make_build()])
    async with database.reading() as conn:
        found = await builds.newest(conn, ["lib", "web", "never"])
        assert {job: build.label for job, build in found.items()} == {"lib": "lib #1", "web": "web #2"}
        assert await builds.newest(conn, []) == {}


async def test_a_planned_build_comes_back_as_it_was_planned(run, database, make_build):
    new = make_build(parameters={"TARGET": "staging", "KEY": "***"}, sealed={"KEY": "hg1.x"}, change=7, priority=80)
    planned = (await run(builds.plan, [new]))[0].build
    async with database.reading() as conn:
        assert await builds.get(conn, new.id) == planned
        assert await builds.by_number(conn, "web", 1) == planned
        assert await builds.by_number(conn, "web", 2) is None
    assert (planned.state, planned.outcome, planned.attempt) == (State.QUEUED, None, 0)
    assert (planned.parameters, planned.change, planned.queued_at) == (new.parameters, 7, new.queued_at)


async def test_a_transition_makes_one_build_of_a_job(run, make_build):
    first, twin, other = (make_build(transition_id="t_1", job=job) for job in ("web", "web", "lib"))
    planned = await run(builds.plan, [first, twin, other, make_build(), make_build()])
    assert [one.existing for one in planned] == [False, True, False, False, False]
    assert planned[1].build == planned[0].build
    again = await run(builds.plan, [make_build(transition_id="t_1"), make_build(transition_id="t_2")])
    assert [(one.existing, one.build.number) for one in again] == [(True, 1), (False, 4)]


async def test_the_index_refuses_a_second_build_of_a_transition(run, make_build, monkeypatch):
    """Negative control: `plan` asks first, and the unique index stands behind it."""
    await run(builds.plan, [make_build(transition_id="t_1")])

    async def know_nothing(conn, new):
        return {}

    monkeypatch.setattr(builds, "_of_transitions", know_nothing)
    with pytest.raises(Exception, match=r"UNIQUE constraint failed: builds\.job, builds\.transition_id"):
        await run(builds.plan, [make_build(transition_id="t_1")])


async def test_the_claim_takes_priority_first_then_the_longest_waiting(run, claim, make_build):
    new = [make_build(priority=priority, seconds=seconds) for priority, seconds in ((50, 1), (50, 0), (90, 2), (10, 0))]
    await run(builds.plan, new)
    assert [one.build.number for one in await claim(limit=3)] == [3, 2, 1]
    assert [one.build.number for one in await claim(limit=3)] == [4]
    assert await claim() == ()


async def test_a_claim_says_all_a_worker_needs(run, claim, make_build, now):
    await run(builds.plan, [make_build(sealed={"KEY": "hg1.x"}, transition_id="t_1", retries=2)])
    one = (await claim())[0]
    assert (one.fence, one.sealed, one.transition_id, one.repository_key, one.retries) == (
        1, {"KEY": "hg1.x"}, "t_1", "acme/web", 2,
    )  # fmt: skip
    build = one.build
    assert (build.state, build.worker, build.started_at, build.attempt) == (State.RUNNING, "w1", now, 1)


async def test_no_more_of_a_job_run_than_it_allows(run, claim, make_build):
    await run(
        builds.plan,
        [make_build(max_running=2, seconds=number) for number in range(5)] + [make_build(job="lib", seconds=9)],
    )
    first = await claim(limit=4)
    assert [one.build.label for one in first] == ["web #1", "web #2", "lib #1"]
    assert await claim() == ()
    await run(builds.cancel, first[0].build.id, reason="no more", now=first[0].build.queued_at)
    assert await claim() == (), "asked to end is not ended"
    await run(builds.release, first[0].build.id, 1, reason="gone", now=first[0].build.queued_at)
    assert [one.build.number for one in await claim(limit=4)] == [3]


async def test_a_finished_build_is_given_for_its_news(run, claim, make_build, now):
    await run(builds.plan, [make_build()])
    one = (await claim())[0]
    assert await run(builds.progress, one.build.id, 1, steps=STEPS, sha="b" * 40, isolation="bubblewrap")
    done = await run(
        builds.finish, one.build.id, 1, outcome=Outcome.SUCCEEDED, reason="all steps", steps=STEPS, now=now
    )
    assert (done.state, done.outcome, done.sha, done.isolation) == (
        State.FINISHED, Outcome.SUCCEEDED, "b" * 40, "bubblewrap",
    )  # fmt: skip
    assert (done.steps, done.finished_at) == (STEPS, now)


async def test_a_stale_worker_writes_nothing(run, claim, make_build, now):
    """The lease ended, the build was claimed again: fence 1 is refused, fence 2 goes on."""
    await run(builds.plan, [make_build(retries=1)])
    one = (await claim())[0]
    assert await run(builds.begin, one.build.id, 1)
    assert (await run(builds.release, one.build.id, 1, reason="worker gone", now=now)).state is State.QUEUED
    two = (await claim(worker="w2"))[0]
    assert (two.fence, two.build.attempt) == (2, 2)
    assert await run(builds.renew, one.build.id, 1, now) == "fenced"
    assert not await run(builds.progress, one.build.id, 1, steps=STEPS)
    assert not await run(builds.begin, one.build.id, 1)
    finish = {"outcome": Outcome.FAILED, "reason": "stale", "steps": (), "now": now}
    assert await run(builds.finish, one.build.id, 1, **finish) is None
    assert await run(builds.release, one.build.id, 1, reason="stale", now=now) is None
    assert await run(builds.renew, one.build.id, 2, now) == "ours"
    assert (await run(builds.finish, one.build.id, 2, **finish)).outcome is Outcome.FAILED


async def test_without_the_fence_a_stale_worker_would_win(run, claim, make_build, now, monkeypatch):
    """Negative control: the fence switched off, the first worker ends the second one's build."""
    held = builds._held
    monkeypatch.setattr(builds, "_held", lambda id_, fence: held(id_, 2))
    await run(builds.plan, [make_build(retries=1)])
    one = (await claim())[0]
    monkeypatch.setattr(builds, "_held", held)
    await run(builds.release, one.build.id, 1, reason="worker gone", now=now)
    await claim(worker="w2")
    monkeypatch.setattr(builds, "_held", lambda id_, fence: held(id_, 2))
    finish = {"outcome": Outcome.FAILED, "reason": "stale", "steps": (), "now": now}
    assert await run(builds.finish, one.build.id, 1, **finish) is not None


async def test_expired_leases_are_found_and_lost_when_no_retry_is_left(run, claim, database, make_build, now):
    await run(builds.plan, [make_build()])
    one = (await claim())[0]
    await run(builds.begin, one.build.id, 1)
    async with database.reading() as conn:
        assert await builds.expired(conn, now + timedelta(seconds=30)) == ()
        late = await builds.expired(conn, now + timedelta(seconds=31))
    assert late == (one,)
    lost = await run(builds.release, one.build.id, one.fence, reason="worker w1 is gone", now=now)
    assert (lost.state, lost.outcome, lost.reason) == (State.FINISHED, Outcome.LOST, "worker w1 is gone")


async def test_a_build_that_had_not_begun_waits_again_as_if_nobody_had_taken_it(run, claim, make_build, now):
    await run(builds.plan, [make_build()])
    for fence in (1, 2):
        one = (await claim())[0]
        assert (one.fence, one.build.attempt) == (fence, 1)
        again = await run(builds.release, one.build.id, fence, reason="worker gone", now=now)
        assert (again.state, again.attempt) == (State.QUEUED, 0)


async def test_a_build_that_ends_every_worker_before_it_begins_is_lost_in_the_end(run, claim, make_build, now):
    await run(builds.plan, [make_build()])
    for _ in range(builds.MOST_CLAIMS):
        one = (await claim())[0]
        given = await run(builds.release, one.build.id, one.fence, reason="worker gone", now=now)
    assert (given.state, given.outcome) == (State.FINISHED, Outcome.LOST)


async def test_cancelling(run, claim, make_build, now):
    await run(builds.plan, [make_build(), make_build(seconds=1)])
    (running,) = await claim()
    waiting = (await run(builds.plan, [make_build()]))[0].build
    word, build = await run(builds.cancel, waiting.id, reason="by anna", now=now)
    assert (word, build.state, build.outcome, build.reason) == (
        "finished", State.FINISHED, Outcome.CANCELLED, "by anna",
    )  # fmt: skip
    word, build = await run(builds.cancel, running.build.id, reason="by anna", now=now)
    assert (word, build.state) == ("requested", State.RUNNING)
    assert await run(builds.renew, running.build.id, 1, now) == "cancel"
    assert (await run(builds.cancel, waiting.id, reason="again", now=now))[0] == "already"
    assert await run(builds.cancel, "b_unknown", reason="", now=now) == (None, None)


async def test_a_build_asked_to_end_is_cancelled_when_its_worker_dies(run, claim, make_build, now):
    await run(builds.plan, [make_build(retries=5)])
    (one,) = await claim()
    await run(builds.cancel, one.build.id, reason="by anna", now=now)
    ended = await run(builds.release, one.build.id, 1, reason="worker gone", now=now)
    assert (ended.outcome, ended.reason) == (Outcome.CANCELLED, "by anna")


async def test_lists_and_depth(run, claim, database, make_build, now):
    await run(builds.plan, [make_build(seconds=number, job=["web", "lib"][number % 2]) for number in range(6)])
    await claim(limit=2)
    async with database.reading() as conn:
        depth = await builds.depth(conn)
        assert (depth.queued, depth.running, depth.oldest_queued_at) == (4, 2, now + timedelta(seconds=2))
        page = await builds.page(conn, limit=4)
        assert [one.label for one in page.items] == ["lib #3", "web #3", "lib #2", "web #2"]
        rest = await builds.page(conn, cursor=page.next, limit=4)
        assert ([one.label for one in rest.items], rest.next) == (["lib #1", "web #1"], None)
        assert [one.number for one in (await builds.page(conn, job="lib")).items] == [3, 2, 1]
        assert [one.label for one in (await builds.page(conn, state=State.RUNNING)).items] == ["lib #1", "web #1"]
        assert len(await builds.running(conn, "w1")) == len(await builds.running(conn)) == 2
        assert await builds.running(conn, "w2") == ()


async def test_the_previous_build_of_a_ref(run, claim, database, make_build, now):
    new = [make_build(seconds=number, sha=str(number) * 40) for number in range(4)]
    await run(builds.plan, [*new, make_build(seconds=3, ref="refs/heads/other")])
    for one, outcome in zip(await claim(limit=3), (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SUCCEEDED), strict=True):
        await run(builds.finish, one.build.id, 1, outcome=outcome, reason="", steps=(), now=now)
    async with database.reading() as conn:
        before_last = await builds.previous(conn, "web", "refs/heads/main", new[2].id)
        succeeded = await builds.previous(conn, "web", "refs/heads/main", new[2].id, Outcome.SUCCEEDED)
        assert (before_last.number, succeeded.number) == (2, 1)
        assert await builds.previous(conn, "web", "refs/heads/main", new[0].id) is None
        assert await builds.previous(conn, "web", None, new[3].id) is None
