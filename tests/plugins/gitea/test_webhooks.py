"""What the webhooks of Gitea, Forgejo and Gogs mean: payloads of our own, written after the documentation."""

from __future__ import annotations

import json

import msgspec
import pytest

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import gitea

KINDS = {kind.name: kind for kind in gitea.headgate_providers()}
A, B, C, ZERO = "a1" * 20, "b2" * 20, "c3" * 20, "0" * 40
SITE = "https://git.acme.example:3000/tea"
REPO = {
    "full_name": "Acme/Web",
    "name": "Web",
    "owner": {"login": "Acme"},
    "html_url": f"{SITE}/Acme/Web",
    "clone_url": f"{SITE}/Acme/Web.git",
    "default_branch": "main",
}
FORK = {"full_name": "grace/Web", "html_url": f"{SITE}/grace/Web"}
HERE = api.Repository(host="git.acme.example:3000", path="Acme/Web")
THERE = api.Repository(host="git.acme.example:3000", path="grace/Web")
ADA = {"login": "ada"}


def delivery(event, payload, *, flavour="gitea", headers=None):
    own = ((f"x-{flavour}-event", event),) if event is not None else ()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return api.Delivery(id="d", connection="c", received_at=NOW, headers=headers or own, body=body)


def read(event, payload, *, flavour="gitea", headers=None):
    reading = KINDS[flavour].read(delivery(event, payload, flavour=flavour, headers=headers))
    if isinstance(reading, api.Parsed):
        for one in reading.events:
            check_event(one, KINDS[flavour])
    return reading


def event_of(event, payload, **keywords):
    (one,) = read(event, payload, **keywords).events
    return one


def commit(sha, **changes):
    author = {"name": "Ada", "email": "ada@acme.example"}
    lists = {"added": ["new.py"], "modified": ["a.py", "new.py"], "removed": []}
    return {"id": sha, "message": "m\n", "url": f"{SITE}/Acme/Web/commit/{sha}", "author": author, **lists, **changes}


def push(**changes):
    payload = {
        "ref": "refs/heads/main",
        "before": A,
        "after": C,
        "compare_url": f"{SITE}/Acme/Web/compare/{A}...{C}",
        "commits": [commit(C), commit(B, added=None)],
        "total_commits": 2,
        "repository": REPO,
        "pusher": ADA,
        "sender": {"login": "somebody-else"},
    }
    return payload | changes


# -- pushes


@pytest.mark.parametrize("flavour", KINDS)
def test_a_push_and_its_commits_oldest_first(flavour):
    author = api.Person(name="Ada", email="ada@acme.example")
    commits = tuple(
        api.Commit(id=sha, message="m\n", author=author, url=f"{SITE}/Acme/Web/commit/{sha}", paths=paths)
        for sha, paths in ((B, None), (C, ("a.py", "new.py")))
    )
    assert event_of("push", push(), flavour=flavour) == api.Push(
        repository=HERE,
        ref="refs/heads/main",
        before=A,
        after=C,
        actor="ada",
        url=f"{SITE}/Acme/Web/compare/{A}...{C}",
        commits=commits,
        default_branch="main",
    )


def test_no_list_of_commits_is_believed_to_be_all():
    """Nothing in the payload tells a forced push from another, and older servers list five of 25 without a word."""
    for count in (1, 5):
        found = event_of("push", push(commits=[commit(C)] * count, total_commits=count))
        assert not found.commits_complete
        assert not found.forced


def test_created_and_deleted_refs_of_pushes():
    assert event_of("push", push(before=ZERO, compare_url="")).before is None
    assert event_of("push", push(before=ZERO, compare_url="")).url is None
    tag = event_of("push", push(ref="refs/tags/v1", before=ZERO))
    assert (type(tag), tag.ref, tag.tag, tag.before, tag.after) == (api.Tag, "refs/tags/v1", "v1", None, C)
    gone = event_of("push", push(ref="refs/tags/v1", after=ZERO, commits=None))
    assert (type(gone), gone.before, gone.after) == (api.Tag, A, None)


def test_an_annotated_tag_names_its_commit_where_the_payload_does():
    annotated = event_of("push", push(ref="refs/tags/v1", head_commit=commit(A)))
    assert (annotated.after, annotated.commit) == (C, A)
    for told in (None, commit(C), {}):
        assert event_of("push", push(ref="refs/tags/v1", head_commit=told)).commit is msgspec.UNSET
    assert event_of("push", push(ref="refs/tags/v1", after=ZERO, head_commit=commit(A))).commit is msgspec.UNSET


