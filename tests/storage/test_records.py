"""Events, decisions, definitions, polls and tokens: what is put in comes out, by the questions that are asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headgate.api import (
    BuildFinished,
    ChangeRequest,
    ChangeSource,
    ChangeTarget,
    Job,
    Manual,
    Push,
    Repository,
    Run,
    Source,
    Step,
    Tick,
    Verdict,
)
from headgate.storage import decisions, definitions, events, polls, tokens
from headgate.storage.decisions import Decision
from headgate.storage.events import EventRecord
from headgate.storage.polls import PollState

WEB = Repository(host="git.example.org", path="acme/web")
SHA = "a" * 40


def record(event, now, *, id_, **more):
    values = {"connection": "acme", "repository": "acme/web", "observer": "webhook", "created_at": now}
    return EventRecord(id=id_, event=event, **(values | more))


def decision(now, *, id_, event_id, job="web", **more):
    values = {"definition": "f" * 64, "build": True, "reason": "branch main", "rule": "triggers.push", "verdicts": ()}
    return Decision(id=id_, event_id=event_id, job=job, created_at=now, **(values | more))


@pytest.fixture
def all_events(now):
    """One of several types."""
    return [
        record(Push(repository=WEB, ref="refs/heads/main", before=None, after=SHA), now, id_="e_1", delivery_id="d_1"),
        record(
            ChangeRequest(
                repository=WEB, number=7, action="opened", title="Ümläut", author="anna",
                source=ChangeSource(repository=None, branch="b", sha=SHA), target=ChangeTarget(branch="main"),
            ),
            now, id_="e_2", delivery_id="d_1", transition_id="t_1",
        ),
        record(Tick(job="web", scheduled_for=now), now, id_="e_3", observer="clock", connection=None, repository=None),
        record(Manual(job="web", actor="anna", sha=SHA), now, id_="e_4", observer="person"),
        record(BuildFinished(job="web", build_id="b_1", outcome="failed"), now, id_="e_5", observer="build"),
    ]  # fmt: skip


async def test_events_come_back_as_they_were(database, all_events):
    await database.writer.write(lambda conn: events.add(conn, all_events))
    await database.writer.write(lambda conn: events.add(conn, ()))
    async with database.reading() as conn:
        assert [await events.get(conn, one.id) for one in all_events] == all_events
        assert await events.of_delivery(conn, "d_1") == tuple(all_events[:2])
        assert await events.get(conn, "e_unknown") is None


async def test_decisions_are_found_by_event_build_and_commit(database, all_events, now):
    verdict = Verdict(passed=False, rule="conditions[0].author", reason="author is excluded", compared={"not": ["x"]})
    made = [
        decision(now, id_="x_1", event_id="e_1", build_id="b_1", verdicts=(verdict,)),
        decision(now, id_="x_2", event_id="e_2", existing_build_id="b_1"),
        decision(now, id_="x_3", event_id="e_2", job="lib", build=False),
        decision(now, id_="x_4", event_id="e_3"),
    ]

    async def both(conn):
        await events.add(conn, all_events)
        await decisions.add(conn, made)

    await database.writer.write(both)
    async with database.reading() as conn:
        assert await decisions.of_events(conn, ["e_1", "e_2"]) == (made[0], made[2], made[1])
        assert await decisions.of_events(conn, []) == ()
        assert await decisions.of_build(conn, "b_1") == tuple(made[:2])
        assert await decisions.of_job_and_sha(conn, "web", SHA) == (made[1], made[0])
        assert await decisions.of_job_and_sha(conn, "web", "b" * 40) == ()


async def test_a_decision_without_its_event_is_refused(database, now):
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await database.writer.write(lambda conn: decisions.add(conn, [decision(now, id_="x", event_id="e_none")]))


async def test_definitions_are_kept_once(database):
    job = Job(
        name="web", source=Source(connection="acme", repository="acme/web"),
        run=Run(steps=(Step(name="test", run="make test"),)), definition="f" * 64,
    )  # fmt: skip
    for _ in range(2):
        await database.writer.write(lambda conn: definitions.keep(conn, [job, job]))
    async with database.reading() as conn:
        assert await definitions.get(conn, "f" * 64) == job
        assert await definitions.get(conn, "0" * 64) is None


async def test_polls_are_replaced(database, now):
    first = PollState(connection="acme", repository="acme/web", prefixes=("refs/heads/",), asked_at=now, error="no")
    second = PollState(
        connection="acme", repository="acme/web", default_branch="main", asked_at=now + timedelta(seconds=5),
        succeeded_at=now,
    )  # fmt: skip
    other = PollState(connection="acme", repository="acme/lib", asked_at=now)
    await database.writer.write(lambda conn: polls.put(conn, [first, other]))
    async with database.reading() as conn:
        assert await polls.get(conn, "acme", "acme/web") == first
    await database.writer.write(lambda conn: polls.put(conn, [second]))
    async with database.reading() as conn:
        assert await polls.all(conn) == (other, second)
        assert await polls.get(conn, "acme", "none") is None


async def test_a_token_is_found_by_its_hash_and_never_stored(database, now):
    secret, token = tokens.new_token("ci", ["builds.read"], now=now)
    assert await database.writer.write(lambda conn: tokens.create(conn, token))
    assert not await database.writer.write(lambda conn: tokens.create(conn, tokens.new_token("ci", [], now=now)[1]))
    await database.writer.write(lambda conn: tokens.used(conn, token.id, now))
    async with database.reading() as conn:
        found = await tokens.by_hash(conn, tokens.hash_of(secret.reveal()))
        assert (found.name, found.permissions, found.last_used_at) == ("ci", ("builds.read",), now)
        assert await tokens.by_hash(conn, tokens.hash_of(secret.reveal() + "x")) is None
        assert await tokens.list(conn) == (found,)
        assert await tokens.count(conn) == 1
    assert await database.writer.write(lambda conn: tokens.remove(conn, "ci"))
    assert not await database.writer.write(lambda conn: tokens.remove(conn, "ci"))


def test_tokens_have_256_random_bits(now):
    texts = {tokens.new_token("ci", [], now=now)[0].reveal() for _ in range(100)}
    assert len(texts) == 100
    assert {len(text) for text in texts} == {len("hg_") + 43}
