"""What `headgate explain` prints, from the very values the server encodes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from headgate import api
from headgate.cli import explained
from headgate.storage.decisions import Decision
from headgate.storage.deliveries import DeliveryRecord
from headgate.storage.events import EventRecord
from headgate.storage.explanations import ExplainedEvent, Explanation
from headgate.storage.refs import RefKey, Transition
from headgate.web.shaping import explanation_shape

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
REPOSITORY = api.Repository(host="github.com", path="acme/web")
OLD, NEW = "a" * 40, "b" * 40


def decision(job, *, build, verdict, **more):
    return Decision(
        id=f"x_{job}",
        event_id="e_1",
        job=job,
        definition="0123456789abcdef" * 4,
        build=build,
        reason=verdict.reason,
        rule=verdict.rule,
        verdicts=(verdict,),
        created_at=NOW,
        **more,
    )


BUILT = api.Build(
    id="b_1",
    job="web-tests",
    number=12,
    state=api.State.FINISHED,
    outcome=api.Outcome.SUCCEEDED,
    reason="all steps succeeded",
    trigger="push",
    connection="acme",
    repository=REPOSITORY,
    ref="refs/heads/main",
    sha=NEW,
    before=OLD,
    change=None,
    definition="0" * 64,
    parameters={},
    priority=50,
    event_id="e_1",
    decision_id="x_web-tests",
    delivery_id="d_1",
    queued_at=NOW,
)

YES = api.Verdict(
    passed=True,
    rule="triggers.push.branches",
    reason="branch `main` matches `main`",
    compared={"branch": "main", "patterns": ["main", "release/**"]},
)
NO = api.Verdict(
    passed=False,
    rule="triggers.push.branches",
    reason="branch `main` matches none of the patterns",
    compared={"branch": "main", "patterns": ["next"]},
)


def explanation(*decisions, transition=True, build=None):
    push = api.Push(repository=REPOSITORY, ref="refs/heads/main", before=OLD, after=NEW, actor="ada")
    key = RefKey(connection="acme", repository="acme/web", ref="refs/heads/main")
    move = Transition(
        id="t_1", key=key, generation=7, before=OLD, after=NEW, observed_at=NOW, by_webhook=True, by_poll=True
    )
    record = EventRecord(
        id="e_1",
        event=push,
        connection="acme",
        repository="acme/web",
        observer="webhook",
        delivery_id="d_1",
        created_at=NOW,
    )
    delivery = api.Delivery(id="d_1", connection="acme", received_at=NOW, headers=(), body=b"{}")
    whole = Explanation(
        delivery=DeliveryRecord(
            delivery=delivery, key="k", event="push", state="routed", reason="", settled_at=NOW, replay_of=None
        ),
        events=(ExplainedEvent(event=record, transition=move if transition else None, decisions=decisions),),
        builds=(BUILT,),
    )
    return json.loads(msgspec.json.encode(explanation_shape(whole, build)))


def printed(capsys, content):
    explained.print_explanation(content)
    return capsys.readouterr().out.splitlines()


def test_from_the_delivery_down_to_every_job_s_verdict(capsys):
    content = explanation(
        decision("web-tests", build=True, verdict=YES, build_id="b_1"),
        decision("next-tests", build=False, verdict=NO),
    )
    lines = printed(capsys, content)
    assert lines[0].startswith("delivery d_1  push to acme")
    assert lines[0].endswith("routed")
    assert lines[1:] == [
        "  push main of github.com/acme/web  seen by webhook, actor ada",
        "    main: aaaaaaaaaa → bbbbbbbbbb, move 7 of this ref (seen by webhook and poll)",
        "    ✓ web-tests  → web-tests#12 succeeded  branch `main` matches `main`",
        "        decided by triggers.push.branches, job definition 0123456789ab",
        "        ✓ triggers.push.branches: branch `main` matches `main`",
        '            branch = "main"',
        '            patterns = ["main", "release/**"]',
        "    ✗ next-tests  branch `main` matches none of the patterns",
        "        decided by triggers.push.branches, job definition 0123456789ab",
        "        ✗ triggers.push.branches: branch `main` matches none of the patterns",
        '            branch = "main"',
        '            patterns = ["next"]',
    ]


def test_a_move_that_was_built_before_points_to_that_build(capsys):
    lines = printed(capsys, explanation(decision("web-tests", build=False, verdict=YES, existing_build_id="b_1")))
    assert "    = web-tests  → web-tests#12 succeeded  branch `main` matches `main`" in lines


def test_a_build_s_explanation_starts_with_the_build(capsys):
    lines = printed(capsys, explanation(decision("web-tests", build=True, verdict=YES, build_id="b_1"), build=BUILT))
    assert "build web-tests#12 succeeded: all steps succeeded" in lines


def test_a_repository_without_jobs_says_where_to_look(capsys):
    text = "\n".join(printed(capsys, explanation()))
    assert "no job is for this repository" in text
    assert "headgate check" in text


@pytest.mark.parametrize(("before", "after", "said"), [(None, NEW, "created at bbbb"), (OLD, None, "deleted at aaaa")])
def test_creation_and_deletion_are_said(capsys, before, after, said):
    content = explanation()
    content["events"][0]["transition"].update(before=before, after=after)
    assert said in printed(capsys, content)[2]


def test_what_was_there_before_we_looked_is_not_called_created(capsys):
    content = explanation()
    content["events"][0]["transition"].update(before=None, generation=1, by_webhook=False)
    assert "main: first seen at bbbb" in printed(capsys, content)[2]


def test_a_folder_without_a_host_goes_by_its_connection(capsys):
    content = explanation()
    content["events"][0]["event"]["event"]["repository"] = {"host": "", "path": "app"}
    assert "push main of acme:app" in printed(capsys, content)[1]


def test_a_stranger_s_words_cannot_steer_the_terminal(capsys):
    hostile = api.Verdict(
        passed=False, rule="conditions.message", reason="no", compared={"message": "\x1b[2J\x1b]0;x\x07"}
    )
    content = explanation(decision("web-tests", build=False, verdict=hostile))
    content["events"][0]["event"]["event"]["ref"] = "refs/heads/\x1b[31mred"
    text = "\n".join(printed(capsys, content))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_long_value_is_cut_and_says_so(capsys):
    verdict = api.Verdict(passed=False, rule="conditions.message", reason="no", compared={"message": "x" * 5000})
    lines = printed(capsys, explanation(decision("web-tests", build=False, verdict=verdict)))
    assert max(map(len, lines)) < 300
    assert any("--json shows all" in line for line in lines)


def test_a_tag_is_named_once(capsys):
    content = explanation()
    content["events"][0]["event"]["event"].update(type="tag", tag="v1", ref="refs/tags/v1", actor=None)
    assert printed(capsys, content)[1] == "  tag v1 of github.com/acme/web  seen by webhook"


def test_what_a_person_asked_for_was_not_seen_by_anybody(capsys):
    content = explanation(transition=False)
    content["events"][0]["event"].update(observer="person", event={"type": "manual", "actor": "local"})
    assert printed(capsys, content)[1] == "  manual  actor local"