def test_a_tag_moves_by_force_only():
    moved = event_of("push", push(ref="refs/tags/v1"))
    assert (moved.before, moved.after, moved.forced) == (A, C, True)
    assert not event_of("push", push(ref="refs/tags/v1", before=ZERO)).forced
    assert not event_of("push", push(ref="refs/tags/v1", after=ZERO)).forced


@pytest.mark.parametrize("sha", [A, ZERO])
def test_the_button_test_is_a_ping(sha):
    """It posts a push from the head to itself; in an empty repository from nothing to nothing."""
    found = event_of("push", push(before=sha, after=sha))
    assert found == api.Ping(repository=HERE, actor="ada")
    # The control: a step further it is a push.
    assert type(event_of("push", push(before=sha))) is api.Push


def test_other_refs_are_ignored():
    assert "neither a branch nor a tag" in read("push", push(ref="refs/notes/commits")).reason


def ref_payload(kind, **changes):
    return {"ref": "topic/x", "ref_type": kind, "repository": REPO, "sender": ADA} | changes


@pytest.mark.parametrize("flavour", KINDS)
def test_a_new_branch_is_told_by_its_push_alone(flavour):
    """`create` and `push` come in either order; two moves must not become of it."""
    assert "arrives as `push`" in read("create", ref_payload("branch", sha=A), flavour=flavour).reason


@pytest.mark.parametrize("flavour", KINDS)
def test_a_deleted_branch_is_told_by_delete_alone_which_names_no_commit(flavour):
    payload = ref_payload("branch", pusher_type="user")
    assert event_of("delete", payload, flavour=flavour) == api.Push(
        repository=HERE,
        ref="refs/heads/topic/x",
        before=None,
        after=None,
        before_known=False,
        actor="ada",
        default_branch="main",
    )
    full = payload | {"ref": "refs/heads/topic/x"}  # their source says that it may become a full name
    assert event_of("delete", full, flavour=flavour) == event_of("delete", payload, flavour=flavour)


@pytest.mark.parametrize("flavour", ["gitea", "forgejo"])
def test_tags_are_told_by_their_push_alone(flavour):
    for event in ("create", "delete"):
        assert "arrives as `push`" in read(event, ref_payload("tag", sha=A), flavour=flavour).reason


def test_gogs_tells_tags_without_a_push_and_not_where_they_were():
    made = event_of("create", ref_payload("tag", ref="v1", sha=A), flavour="gogs")
    assert made == api.Tag(
        repository=HERE, ref="refs/tags/v1", tag="v1", before=None, after=A, before_known=False, actor="ada"
    )
    gone = event_of("delete", ref_payload("tag", ref="v1", pusher_type="user"), flavour="gogs")
    assert (gone.ref, gone.before, gone.after, gone.before_known) == ("refs/tags/v1", None, None, False)


def test_a_tag_of_an_older_gogs_whose_commit_is_not_told_is_asked_for():
    found = event_of("create", ref_payload("tag", ref="v1"), flavour="gogs")
    assert found == api.PollRequested(repository=HERE, actor="ada")


@pytest.mark.parametrize("event", ["create", "delete"])
def test_what_is_neither_branch_nor_tag_is_ignored(event):
    assert "neither" in read(event, ref_payload("commit")).reason


# -- pull requests


def pull(action="opened", head=None, **changes):
    request = {
        "number": 7,
        "title": "Add a thing",
        "head": {"label": "thing", "ref": "thing", "sha": B, "repo_id": 1, "repo": REPO} | (head or {}),
        "base": {"label": "main", "ref": "main", "sha": A, "repo_id": 1, "repo": REPO},
        "user": {"login": "grace"},
        "html_url": f"{SITE}/Acme/Web/pulls/7",
        "merged": False,
        "labels": [{"name": "bug"}, {"name": "ui"}],
    }
    top = {key: changes.pop(key) for key in ("changes", "review", "number") if key in changes}
    return {
        "action": action,
        "number": 7,
        "pull_request": request | changes,
        "repository": REPO,
        "sender": ADA,
    } | top


