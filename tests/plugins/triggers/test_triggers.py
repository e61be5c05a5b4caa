"""The built-in triggers: the contract every trigger keeps, and what each decides."""

from __future__ import annotations

import pytest

from headgate import api
from headgate.api.testing import TriggerContract, sample_events, sample_subject, with_durations
from headgate_plugins import triggers

KINDS = {kind.name: kind for kind in triggers.headgate_triggers()}
REPOSITORY = api.Repository(host="git.example.org", path="acme/web")
A, B = "a" * 40, "b" * 40


def push(branch="main", *, after=B, before=A, default_branch=None):
    return api.Push(
        repository=REPOSITORY, ref=f"refs/heads/{branch}", before=before, after=after, default_branch=default_branch
    )


def tag(name, *, after=B):
    return api.Tag(repository=REPOSITORY, ref=f"refs/tags/{name}", tag=name, before=None, after=after)


def change(action="opened", *, target="main", from_fork=False, draft=False):
    return api.ChangeRequest(
        repository=REPOSITORY,
        number=7,
        action=action,
        title="t",
        source=api.ChangeSource(repository=REPOSITORY, branch="b", sha=B),
        target=api.ChangeTarget(branch=target),
        author="ada",
        from_fork=from_fork,
        draft=draft,
    )


def compiled(name, **options):
    return KINDS[name].compile(with_durations(KINDS[name].schema, options))


def verdict(name, event, *, options=None, **subject):
    return compiled(name, **(options or {})).match(sample_subject(event, **subject))


class TestPush(TriggerContract):
    kind = KINDS["push"]
    passing = (
        ({}, sample_subject(push())),
        ({"branches": ["main", "release/**"]}, sample_subject(push("release/1/x"))),
        ({"ignore_branches": ["wip/**"], "paths": ["src/**"]}, sample_subject(push(), changed_paths=("src/a",))),
    )
    failing = (
        ({}, sample_subject(push(after=None))),
        ({}, sample_subject(push(), first_seen=True)),
        ({"branches": ["main"]}, sample_subject(push("dev"))),
        ({"branches": ["*", "!dev"]}, sample_subject(push("dev"))),
        ({"ignore_branches": ["wip/**"]}, sample_subject(push("wip/x"))),
        ({"paths": ["src/**"]}, sample_subject(push(), changed_paths=("docs/a",))),
    )
    refused = ({"branches": []}, {"branches": "main"}, {"branches": ["a["]}, {"paths": [""]}, {"ignore_paths": ["{a"]})


class TestTag(TriggerContract):
    kind = KINDS["tag"]
    passing = (({}, sample_subject(tag("x"))), ({"tags": ["v*"]}, sample_subject(tag("v1"))))
    failing = (
        ({}, sample_subject(tag("v1", after=None))),
        ({}, sample_subject(tag("v1"), first_seen=True)),
        ({"tags": ["v*"]}, sample_subject(tag("nightly"))),
    )
    refused = ({"tags": ["["]}, {"branches": ["main"]})


class TestChangeRequest(TriggerContract):
    kind = KINDS["change_request"]
    passing = (
        ({}, sample_subject(change())),
        ({}, sample_subject(change("updated"))),
        ({}, sample_subject(change("ready"))),
        ({"actions": ["labelled"], "targets": ["rel/*"]}, sample_subject(change("labelled", target="rel/1"))),
        ({"drafts": True}, sample_subject(change(draft=True))),
        ({"forks": "build"}, sample_subject(change(from_fork=True))),
    )
    failing = (
        ({}, sample_subject(change("closed"))),
        ({"actions": ["updated"]}, sample_subject(change("ready"))),
        ({"drafts": True}, sample_subject(change("ready"))),
        ({"targets": ["rel/*"]}, sample_subject(change())),
        ({}, sample_subject(change(draft=True))),
        ({}, sample_subject(change(from_fork=True))),
        ({"forks": "ignore"}, sample_subject(change(from_fork=True))),
    )
    refused = ({"actions": ["exploded"]}, {"forks": "approve"}, {"forks": "yes"}, {"drafts": "no"}, {"targets": ["{"]})


class TestPoll(TriggerContract):
    kind = KINDS["poll"]
    passing = (
        ({"every": "5m"}, sample_subject(push(), default_branch="main")),
        ({"every": "5m"}, sample_subject(push(default_branch="main"))),
        ({"every": "5m"}, sample_subject(push(before=None), default_branch="main", first_seen=True)),
        ({"cron": "H/5 * * * *", "branches": ["dev*"]}, sample_subject(push("dev2"))),
        ({"every": "1s", "paths": ["a"]}, sample_subject(push(), default_branch="main", changed_paths=("a",))),
    )
    failing = (
        ({"every": "5m"}, sample_subject(push("dev"), default_branch="main")),
        ({"every": "5m"}, sample_subject(push())),
        ({"every": "5m"}, sample_subject(push(after=None), default_branch="main")),
        ({"every": "5m", "branches": ["**"]}, sample_subject(push("dev"), default_branch="main", first_seen=True)),
        ({"every": "5m", "paths": ["b"]}, sample_subject(push(), default_branch="main", changed_paths=("a",))),
    )
    refused = (
        {},
        {"every": "5m", "cron": "* * * * *"},
        {"every": "0s"},
        {"every": "0.5s"},
        {"cron": "* * * *"},
        {"cron": "60 * * * *"},
        {"cron": "* * 0 * *"},
        {"cron": "*/0 * * * *"},
        {"cron": "5-1 * * * *"},
        {"cron": "H(0-70) * * * *"},
        {"cron": "H,30 * * * *"},
        {"cron": "*/100 * * * *"},
        {"cron": "@daily * * * *"},
        {"every": "5m", "branches": ["["]},
    )


