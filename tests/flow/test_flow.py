"""One fact in, everything that follows from it on disk at once, and never twice."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime

import msgspec
import pytest
from flow_parts import WEB, A, B, C, fact, make_job, push

from headgate import api
from headgate.storage import builds, decisions, deliveries
from headgate.storage.deliveries import NewDelivery, Settled
from headgate.storage.ids import new_id


async def all_builds(database):
    async with database.reading() as connection:
        return (await builds.page(connection, limit=200)).items


async def record(database, key=None):
    delivery = api.Delivery(
        id=new_id("d", datetime.now(UTC)), connection="acme", received_at=datetime.now(UTC), headers=(), body=b"{}"
    )
    await database.writer.add(deliveries.record, NewDelivery(delivery=delivery, key=key))
    return delivery.id


def settled(delivery_id):
    return Settled(id=delivery_id, state="routed", at=datetime.now(UTC))


async def test_a_push_becomes_one_build_with_its_decision(flow_of, database):
    flow = flow_of(make_job("web"), make_job("docs", {"push": {"branches": ["docs"]}}))
    (admitted,) = await flow.admit([fact(push(A, B))])
    assert [(one.job, one.build) for one in admitted.decisions] == [("docs", False), ("web", True)]
    (build,) = admitted.builds
    assert (build.job, build.number, build.sha, build.ref) == ("web", 1, B, "refs/heads/main")
    assert await all_builds(database) == (build,)
    assert [one.id for one in flow.woken_for] == [build.id]
    async with database.reading() as connection:
        kept = await decisions.of_events(connection, [admitted.event.id])
    assert {one.job: one.rule for one in kept}["docs"] == "triggers.push.branches"


async def test_webhook_and_poll_of_one_push_racing_make_one_build(flow_of, database):
    flow = flow_of(make_job("web", {"push": {}, "poll": {"every": 60.0}}))
    await flow.admit([fact(push(None, A))])
    await asyncio.gather(
        *(flow.admit([fact(push(A, B), observer=observer)]) for observer in ("webhook", "poll") for _ in range(5))
    )
    assert sorted(build.sha for build in await all_builds(database)) == [A, B]


async def test_control_two_ledgers_would_build_it_twice(flow_of, database):
    """The one build is the ledger's doing: a second ref for the same head is a second move."""
    flow = flow_of(make_job("web"))
    await flow.admit([fact(push(A, B)), fact(push(A, B, ref="refs/heads/copy"))])
    assert len(await all_builds(database)) == 2


async def test_there_and_back_builds_the_first_head_twice(flow_of, database):
    flow = flow_of(make_job("web"))
    for before, after in [(None, A), (A, B), (B, A)]:
        await flow.admit([fact(push(before, after))])
    assert [build.sha for build in await all_builds(database)] == [A, B, A]


async def test_a_push_that_says_only_where_the_head_is_now_builds_it_once(flow_of, database):
    flow = flow_of(make_job("web"))
    now_at_b = msgspec.structs.replace(push(None, B), before_known=False)
    for event in (push(None, A), push(A, B), now_at_b, now_at_b):
        await flow.admit([fact(event)])
    assert sorted(build.sha for build in await all_builds(database)) == [A, B]


async def test_control_the_same_push_as_a_creation_is_built_twice(flow_of, database):
    flow = flow_of(make_job("web"))
    for event in (push(None, A), push(A, B), push(None, B)):
        await flow.admit([fact(event)])
    assert sorted(build.sha for build in await all_builds(database)) == [A, B, B]


async def test_a_deletion_builds_nothing_and_says_so(flow_of, database):
    flow = flow_of(make_job("web"))
    (admitted,) = await flow.admit([fact(push(A, None))])
    assert not admitted.builds
    assert "delet" in admitted.decisions[0].reason


async def test_a_delivery_is_routed_once_whoever_tries_again(flow_of, database):
    flow = flow_of(make_job("web"))
    delivery = await record(database)
    first = await flow.admit([fact(push(A, B), delivery_id=delivery)], settled=settled(delivery))
    again = await flow.admit([fact(push(B, C), delivery_id=delivery)], settled=settled(delivery))
    assert len(first) == 1
    assert again == ()
    assert [build.sha for build in await all_builds(database)] == [B]