@pytest.mark.parametrize("flavour", ["gitea", "forgejo"])
def test_a_pull_request(flavour):
    assert event_of("pull_request", pull(), flavour=flavour) == api.ChangeRequest(
        repository=HERE,
        number=7,
        action="opened",
        title="Add a thing",
        source=api.ChangeSource(repository=HERE, branch="thing", sha=B),
        target=api.ChangeTarget(branch="main", sha=A),
        author="grace",
        actor="ada",
        url=f"{SITE}/Acme/Web/pulls/7",
        labels=("bug", "ui"),
        head_ref="refs/pull/7/head",
    )


@pytest.mark.parametrize(
    ("payload", "action"),
    [
        (pull("opened"), "opened"),
        (pull("synchronized"), "updated"),
        (pull("reopened"), "reopened"),
        (pull("label_updated"), "labelled"),
        (pull("label_cleared", labels=[]), "unlabelled"),
        (pull("closed"), "closed"),
        (pull("closed", merged=True), "merged"),
        (pull("edited"), "edited"),
        (pull("edited", changes={"body": {"from": "old"}}), "edited"),
        (pull("edited", changes={"title": {"from": "Add thing"}}), "edited"),
        (pull("edited", changes={"title": {"from": "wip: Add a thing"}}), "ready"),
        (pull("edited", changes={"title": {"from": "Add a thing"}}, title="[WIP] Add a thing"), "draft"),
        (pull("edited", changes={"title": {"from": "WIP: a"}}, title="WIP: b"), "edited"),
    ],
)
def test_what_happens_to_a_pull_request(payload, action):
    for event in ("pull_request", "pull_request_sync", "pull_request_label"):
        assert event_of(event, payload).action == action


@pytest.mark.parametrize(
    ("added", "removed", "actions"),
    [
        (["bug"], [], ["labelled"]),
        (["bug"], None, ["labelled"]),
        ([], ["ui"], ["unlabelled"]),
        (None, ["ui"], ["unlabelled"]),
        (["bug"], ["ui"], ["labelled", "unlabelled"]),
        ([], [], ["labelled"]),
    ],
)
def test_newer_servers_tell_which_labels_came_and_went(added, removed, actions):
    named = {"added_labels": added, "removed_labels": removed}
    changes = {key: names and [{"name": name} for name in names] for key, names in named.items()}
    found = read("pull_request", pull("label_updated", changes=changes)).events
    assert [one.action for one in found] == actions
    assert {one.labels for one in found} == {("bug", "ui")}


@pytest.mark.parametrize("action", ["assigned", "milestoned", "review_requested", "invented_tomorrow"])
def test_what_changes_nothing_is_ignored(action):
    assert action in read("pull_request", pull(action)).reason


def test_drafts_are_known_by_the_field_or_the_title():
    drafts = [
        event_of("pull_request", pull(**changes)).draft
        for changes in (
            {},
            {"title": "WIP: x"},
            {"title": "wip:x"},
            {"draft": True},
            {"title": "WIP: x", "draft": False},
        )
    ]
    assert drafts == [False, True, True, True, False]


def test_forks_are_marked_and_so_is_what_does_not_say():
    gone = {"repo": None, "repo_id": 0}
    cases = {
        "a fork": {"repo": FORK, "repo_id": 2},
        "the same in other letters": {"repo": REPO | {"full_name": "ACME/web"}},
        "deleted": gone,
        "the same by its number": {"repo": None},
        "no word of it": {"repo": None, "repo_id": None},
    }
    found = {name: event_of("pull_request", pull(head=head)) for name, head in cases.items()}
    assert {name: one.from_fork for name, one in found.items()} == {
        "a fork": True,
        "the same in other letters": False,
        "deleted": True,
        "the same by its number": False,
        "no word of it": True,
    }
    assert found["a fork"].source.repository == THERE
    assert found["deleted"].source.repository is None
    assert found["the same by its number"].source.repository == HERE


@pytest.mark.parametrize("flavour", ["gitea", "forgejo"])
@pytest.mark.parametrize("action", ["opened", "synchronized"])
def test_what_was_uploaded_without_a_branch_is_a_strangers(flavour, action):
    """AGit: who may read the repository may push to `refs/for/main`, and the head's repository is said to be this one."""
    event = event_of("pull_request", pull(action, head={"ref": "refs/pull/7/head", "label": ""}), flavour=flavour)
    assert (event.from_fork, event.source.repository, event.head_ref) == (True, None, "refs/pull/7/head")
    assert event.source.sha == B
    by_flow = event_of("pull_request", pull(action, flow=1), flavour=flavour)
    assert (by_flow.from_fork, by_flow.source.repository) == (True, None)
    # The control: a branch of the repository itself is nobody else's.
    assert not event_of("pull_request", pull(action, flow=0), flavour=flavour).from_fork


