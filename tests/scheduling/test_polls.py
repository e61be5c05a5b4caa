"""Polls: one narrow question a repository, errors that change nothing, and a first look that starts no storm."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from flow_parts import A, B, C, make_job

from headgate import api
from headgate.scheduling.polls import Poller
from headgate.storage import builds, events, polls


@dataclass
class Answer:
    heads: dict[str, str]
    default_branch: str | None = "main"
    host: str = "example.org"


@dataclass
class Remote:
    """What a repository would answer, and what it was asked."""

    heads: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[tuple] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, connection, path, prefixes):
        self.asked.append((connection, path, prefixes))
        heads = dict(self.heads)
        await self.gate.wait()
        if self.error:
            raise self.error
        wanted = tuple("refs/heads/main" if prefix == "HEAD" else prefix for prefix in prefixes)
        return Answer({ref: sha for ref, sha in heads.items() if ref.startswith(wanted)})


@pytest.fixture
def remote():
    one = Remote()
    one.gate.set()
    return one


@pytest.fixture
async def poller(database, world, remote, log):
    return Poller(
        database=database,
        flow=world.flow,
        asks=remote,
        snapshot=lambda: world.snapshot,
        jitter=0.1,
        concurrency=4,
        metrics=world.metrics,
        log=log,
        now=lambda: datetime.now(UTC),
    )


async def shas(database):
    async with database.reading() as connection:
        return [build.sha for build in reversed((await builds.page(connection, limit=100)).items)]


POLLED = {"poll": {"every": 3600.0}}
EVERY_BRANCH = {"poll": {"every": 3600.0, "branches": ["**"]}}


async def test_the_first_look_builds_the_default_branch_and_takes_the_rest_as_it_is(poller, world, remote, database):
    world.use(make_job("web", EVERY_BRANCH))
    remote.heads = {"refs/heads/main": A, "refs/heads/old-1": B, "refs/heads/old-2": C}
    await poller.ask("acme", "acme/web")
    assert await shas(database) == [A]
    remote.heads["refs/heads/new"] = C
    await poller.ask("acme", "acme/web")
    assert await shas(database) == [A, C], "a branch that appears later is news"


async def test_nothing_moved_is_no_build_and_a_moved_head_is_one(poller, world, remote, database):
    world.use(make_job("web", POLLED))
    for sha in (A, A, B, B, A):
        remote.heads = {"refs/heads/main": sha}
        await poller.ask("acme", "acme/web")
    assert await shas(database) == [A, B, A]


async def test_without_branches_only_the_default_one_is_asked_for(poller, world, remote, database):
    world.use(make_job("web", POLLED))
    poller._scheduler.start(paused=True)
    poller.rebuild()
    remote.heads = {"refs/heads/main": A, "refs/heads/other": B}
    await poller.ask("acme", "acme/web")
    poller.stop()
    assert remote.asked[0][2] == ("HEAD",)
    async with database.reading() as connection:
        (build,) = (await builds.page(connection)).items
    assert (build.ref, build.sha) == ("refs/heads/main", A)


async def test_an_error_is_not_a_change(poller, world, remote, database):
    world.use(make_job("web", POLLED))
    remote.heads = {"refs/heads/main": A}
    await poller.ask("acme", "acme/web")
    remote.error, remote.heads = api.Unavailable("no route to host"), {}
    assert "no route to host" in await poller.ask("acme", "acme/web")
    async with database.reading() as connection:
        state = await polls.get(connection, "acme", "acme/web")
    assert state.error == "no route to host"
    remote.error, remote.heads = None, {"refs/heads/main": A}
    await poller.ask("acme", "acme/web")
    assert await shas(database) == [A], "the branch was never gone"


async def test_control_a_branch_that_is_really_gone_and_back_builds_again(poller, world, remote, database):
    """What an error would do if it were taken for an empty answer."""
    world.use(make_job("web", POLLED))
    for heads in ({"refs/heads/main": A}, {}, {"refs/heads/main": A}):
        remote.heads = heads
        await poller.ask("acme", "acme/web")
    assert await shas(database) == [A, A]


async def test_all_jobs_of_a_repository_share_one_question_no_wider_than_they_need(poller, world, remote):
    world.use(
        make_job("one", {"poll": {"every": 60.0, "branches": ["main"]}}),
        make_job("two", {"poll": {"every": 3600.0, "branches": ["main", "release/**"]}}),
    )
    poller._scheduler.start(paused=True)
    poller.rebuild()
    await poller.ask("acme", "acme/web")
    poller.stop()
    ((_, _, prefixes),) = remote.asked
    assert set(prefixes) <= {"refs/heads/main", "refs/heads/release/"}
    assert len(poller._timetables) == 1


async def test_askers_who_come_while_a_question_runs_share_the_next_one(poller, world, remote, database):
    world.use(make_job("web", POLLED))
    remote.heads = {"refs/heads/main": A}
    remote.gate.clear()
    first = asyncio.create_task(poller.ask("acme", "acme/web"))
    await asyncio.sleep(0.05)
    remote.heads = {"refs/heads/main": B}
    later = [asyncio.create_task(poller.ask("acme", "acme/web")) for _ in range(10)]
    await asyncio.sleep(0.05)
    remote.gate.set()
    await asyncio.gather(first, *later)
    assert len(remote.asked) == 2, "the first may have been answered before the push; one more is enough for all"
    assert await shas(database) == [A, B]


async def test_a_push_that_was_only_announced_is_found_on_any_branch_and_names_its_delivery(
    poller, world, remote, database
):
    """Another job's narrow poll of the default branch must not hide it; nor a branch that came since."""
    world.use(make_job("polled", POLLED), make_job("pushed", {"push": {"branches": ["dev", "later"]}}))
    poller._scheduler.start(paused=True)
    poller.rebuild()
    remote.heads = {"refs/heads/main": A, "refs/heads/dev": A}
    await poller.ask("acme", "acme/web", "d_1")
    assert await shas(database) == [A], "the first look builds the default branch only"
    remote.heads["refs/heads/dev"] = B
    await poller.ask("acme", "acme/web")
    assert await shas(database) == [A], "the control: the timetable's own question is narrow"
    await poller.ask("acme", "acme/web", "d_2")
    remote.heads["refs/heads/later"] = C
    await poller.ask("acme", "acme/web")
    await poller.ask("acme", "acme/web", "d_3")
    poller.stop()
    assert await shas(database) == [A, B, C]
    async with database.reading() as connection:
        (event,) = await events.of_delivery(connection, "d_2")
        found = (await builds.page(connection)).items
    assert (event.event.ref, event.event.after) == ("refs/heads/dev", B)
    assert [build.delivery_id for build in found] == ["d_3", "d_2", "d_1"]


