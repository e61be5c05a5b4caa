"""Polls: one narrow question a repository, errors that change nothing, and a first look that starts no storm."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pytest
from flow_parts import WEB, A, B, C, fact, make_job

from headgate import api
from headgate.scheduling import learned
from headgate.scheduling import polls as module
from headgate.scheduling.polls import FEW, FIRST_ROUND, Poller
from headgate.storage import builds, events, polls, refs


@dataclass
class Answer:
    heads: dict[str, str]
    default_branch: str | None = "main"
    host: str = "example.org"
    peeled: dict[str, str] = field(default_factory=dict)


@dataclass
class Remote:
    """What a repository would answer, and what it was asked."""

    heads: dict[str, str] = field(default_factory=dict)
    peeled: dict[str, str] = field(default_factory=dict)
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
        return Answer({ref: sha for ref, sha in heads.items() if ref.startswith(wanted)}, peeled=self.peeled)


@pytest.fixture
def remote():
    one = Remote()
    one.gate.set()
    return one


def make_poller(database, world, remote, log):
    return Poller(
        database=database,
        flow=world.flow,
        asks=remote,
        snapshot=lambda: world.snapshot,
        jitter=0.1,
        concurrency=4,
        metrics=world.metrics,
        health=world.health,
        log=log,
        now=lambda: datetime.now(UTC),
    )


@pytest.fixture
async def poller(database, world, remote, log):
    return make_poller(database, world, remote, log)


@pytest.fixture
def uses(database, monkeypatch):
    """How often the database was read and written since the list was cleared."""
    seen = []
    reading, add = database.reading, database.writer.add

    def read():
        seen.append("read")
        return reading()

    async def write(batch, value):
        seen.append("write")
        return await add(batch, value)

    monkeypatch.setattr(database, "reading", read)
    monkeypatch.setattr(database.writer, "add", write)
    return seen


async def shas(database):
    async with database.reading() as connection:
        return [build.sha for build in reversed((await builds.page(connection, limit=100)).items)]


POLLED = {"poll": {"every": 3600.0}}


def polled(number):
    """A job of a repository of its own."""
    source = api.Source(connection="acme", repository=f"acme/r{number}")
    return msgspec.structs.replace(make_job(f"j{number}", POLLED), source=source)


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


async def test_heads_that_stay_cost_no_look_at_the_database_and_one_write_for_all(
    poller, world, remote, database, uses
):
    jobs = [polled(n) for n in range(20)]
    world.use(*jobs)
    remote.heads = {"refs/heads/main": A}
    for _ in range(2):  # the first brings news, the second is compared with what is kept
        for n in range(20):
            await poller.ask("acme", f"acme/r{n}")
    await poller.flush()
    async with database.reading() as connection:
        before = {state.repository: state.asked_at for state in await polls.all(connection)}
    uses.clear()
    for _ in range(3):
        for n in range(20):
            assert "nothing moved" in await poller.ask("acme", f"acme/r{n}")
    assert uses == []
    await poller.flush()
    assert uses == ["write"]
    async with database.reading() as connection:
        after = {state.repository: state.asked_at for state in await polls.all(connection)}
    assert all(after[repository] > moment for repository, moment in before.items())
    uses.clear()
    remote.heads = {"refs/heads/main": B}
    assert "1 refs moved" in await poller.ask("acme", "acme/r7")
    assert "read" in uses, "the control: what moved is compared and kept"


async def test_what_is_no_news_is_written_by_itself_after_a_while(poller, world, remote, database, monkeypatch):
    monkeypatch.setattr(learned, "TOGETHER", 0.01)
    world.use(make_job("web", POLLED))
    remote.heads = {"refs/heads/main": A}
    await poller.ask("acme", "acme/web")

    async def asked_at():
        async with database.reading() as connection:
            return (await polls.get(connection, "acme", "acme/web")).asked_at

    before = await asked_at()
    await poller.ask("acme", "acme/web")
    async with asyncio.timeout(10):
        while await asked_at() == before:
            await asyncio.sleep(0.01)


async def test_a_crash_before_the_late_write_loses_no_move_and_repeats_none(poller, world, remote, database, log):
    world.use(make_job("web", EVERY_BRANCH))
    remote.heads = {"refs/heads/main": A}
    for _ in range(3):
        await poller.ask("acme", "acme/web")
    again = make_poller(database, world, remote, log)  # nothing was flushed
    await again.ask("acme", "acme/web")
    assert await shas(database) == [A]
    remote.heads = {"refs/heads/main": B, "refs/heads/new": C}
    await again.ask("acme", "acme/web")
    assert sorted(await shas(database)) == [A, B, C]


async def test_an_answer_that_could_not_be_kept_is_taken_up_when_it_is_told_again(
    poller, world, remote, database, monkeypatch
):
    world.use(make_job("web", POLLED))
    admit = world.flow.admit

    async def broken(facts):
        raise RuntimeError("not now")

    for head, fails in ((A, False), (A, False), (B, True), (B, False)):
        remote.heads = {"refs/heads/main": head}
        monkeypatch.setattr(world.flow, "admit", broken if fails else admit)
        with contextlib.suppress(RuntimeError):
            await poller.ask("acme", "acme/web")
    assert await shas(database) == [A, B]


async def test_the_same_heads_under_another_question_are_compared_again(poller, world, remote, uses):
    world.use(make_job("web", POLLED), make_job("pushed", {"push": {}}))
    remote.heads = {"refs/heads/main": A}
    poller._scheduler.start(paused=True)
    poller.rebuild()
    for _ in range(3):
        await poller.ask("acme", "acme/web")
    uses.clear()
    await poller.ask("acme", "acme/web", "d_1")
    assert "read" in uses
    poller.stop()


async def test_a_start_with_many_repositories_is_spread_and_keeps_the_rhythm_of_those_not_due(
    poller, world, remote, database
):
    many = 500
    world.use(*(polled(n) for n in range(many)))
    poller._scheduler.start(paused=True)
    poller.rebuild()
    first = sorted(job.next_run_time.timestamp() for job in poller._scheduler.get_jobs())
    assert len(first) == many
    spread = first[-1] - first[0]  # each is counted from the moment at which it was planned
    assert many / FIRST_ROUND * 0.9 < spread < many / FIRST_ROUND * 1.2
    world.use()
    poller.rebuild()
    assert poller._scheduler.get_jobs() == []
    asked = {("acme", f"acme/r{n}"): datetime.now(UTC) for n in range(many)}
    world.use(*(polled(n) for n in range(many)))
    poller.rebuild(asked)
    for job in poller._scheduler.get_jobs():
        assert (job.next_run_time - asked[tuple(job.args)]).total_seconds() == 3600.0
    world.use(*(polled(n) for n in range(FEW)))
    poller.rebuild()
    assert len(poller._scheduler.get_jobs()) == FEW
    poller.stop()


async def test_a_round_of_first_looks_does_not_crowd_the_database(poller, world, remote, database, monkeypatch):
    many, readers, most = 200, 0, 0
    world.use(*(polled(n) for n in range(many)))
    remote.heads = {"refs/heads/main": A}
    reading = database.reading

    @contextlib.asynccontextmanager
    async def counted():
        nonlocal readers, most
        readers += 1
        most = max(most, readers)
        try:
            async with reading() as connection:
                yield connection
        finally:
            readers -= 1

    monkeypatch.setattr(database, "reading", counted)
    said = await asyncio.gather(*(poller.ask("acme", f"acme/r{n}") for n in range(many)))
    assert all("1 refs moved" in one for one in said)
    assert 1 <= most <= 4, "no more than are asked at once"


async def test_what_cannot_be_asked_stands_in_the_health_report_until_it_answers(poller, world, remote):
    world.use(*(polled(number) for number in range(5)))
    poller.rebuild()
    remote.error = api.NotFound("no such repository")
    for number in (0, 0, 1, 2, 3):
        await poller.ask("acme", f"acme/r{number}")
    (component,) = world.health.report().components
    assert (component.name, component.status) == ("polls acme", "degraded")
    assert component.reason.startswith("acme/r0: no such repository; acme/r1: ")
    assert component.reason.endswith("; 1 more repositories")
    remote.error = None
    for number in range(3):
        await poller.ask("acme", f"acme/r{number}")
    (component,) = world.health.report().components
    assert component.reason == "acme/r3: no such repository"
    world.use(polled(4))
    poller.rebuild()
    assert not world.health.report().components, "nobody asks it any more"


async def test_an_annotated_tag_is_built_as_the_commit_it_leads_to(poller, world, remote, database):
    world.use(make_job("web", {"poll": {"every": 3600.0}, "tag": {}}))
    remote.heads = {"refs/heads/main": A}
    await poller.ask("acme", "acme/web")
    remote.heads |= {"refs/tags/v1": C, "refs/tags/light": B}
    remote.peeled = {"refs/tags/v1": B}
    await poller.ask("acme", "acme/web", "d-1")
    assert sorted(await shas(database)) == [A, B, B]
    async with database.reading() as connection:
        (event,) = [one.event for one in await events.of_delivery(connection, "d-1") if one.event.ref.endswith("/v1")]
    assert (event.after, event.commit) == (C, B)


@pytest.mark.parametrize(("peeled", "built"), [(True, [B]), (False, [B, C])])
async def test_a_tag_whose_webhook_named_its_commit_alone_is_not_built_again_by_a_poll(  # noqa: PLR0917 - fixtures
    poller, world, remote, database, peeled, built
):
    """As Bitbucket Cloud's. Negative control: a poll that knows the tag's own object alone takes it for a move."""
    world.use(make_job("web", {"poll": {"every": 3600.0, "branches": []}, "tag": {}}))
    told = api.Tag(repository=WEB, ref="refs/tags/v1", tag="v1", before=None, after=B)
    await world.flow.admit([fact(told)])
    remote.heads = {"refs/tags/v1": C}
    remote.peeled = {"refs/tags/v1": B} if peeled else {}
    for _ in range(2):
        await poller.ask("acme", "acme/web", "d-1")
    assert await shas(database) == built
    assert await poller.ask("acme", "acme/web", "d-1") == "asked acme/web: nothing moved"


@pytest.mark.parametrize(("patience", "answered"), [(0.05, True), (3600, False)])
async def test_a_host_that_hangs_holds_up_no_other_connection(  # noqa: PLR0917 - fixtures
    database, world, remote, log, monkeypatch, patience, answered
):
    """Negative control: with endless patience its questions have all places, and nobody else is asked."""
    monkeypatch.setattr(module, "PATIENCE", patience)
    hanging = [
        msgspec.structs.replace(
            make_job(f"h{number}", POLLED), source=api.Source(connection="hung", repository=f"acme/h{number}")
        )
        for number in range(12)
    ]
    world.use(make_job("web", POLLED), *hanging)
    poller = make_poller(database, world, Hangs(remote, "hung"), log)
    remote.heads = {"refs/heads/main": A}
    waiting = [asyncio.create_task(poller.ask("hung", f"acme/h{number}")) for number in range(12)]
    asking = asyncio.create_task(poller.ask("acme", "acme/web"))
    done, _ = await asyncio.wait([asking], timeout=1)
    assert bool(done) is answered
    for task in (*waiting, asking):
        task.cancel()
    await asyncio.wait([*waiting, asking])
    for question in list(poller._asking.values()):
        question.task.cancel()
        await asyncio.wait([question.task])


class Hangs:
    """A remote whose one connection says nothing."""

    def __init__(self, remote, connection):
        self.remote, self.connection = remote, connection

    async def __call__(self, connection, path, prefixes):
        if connection == self.connection:
            await asyncio.Event().wait()
        return await self.remote(connection, path, prefixes)


@pytest.mark.parametrize(("together", "first"), [(10, 10), (10_000, 101)])
async def test_a_first_look_at_many_refs_lets_others_write_in_between(  # noqa: PLR0917 - fixtures
    poller, world, remote, database, monkeypatch, together, first
):
    """Negative control: admitted in one go, all of them stand before whatever else is to be written."""
    monkeypatch.setattr(module, "TOGETHER", together)
    world.use(make_job("web", EVERY_BRANCH))
    remote.heads = {"refs/heads/main": A} | {f"refs/heads/old-{number}": B for number in range(100)}
    known, admit = [], world.flow.admit

    async def watched(facts):
        admitted = await admit(facts)
        async with database.reading() as connection:
            known.append(len(await refs.heads(connection, "acme", "acme/web")))
        return admitted

    monkeypatch.setattr(world.flow, "admit", watched)
    assert await poller.ask("acme", "acme/web") == "asked acme/web: 101 refs moved"
    assert (known[0], known[-1]) == (first, 101)
    assert await shas(database) == [A]


async def test_a_crash_in_the_middle_of_a_first_look_makes_no_news_of_the_rest(  # noqa: PLR0917 - fixtures
    poller, world, remote, database, log, monkeypatch
):
    monkeypatch.setattr(module, "TOGETHER", 10)
    world.use(make_job("web", EVERY_BRANCH))
    remote.heads = {"refs/heads/main": A} | {f"refs/heads/old-{number}": B for number in range(100)}
    admit = world.flow.admit

    async def cut_off(facts):
        await admit(facts)
        raise ConnectionResetError

    monkeypatch.setattr(world.flow, "admit", cut_off)
    with pytest.raises(ConnectionResetError):
        await poller.ask("acme", "acme/web")
    monkeypatch.setattr(world.flow, "admit", admit)
    again = make_poller(database, world, remote, log)
    assert await again.ask("acme", "acme/web") == "asked acme/web: 91 refs moved"
    assert await again.ask("acme", "acme/web") == "asked acme/web: nothing moved"
    assert await shas(database) == [A]