def test_a_branch_that_is_gone_is_still_called_by_its_name():
    head = {"ref": "refs/pull/7/head", "label": "topic/x"}
    merged = event_of("pull_request", pull("closed", head=head, merged=True))
    assert (merged.source.branch, merged.source.repository, merged.from_fork) == ("topic/x", HERE, False)
    unknown = event_of("pull_request", pull("closed", head=head | {"sha": ""}))
    assert (unknown.source.sha, unknown.head_ref) == (None, "refs/pull/7/head")
    deleted = event_of("pull_request", pull("closed", head=head | {"repo": None, "repo_id": -1}))
    assert (deleted.source.branch, deleted.source.repository, deleted.from_fork) == ("topic/x", None, True)


def test_a_number_may_stand_outside():
    assert event_of("pull_request", pull(number=9) | {"number": 9}).number == 7
    outside = pull()
    del outside["pull_request"]["number"]
    assert event_of("pull_request", outside).number == 7
    with pytest.raises(api.Unreadable, match="number"):
        read("pull_request", outside | {"number": None})


def test_gogs_names_no_commit_of_a_pull_request_but_the_ref_it_is_at():
    payload = pull()
    request = payload["pull_request"]
    del request["head"], request["base"]
    request |= {"head_branch": "thing", "head_repo": FORK, "base_branch": "main", "base_repo": REPO}
    event = event_of("pull_request", payload, flavour="gogs")
    assert event.source == api.ChangeSource(repository=THERE, branch="thing", sha=None)
    assert event.target == api.ChangeTarget(branch="main", sha=None)
    assert event.from_fork
    assert event.head_ref == "refs/pull/7/head"
    same = event_of("pull_request", payload | {"pull_request": request | {"head_repo": REPO}}, flavour="gogs")
    assert not same.from_fork
    assert same.head_ref == "refs/heads/thing"
    del request["head_branch"]
    with pytest.raises(api.Unreadable, match="names no branch"):
        read("pull_request", payload, flavour="gogs")
    assert event_of("pull_request", pull(head={"sha": ""})).source.sha is None


# -- reviews and comments


@pytest.mark.parametrize(
    ("event", "kind", "action"),
    [
        ("pull_request_approved", "pull_request_review_approved", "approved"),
        ("pull_request_rejected", "pull_request_review_rejected", "rejected"),
        ("pull_request_approved", None, "approved"),
        ("pull_request_rejected", None, "rejected"),
        ("pull_request", "pull_request_review_approved", "approved"),
        ("pull_request_review", "pull_request_review_rejected", "rejected"),
    ],
)
def test_a_verdict_and_its_words(event, kind, action):
    silent = read(event, pull("reviewed", review={"type": kind, "content": ""})).events
    assert [one.action for one in silent] == [action]
    verdict, words = read(event, pull("reviewed", review={"type": kind, "content": "well done"})).events
    assert verdict == silent[0]
    assert words == api.Comment(
        repository=HERE,
        on="review",
        action="created",
        body="well done",
        author="ada",
        change=7,
        sha=B,
        actor="ada",
        url=f"{SITE}/Acme/Web/pulls/7",
    )


def test_a_review_that_only_comments():
    payload = pull("reviewed", review={"type": "pull_request_review_comment", "content": "why?"})
    (words,) = read("pull_request_comment", payload).events
    assert (type(words), words.on, words.body) == (api.Comment, "review", "why?")
    silent = pull("reviewed", review={"type": "pull_request_review_comment", "content": ""})
    assert "no text" in read("pull_request_comment", silent).reason
    assert "no text" in read("pull_request_comment", pull("reviewed", review=None)).reason


def comment(action="created", **changes):
    return {
        "action": action,
        "issue": {"number": 7, "pull_request": None},
        "comment": {"body": "/retest", "user": {"login": "grace"}, "html_url": f"{SITE}/c/1"},
        "repository": REPO,
        "sender": ADA,
    } | changes


