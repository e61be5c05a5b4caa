"""Every verdict is kept, the first refusal decides, and silence has a reason."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from routing_parts import Kinds, Says

from headgate import api
from headgate.routing.index import make_snapshot
from headgate.routing.judge import judge, subject_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEB = api.Repository(host="example.org", path="acme/web")


def push(author="ada", **more):
    commits = (
        api.Commit(id="0" * 39 + "1", message="older", author=api.Person(name="old")),
        api.Commit(id="b" * 40, message="newest", author=api.Person(name=author)),
    )
    event = api.Push(repository=WEB, ref="refs/heads/main", before="a" * 40, after="b" * 40, commits=commits, **more)
    return subject_text(api.Subject(event=event, observer="webhook", now=NOW))


def test_a_matching_trigger_and_passing_conditions_build(snapshot_of, job):
    (compiled,) = snapshot_of(job("a", conditions=[{"author": "ada"}])).jobs.values()
    judged = judge(compiled, push())
    assert (judged.build, judged.trigger, judged.rule) == (True, "push", "says.None")
    assert [verdict.rule for verdict in judged.verdicts] == ["says.None", "says.ada"]


def test_the_first_condition_that_refuses_decides_and_all_are_kept(snapshot_of, job):
    conditions = [{"author": "eve"}, {"author": "ada"}, {"author": "mallory"}]
    (compiled,) = snapshot_of(job("a", conditions=conditions)).jobs.values()
    judged = judge(compiled, push())
    assert (judged.build, judged.rule) == (False, "says.eve")
    assert judged.verdicts[1].compared == {"expected": "eve", "found": "ada"}
    assert [verdict.passed for verdict in judged.verdicts] == [True, False, True, False]


def test_an_event_no_trigger_listens_to_says_so(snapshot_of, job):
    (compiled,) = snapshot_of(job("a", triggers=[{"type": "release"}])).jobs.values()
    judged = judge(compiled, push())
    assert (judged.build, judged.rule, judged.reason) == (
        False,
        "triggers",
        "no trigger of this job listens to push events",
    )


def test_a_later_trigger_may_match_after_an_earlier_one_refused(snapshot_of, job):
    (compiled,) = snapshot_of(job("a", triggers=[{"author": "eve"}, {"author": "ada"}])).jobs.values()
    assert judge(compiled, push()).build


def test_message_and_author_are_those_of_the_head_commit():
    subject = push(author="ada")
    assert (subject.message, subject.author) == ("newest", "ada")


def test_what_a_poll_saw_is_the_polls_doing_and_what_a_webhook_told_is_not(job):
    """Both triggers match either push; the build names the one that fits, whatever the file names first."""

    class Asks(Says):
        def poll_plan(self):
            return api.PollPlan(every=60.0)

    kinds = Kinds()
    kinds.triggers["poll"] = api.TriggerKind(name="poll", summary="test", schema=api.EMPTY_SCHEMA, compile=Asks)
    blocks = tuple(api.Block(kind=kind) for kind in ("poll", "push"))
    one = msgspec.structs.replace(job("a"), triggers=blocks)
    (compiled,) = make_snapshot([one], kinds, normalise={"acme": str.lower}).jobs.values()
    told = push()
    assert judge(compiled, told).trigger == "push"
    assert judge(compiled, msgspec.structs.replace(told, observer="poll")).trigger == "poll"