class TestManual(TriggerContract):
    kind = KINDS["manual"]
    passing = (({}, sample_subject(api.Manual(job="web", actor="ada"))),)
    failing = ()

    def test_passes_and_fails_as_it_says(self):
        """There is nothing it stops: its absence does."""
        for options, subject in self.passing:
            assert self.judge(self.compile(options), subject).passed


def test_each_trigger_listens_to_its_own_events_only():
    listens = {
        name: {
            api.event_type(event)
            for event in sample_events()
            if compiled(name, **({"every": "1m"} if name == "poll" else {})).match(sample_subject(event)) is not None
        }
        for name in KINDS
    }
    assert listens == {
        "push": {"push"},
        "tag": {"tag"},
        "change_request": {"change_request"},
        "poll": {"push"},
        "manual": {"manual"},
    }


@pytest.mark.parametrize("observer", ["webhook", "poll"])
@pytest.mark.parametrize(("name", "options"), [("push", {}), ("poll", {"every": "1m", "branches": ["main"]})])
def test_a_push_is_judged_alike_whoever_saw_it(name, options, observer):
    assert verdict(name, push(), options=options, observer=observer).passed


@pytest.mark.parametrize(
    ("options", "paths", "passed", "rule"),
    [
        ({"paths": ["src/**"]}, ("src/a", "docs/b"), True, "paths"),
        ({"paths": ["src/**"]}, ("docs/b",), False, "paths"),
        ({"paths": ["src/**"]}, (), False, "paths"),
        ({"paths": ["**", "!docs/**"]}, ("docs/b",), False, "paths"),
        ({"ignore_paths": ["docs/**"]}, ("docs/b",), False, "ignore_paths"),
        ({"ignore_paths": ["docs/**"]}, ("docs/b", "src/a"), True, "ignore_paths"),
        ({"ignore_paths": ["docs/**"]}, (), True, "ignore_paths"),
        ({"paths": ["src/**"], "ignore_paths": ["**/*.md"]}, ("src/a.md",), False, "ignore_paths"),
        ({"paths": ["src/**"], "ignore_paths": ["**/*.md"]}, ("src/a.md", "lib/b"), False, "ignore_paths"),
        ({"paths": ["src/**"], "ignore_paths": ["**/*.md"]}, ("src/a.md", "src/b"), True, "paths"),
        ({"paths": ["src/**"]}, None, True, "paths"),
        ({"ignore_paths": ["**"]}, None, True, "ignore_paths"),
    ],
)
def test_paths(options, paths, passed, rule):
    found = verdict("push", push(), options=options, changed_paths=paths, paths_problem="the mirror is gone")
    assert (found.passed, found.rule) == (passed, f"triggers.push.{rule}")
    if paths is None:
        assert "the mirror is gone" in found.reason


def test_paths_are_asked_for_only_where_they_matter():
    assert not compiled("push", branches=["main"]).needs_paths
    assert compiled("push", paths=["a"]).needs_paths
    assert compiled("poll", every="1m", ignore_paths=["a"]).needs_paths
    assert not compiled("tag").needs_paths


def test_the_verdict_names_the_rule_and_the_values_it_compared():
    assert verdict("push", push("dev"), options={"branches": ["main", "rel/*"]}) == api.Verdict(
        passed=False,
        rule="triggers.push.branches",
        reason="branch `dev` matches none of the patterns",
        compared={"branch": "dev", "branches": ["main", "rel/*"]},
    )
    both = verdict("push", push(), options={"branches": ["main"], "paths": ["a"]}, changed_paths=("b",) * 30)
    assert both.compared == {
        "branch": "main",
        "branches": ["main"],
        "paths": ["a"],
        "changed_paths": ["b"] * 20,
        "changed_paths_count": 30,
    }


def test_at_first_sight_the_other_branches_are_a_baseline():
    options = {"every": "1m", "branches": ["**"]}
    found = verdict("poll", push("dev"), options=options, first_seen=True, default_branch="main")
    assert found.reason.startswith("baseline")
    assert verdict("poll", push("dev"), options=options, default_branch="main").passed


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        ({"every": "5m"}, api.PollPlan(every=300.0, ref_prefixes=("HEAD",))),
        ({"cron": "H 2 * * 1-5"}, api.PollPlan(cron="H 2 * * 1-5", ref_prefixes=("HEAD",))),
        (
            {"every": "1m", "branches": ["main", "release/**", "!release/old"]},
            api.PollPlan(every=60.0, ref_prefixes=("refs/heads/main", "refs/heads/release/")),
        ),
        ({"every": "1m", "branches": ["*-stable", "main"]}, api.PollPlan(every=60.0)),
    ],
)
def test_the_question_is_as_narrow_as_the_patterns(options, plan):
    assert compiled("poll", **options).poll_plan() == plan


@pytest.mark.parametrize(
    "cron", ["* * * * *", "H/15 * * * *", "H(0-29) 2 * * mon-fri", "0,30 0-6/2 1 JAN 7", "5 4 */2 * *"]
)
def test_timetables_that_can_be_read(cron):
    assert compiled("poll", cron=cron).poll_plan().cron == cron


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cron": "61 * * * *"}, "`61` is no minute"),
        ({"cron": "1 2 3"}, "3 fields"),
        ({"cron": "* * * foo *"}, "`foo` is no month"),
    ],
)
def test_a_bad_timetable_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        compiled("poll", **options)


def test_approval_of_forks_is_refused_as_not_offered_yet():
    with pytest.raises(ValueError, match="not offered yet"):
        compiled("change_request", forks="approve")


def test_a_request_says_who_asked_and_why():
    event = api.Manual(job="web", actor="ada", reason="hotfix", ref="main")
    assert verdict("manual", event).reason == "asked for by ada: hotfix"