async def test_what_fails_inside_leaves_the_delivery_to_be_routed_again(flow_of, database, monkeypatch):
    flow = flow_of(make_job("web"))
    delivery = await record(database)

    async def broken(connection, new):
        raise RuntimeError("the last statement fails")

    with monkeypatch.context() as patch:
        patch.setattr(decisions, "add", broken)
        with pytest.raises(RuntimeError):
            await flow.admit([fact(push(A, B), delivery_id=delivery)], settled=settled(delivery))
    assert await all_builds(database) == ()
    async with database.reading() as connection:
        assert [one.delivery.id for one in await deliveries.pending(connection, limit=10)] == [delivery]
    await flow.admit([fact(push(A, B), delivery_id=delivery)], settled=settled(delivery))
    assert len(await all_builds(database)) == 1


async def test_one_bad_case_does_not_take_its_neighbours_down(flow_of, database, monkeypatch):
    flow = flow_of(make_job("web"))
    add = decisions.add

    async def broken_for_c(connection, new):
        if any("poison" in verdict.reason for one in new for verdict in one.verdicts) or any(
            one.event_id == "e_bad" for one in new
        ):
            raise RuntimeError("poison")
        return await add(connection, new)

    monkeypatch.setattr(decisions, "add", broken_for_c)
    good = [flow.admit([fact(push(None, f"{n:040x}", ref=f"refs/heads/b{n}"))]) for n in range(1, 9)]
    bad = flow.admit([fact(push(None, C, ref="refs/heads/bad"), event_id="e_bad")])
    results = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(results[-1], RuntimeError)
    assert len(await all_builds(database)) == 8


async def test_a_replay_builds_only_what_was_not_built(flow_of, database):
    await flow_of(make_job("web")).admit([fact(push(A, B))])
    wider = flow_of(make_job("web"), make_job("new"))
    (admitted,) = await wider.admit([fact(push(A, B), rejudge=True)])
    by_job = {one.job: one for one in admitted.decisions}
    assert by_job["new"].build
    assert "web #1 was already built" in by_job["web"].reason
    assert sorted(build.job for build in await all_builds(database)) == ["new", "web"]


async def test_a_replay_of_a_move_that_was_taken_back_builds_nothing_again(flow_of, database):
    flow = flow_of(make_job("web"))
    for before, after in [(A, B), (B, A)]:
        await flow.admit([fact(push(before, after))])
    (admitted,) = await flow.admit([fact(push(A, B), rejudge=True)])
    assert [one.build for one in admitted.decisions] == [False]
    assert sorted(build.sha for build in await all_builds(database)) == [A, B]


async def test_paths_are_learned_only_when_a_rule_looks_at_them(flow_of, history):
    history.paths = ("src/a.py",)
    await flow_of(make_job("web")).admit([fact(push(None, A))])
    assert history.asked == 0
    flow = flow_of(make_job("web", {"push": {"paths": ["docs/**"]}}))
    (admitted,) = await flow.admit([fact(push(A, B))])
    assert history.asked == 1
    assert admitted.decisions[0].rule == "triggers.push.paths"
    commit = api.Commit(id=C, paths=("docs/x.md",))
    (admitted,) = await flow.admit([fact(push(B, C, commits=(commit,), complete=True))])
    assert history.asked == 1, "a complete payload is believed"
    assert admitted.builds


async def test_paths_that_cannot_be_learned_build_rather_than_lose(flow_of, history):
    history.paths = None
    flow = flow_of(make_job("web", {"push": {"paths": ["docs/**"]}}))
    (admitted,) = await flow.admit([fact(push(A, B))])
    assert admitted.builds
    assert "no route to example.org" in str(admitted.decisions[0].verdicts)


def tag(after, *, before=None, **more):
    return api.Tag(repository=WEB, ref="refs/tags/v1", tag="v1", before=before, after=after, **more)


SKIPS = api.Block(kind="message", options={"not_matching": r"\[skip ci\]"})


async def test_what_a_tag_leads_to_is_learned_only_when_a_rule_looks_at_its_message(flow_of, history):
    await flow_of(make_job("web", {"tag": {}})).admit([fact(tag(A))])
    assert history.asked == 0
    flow = flow_of(make_job("web", {"tag": {}}, conditions=(SKIPS,)))
    (admitted,) = await flow.admit([fact(tag(B, before=A))])
    assert history.asked == 1
    assert admitted.decisions[0].rule == "conditions.message.not_matching"
    assert (admitted.event.event.commit, admitted.event.event.after) == (C, B)
    commit = api.Commit(id=A, message="One")
    (admitted,) = await flow.admit([fact(tag(A, before=B, commits=(commit,)))])
    assert admitted.builds
    assert history.asked == 1, "what a payload says is believed"