async def test_a_wide_question_is_not_answered_by_a_narrow_one(poller, world, remote, database):
    world.use(make_job("polled", POLLED), make_job("pushed", {"push": {}}))
    poller._scheduler.start(paused=True)
    poller.rebuild()
    remote.gate.clear()
    asked = [asyncio.create_task(poller.ask("acme", "acme/web", delivery)) for delivery in (None, None, "d_1", "d_2")]
    await asyncio.sleep(0.05)
    remote.gate.set()
    await asyncio.gather(*asked)
    poller.stop()
    assert [prefixes for _, _, prefixes in remote.asked] == [("HEAD",), ("HEAD",), ("refs/heads/", "refs/tags/")]


async def test_a_reload_keeps_the_timetable_of_what_did_not_change(poller, world):
    world.use(make_job("web", POLLED))
    poller._scheduler.start(paused=True)
    poller.rebuild()
    (before,) = poller._scheduler.get_jobs()
    world.use(make_job("web", POLLED), make_job("other", {"push": {}}))
    poller.rebuild()
    (after,) = poller._scheduler.get_jobs()
    assert before.next_run_time == after.next_run_time
    world.use(make_job("web", {"poll": {"every": 60.0}}))
    poller.rebuild()
    (changed,) = poller._scheduler.get_jobs()
    assert changed.trigger.interval.total_seconds() == 60
    world.use()
    poller.rebuild()
    assert poller._scheduler.get_jobs() == []
    poller.stop()


async def test_a_due_poll_asks_by_itself_and_a_failing_one_goes_on(poller, world, remote, database, log):
    world.use(make_job("web", {"poll": {"every": 1.0}}))
    remote.error = RuntimeError("a bug in a provider")
    await poller.start()
    try:
        async with asyncio.timeout(10):
            while len(remote.asked) < 2:
                await asyncio.sleep(0.05)
            remote.error, remote.heads = None, {"refs/heads/main": A}
            while await shas(database) != [A]:
                await asyncio.sleep(0.05)
    finally:
        poller.stop()
    assert any(event == "poll failed" for event, _ in log.lines)