@pytest.mark.parametrize("flavour", KINDS)
@pytest.mark.parametrize("action", ["created", "edited", "deleted"])
def test_comments_on_pull_requests_and_issues(flavour, action):
    on_issue = event_of("issue_comment", comment(action), flavour=flavour)
    assert on_issue == api.Comment(
        repository=HERE,
        on="issue",
        action=action,
        body="/retest",
        author="grace",
        actor="ada",
        url=f"{SITE}/c/1",
    )
    by_field = comment(action, issue={"number": 7, "pull_request": {"merged": False}})
    by_flag = comment(action, is_pull=True)
    for payload in (by_field, by_flag):
        found = event_of("issue_comment", payload, flavour=flavour)
        assert (found.on, found.change, found.sha) == ("change_request", 7, None)


@pytest.mark.parametrize("action", ["created", "edited"])
def test_newer_servers_tell_the_pull_request_that_a_comment_is_on(action):
    """With it and without the header it was once taken for the pull request itself."""
    payload = comment(action, is_pull=True, pull_request=pull()["pull_request"])
    found = event_of("issue_comment", payload)
    assert (found.on, found.change, found.sha) == ("change_request", 7, B)
    assert event_of(None, payload) == found
    assert event_of("issue_comment", payload | {"pull_request": {"head": None}}).sha is None


def test_another_action_of_a_comment_is_ignored():
    assert "`pinned`" in read("issue_comment", comment("pinned")).reason


# -- the rest


def test_releases():
    body = {"tag_name": "v1", "name": "One", "draft": False, "prerelease": True, "html_url": f"{SITE}/r/v1"}
    found = event_of("release", {"action": "updated", "release": body, "repository": REPO, "sender": ADA})
    assert found == api.Release(
        repository=HERE, tag="v1", name="One", action="updated", prerelease=True, actor="ada", url=f"{SITE}/r/v1"
    )
    older = event_of("release", {"release": {"tag_name": "v1"}, "repository": REPO}, flavour="gogs")
    assert (older.action, older.name, older.actor) == ("published", "", None)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", "pending"),
        ("success", "success"),
        ("warning", "failure"),
        ("failure", "failure"),
        ("error", "error"),
    ],
)
def test_commit_statuses(word, state):
    payload = {"sha": B, "context": "lint", "state": word, "target_url": "", "repository": REPO, "sender": ADA}
    found = event_of("status", payload)
    assert found == api.CiStatus(repository=HERE, sha=B, context="lint", state=state, actor="ada")
    assert "unknown state" in read("status", payload | {"state": "odd"}).reason


def test_an_event_without_a_name_is_called_by_its_type():
    """Some versions of Gitea send `status` and `package` like this."""
    payload = {"sha": B, "context": "lint", "state": "success", "repository": REPO}
    headers = (("x-gitea-event", ""), ("x-gitea-event-type", "status"))
    assert type(event_of(None, payload, headers=headers)) is api.CiStatus
    package = (("x-gitea-event", ""), ("x-gitea-event-type", "package"))
    assert "packages" in read(None, payload, headers=package).reason


def test_runs_and_jobs_of_gitea():
    run = {
        "id": 5,
        "path": "ci.yml@refs/heads/main",
        "head_sha": B,
        "head_branch": "main",
        "status": "completed",
        "conclusion": "failure",
        "html_url": f"{SITE}/runs/5",
    }
    payload = {
        "action": "completed",
        "workflow_run": run,
        "workflow": {"name": "CI"},
        "repository": REPO,
        "sender": ADA,
    }
    expected = api.CiStatus(
        repository=HERE, sha=B, context="CI", state="failure", branches=("main",), actor="ada", url=f"{SITE}/runs/5"
    )
    assert event_of("workflow_run", payload) == expected
    assert event_of("workflow_run", payload | {"workflow": None}).context == "ci.yml"
    assert "not complete" in read("workflow_run", payload | {"action": "in_progress"}).reason
    job = {"action": "completed", "workflow_job": run | {"name": "unit", "conclusion": "success"}, "repository": REPO}
    assert (event_of("workflow_job", job).context, event_of("workflow_job", job).state) == ("unit", "success")
    odd = payload | {"workflow_run": run | {"conclusion": "exploded"}}
    assert "unknown conclusion" in read("workflow_run", odd).reason