async def test_a_tag_that_cannot_be_followed_is_built_and_told_so(flow_of, history):
    history.paths = None
    flow = flow_of(make_job("web", {"tag": {}}, conditions=(SKIPS,)))
    (admitted,) = await flow.admit([fact(tag(B))])
    assert admitted.builds
    assert "the message is not known" in str(admitted.decisions[0].verdicts)


@pytest.mark.parametrize(("told", "built"), [({"commit": C}, C), ({}, B)])
async def test_a_build_of_a_tag_is_of_the_commit_where_that_was_told(flow_of, database, told, built):
    await flow_of(make_job("web", {"tag": {}})).admit([fact(tag(B, **told))])
    assert [build.sha for build in await all_builds(database)] == [built]


async def test_webhook_and_poll_of_one_annotated_tag_make_one_build(flow_of, database):
    """Whatever each of them tells of its commit."""
    flow = flow_of(make_job("web", {"tag": {}}))
    await flow.admit([fact(tag(B))])
    await flow.admit([fact(tag(B, commit=C), observer="poll")])
    assert len(await all_builds(database)) == 1


async def test_a_manual_build_is_made_once_for_one_idempotency_key(flow_of, database):
    flow = flow_of(make_job("web", {"manual": {}}))
    asked = [
        await flow.run_job("web", ref="main", parameters={}, actor="ada", idempotency_key=key)
        for key in ("k1", "k1", "k2", None)
    ]
    assert asked[0].id == asked[1].id
    assert len({build.id for build in asked}) == 3
    assert asked[0].ref == "refs/heads/main"


async def test_what_cannot_be_run_by_hand_says_what_to_do(flow_of):
    parameter = api.ParameterDefinition(name="TARGET", type="choice", choices=("staging", "production"))
    flow = flow_of(make_job("web", {"manual": {}}, parameters=(parameter,)), make_job("push-only"))
    with pytest.raises(api.NotFound, match="no job nope"):
        await flow.run_job("nope", parameters={}, actor="ada")
    with pytest.raises(api.QueueError, match="TARGET"):
        await flow.run_job("web", parameters={"TARGET": "moon"}, actor="ada")
    with pytest.raises(api.QueueError, match="no trigger of this job listens to manual"):
        await flow.run_job("push-only", parameters={}, actor="ada")


async def test_a_password_parameter_is_kept_sealed_only(flow_of, url):
    password = api.ParameterDefinition(name="TOKEN", type="password")
    flow = flow_of(make_job("web", {"manual": {}}, parameters=(password,)))
    build = await flow.run_job("web", parameters={"TOKEN": "hunter2"}, actor="ada")
    assert build.parameters == {"TOKEN": "***"}
    with sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///")) as file:
        dump = "\n".join(file.iterdump())
    file.close()
    assert build.id in dump
    assert "hunter2" not in dump


async def test_a_push_whose_parameters_have_no_default_is_refused_with_the_reason(flow_of):
    parameter = api.ParameterDefinition(name="TARGET")
    (admitted,) = await flow_of(make_job("web", parameters=(parameter,))).admit([fact(push(A, B))])
    assert (admitted.decisions[0].build, admitted.decisions[0].rule) == (False, "parameters")
    assert "TARGET" in admitted.decisions[0].reason


def change(action, sha):
    return api.ChangeRequest(
        repository=WEB,
        number=7,
        action=action,
        title="t",
        source=api.ChangeSource(repository=WEB, branch="feature", sha=sha),
        target=api.ChangeTarget(branch="main"),
        author="ada",
        head_ref="refs/pull/7/head",
    )


async def test_an_opened_and_updated_change_request_builds_each_head_once(flow_of, database):
    flow = flow_of(make_job("web", {"change_request": {}}))
    for action, sha in [("opened", A), ("opened", A), ("updated", B), ("updated", B), ("closed", B), ("reopened", B)]:
        await flow.admit([fact(change(action, sha))])
    assert [(build.change, build.sha) for build in await all_builds(database)] == [(7, B), (7, B), (7, A)]


async def test_a_change_request_whose_host_names_no_commit_builds_what_its_ref_leads_to(flow_of, database):
    flow = flow_of(
        make_job("web", {"change_request": {"actions": ["opened", "updated", "closed", "reopened", "merged"]}})
    )
    for action in ("opened", "updated", "closed", "reopened", "merged"):
        await flow.admit([fact(change(action, None))])
    builds = await all_builds(database)
    assert [(build.change, build.ref, build.sha) for build in builds] == [(7, "refs/pull/7/head", None)] * 5