@pytest.mark.parametrize(
    ("event", "state"),
    [("action_run_success", "success"), ("action_run_failure", "failure"), ("action_run_recover", "success")],
)
def test_runs_of_forgejo(event, state):
    run = {
        "id": 5,
        "title": "m",
        "workflow_id": "ci.yml",
        "commit_sha": B,
        "prettyref": "main",
        "status": state,
        "html_url": f"{SITE}/runs/5",
        "repository": REPO,
        "trigger_user": ADA,
    }
    found = event_of(event, {"action": "x", "run": run, "prior_status": "running"}, flavour="forgejo")
    assert found == api.CiStatus(
        repository=HERE, sha=B, context="ci.yml", state=state, branches=("main",), actor="ada", url=f"{SITE}/runs/5"
    )
    of_change = event_of(event, {"run": run | {"prettyref": "#7"}}, flavour="forgejo")
    assert of_change.branches == ()
    assert "not ended" in read(event, {"run": run | {"status": "waiting"}}, flavour="forgejo").reason


@pytest.mark.parametrize("event", ["fork", "issues", "repository", "package", "wiki", "schedule"])
def test_what_no_job_waits_for_is_ignored_with_a_reason(event):
    assert f"Gitea event `{event}`" in read(event, {"action": "x"}).reason


# -- what cannot be meant


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": 7},
        {"before": "a1"},
        {"after": "g" * 40},
        {"before": ZERO, "after": "0" * 64},
        {"repository": {"full_name": "../etc"}},
        {"repository": {"full_name": "a/b", "html_url": "https://[/"}},
        {"repository": {}},
        {"commits": [{"id": "short"}]},
    ],
)
def test_a_push_that_cannot_be_meant_is_unreadable(changes):
    with pytest.raises(api.Unreadable):
        read("push", push(**changes))


@pytest.mark.parametrize("payload", [ref_payload("tag", sha="a1"), ref_payload("tag", sha=A, ref="")])
def test_a_tag_that_cannot_be_meant_is_unreadable(payload):
    with pytest.raises(api.Unreadable):
        read("create", payload, flavour="gogs")


@pytest.mark.parametrize(
    "headers",
    [
        (("x-gitea-event", "push"), ("x-gitea-event", "push")),
        (("x-gitea-event", "é"),),
        (("x-gitea-event", "a\tb"),),
        (("x-gitea-event", "\udcff"),),
    ],
)
def test_a_spoilt_event_header_is_unreadable(headers):
    with pytest.raises(api.Unreadable, match="x-gitea-event"):
        read(None, push(), headers=headers)


def test_kept_bodies_without_headers_show_what_they_are():
    """And only then: a header of another flavour says nothing."""
    shown = {
        "push": push(),
        "delete": ref_payload("branch", pusher_type="user"),
        "pull_request": pull(),
        "issue_comment": comment(),
        "status": {"sha": B, "context": "lint", "state": "success", "repository": REPO},
    }
    for event, payload in shown.items():
        assert read(None, payload) == read(event, payload)
        assert read(None, payload, headers=(("x-gogs-event", "wiki"),)) == read(event, payload)
    assert "`issues`" in read(None, {"action": "opened", "issue": {"number": 1}, "repository": REPO}).reason
    page = {"action": "edited", "page": "Home", "comment": "a word on it", "repository": REPO, "sender": ADA}
    assert "`wiki`" in read(None, page).reason
    made = {"action": "created", "repository": REPO, "organization": {"login": "Acme"}, "sender": ADA}
    assert "`repository`" in read(None, made).reason
    assert "`push`" in read(None, ref_payload("branch")).reason
    for payload in ({}, {"id": 1, "title": "a pull request as the API has it"}, {"repository": REPO}, [], 7):
        assert "no known event" in read(None, payload).reason


def test_an_older_payload_names_its_repository_by_owner_and_name():
    older = {"name": "Web", "owner": {"username": "Acme"}, "clone_url": f"{SITE}/Acme/Web.git"}
    assert event_of("push", push(repository=older)).repository == HERE
    oldest = {"name": "Web", "owner": {"name": "Acme", "username": "Acme"}, "url": f"{SITE}/Acme/Web"}
    assert event_of("push", push(repository=oldest), flavour="gogs").repository == HERE
    bare = event_of("push", push(repository={"full_name": "Acme/Web"}))
    assert bare.repository == api.Repository(host="localhost", path="Acme/Web")
