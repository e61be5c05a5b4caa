"""What GitLab's webhooks mean: payloads of our own, written after the documentation, beside their goldens."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import gitlab

PAYLOADS = sorted(Path(__file__).parent.joinpath("payloads").glob("*.json"))
KIND = next(iter(gitlab.headgate_providers()))
HEADERS = {
    "push": "Push Hook",
    "tag_push": "Tag Push Hook",
    "merge_request": "Merge Request Hook",
    "note": "Note Hook",
    "confidential_note": "Confidential Note Hook",
    "release": "Release Hook",
    "pipeline": "Pipeline Hook",
    "job": "Job Hook",
    "issue": "Issue Hook",
    "wiki_page": "Wiki Page Hook",
    "system": "System Hook",
}
A, B = "a1" * 20, "b2" * 20


def delivery(event, body):
    headers = () if event is None else (("x-gitlab-event", event),)
    return api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body)


def payload(name, **changes):
    return json.loads((Path(__file__).parent / "payloads" / f"{name}.json").read_text()) | changes


def read(name, **changes):
    body = json.dumps(payload(name, **changes)).encode()
    return KIND.read(delivery(HEADERS[name.partition("--")[0]], body))


def actions(name, **changes):
    reading = read(name, **changes)
    return [event.action for event in reading.events] if isinstance(reading, api.Parsed) else []


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_each_payload_means_what_its_golden_says(path, snapshot):
    reading = KIND.read(delivery(HEADERS[path.stem.partition("--")[0]], path.read_bytes()))
    if isinstance(reading, api.Parsed):
        for event in reading.events:
            check_event(event, KIND)
    assert json.loads(msgspec.json.encode(reading)) == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_without_the_header_the_body_names_the_event(path):
    """`headgate parse` is often given a body alone."""
    with_header = KIND.read(delivery(HEADERS[path.stem.partition("--")[0]], path.read_bytes()))
    without = KIND.read(delivery(None, path.read_bytes()))
    if isinstance(with_header, api.Parsed):
        assert without == with_header
    else:
        assert isinstance(without, api.Ignored)


def test_gitlab_never_surely_lists_all_commits():
    """It does not say whether history was rewritten, and then the list is not what differs."""
    for name in ("moved", "created", "deleted", "cut_list"):
        (push,) = read(f"push--{name}").events
        assert not push.commits_complete
        assert not push.forced


def test_a_push_of_nothing_is_the_test_button():
    """With its negative control: the same payload with another `before` is a push."""
    assert [api.event_type(event) for event in read("push--test_of_one_commit").events] == ["ping"]
    assert [api.event_type(event) for event in read("push--test_of_one_commit", before=A).events] == ["push"]


def test_a_system_hook_and_a_project_hook_say_the_same_move():
    (of_project,) = read("push--moved").events
    (of_system,) = read("system--push").events
    assert msgspec.structs.replace(of_project, commits=()) == of_system


def test_the_author_is_nobody_else():
    """Somebody else may label, close or merge; a rule may trust an author."""
    (closed,) = read("merge_request--close").events
    assert (closed.author, closed.actor) == ("ada", "bob")
    (reopened,) = read("merge_request--reopen").events
    assert (reopened.author, reopened.actor) == ("", "bob")
    (opened,) = read("merge_request--open", user={"username": "ada"}).events
    assert opened.author == "ada"
    (merged,) = read("merge_request--merge", user={"username": "ada"}).events
    assert (merged.author, merged.actor) == ("", "ada")


def test_a_fork_is_told_by_its_project_even_after_it_is_renamed():
    (change,) = read("merge_request--fork").events
    assert (change.from_fork, change.source.repository.path) == (True, "bob/web")
    (change,) = read("merge_request--deleted_fork").events
    assert (change.from_fork, change.source.repository) == (True, None)
    (change,) = read("merge_request--open").events
    assert not change.from_fork


@pytest.mark.parametrize(
    ("title", "previous", "expected"),
    [
        ("Draft: a", "a", ["draft"]),
        ("[WIP] a", "a", ["draft"]),
        ("a", "(draft) a", ["ready"]),
        ("b", "Draft: a", ["ready", "edited"]),
        ("Draft: b", "draft: a", ["edited"]),
        ("drafts", "a", ["edited"]),
    ],
)
def test_older_servers_say_draft_in_the_title(title, previous, expected):
    changes = {"title": {"previous": previous, "current": title}}
    assert actions("merge_request--edited", changes=changes) == expected


def test_one_update_can_say_several_things():
    """The code comes first."""
    assert actions("merge_request--updated_and_labelled") == ["updated", "labelled", "unlabelled"]


def test_a_reviewer_who_keeps_wanting_changes_rejects_once():
    against = [{"id": 2, "username": "bob", "state": "requested_changes"}]
    changes = {"reviewers": {"previous": [], "current": against}}
    assert actions("merge_request--changes_requested", changes=changes) == ["rejected"]
    changes = {"reviewers": {"previous": against, "current": against}}
    assert actions("merge_request--changes_requested", changes=changes) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": 7},
        {"before": "a1"},
        {"after": "g" * 40},
        {"before": "0" * 40, "after": "0" * 40},
        {"project": {"path_with_namespace": "../etc"}},
        {"project": {"path_with_namespace": "acme/web", "web_url": "https://[/"}},
        {"project": {}},
        {"commits": [{"id": "short"}]},
    ],
)
def test_a_push_that_cannot_be_meant_is_unreadable(changes):
    with pytest.raises(api.Unreadable):
        read("push--moved", **changes)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("note--on_commit", {"project": None}),
        ("note--on_merge_request", {"merge_request": None}),
        ("job--failed", {"project": None, "repository": None}),
        ("job--failed", {"sha": "b2b2b2b"}),
    ],
)
def test_what_names_no_place_is_unreadable(name, changes):
    with pytest.raises(api.Unreadable):
        read(name, **changes)


@pytest.mark.parametrize("event", ["", "\udcff", "é", "a\tb"])
def test_a_header_that_is_no_word_is_unreadable(event):
    with pytest.raises(api.Unreadable, match="X-Gitlab-Event"):
        KIND.read(delivery(event, b"{}"))


def test_a_doubled_header_and_a_body_without_a_name_are_unreadable():
    body = json.dumps(payload("push--moved")).encode()
    doubled = msgspec.structs.replace(delivery("Push Hook", body), headers=(("x-gitlab-event", "Push Hook"),) * 2)
    with pytest.raises(api.Unreadable, match="doubled"):
        KIND.read(doubled)
    for event in (None, "System Hook"):
        with pytest.raises(api.Unreadable, match="names the event"):
            KIND.read(delivery(event, b"{}"))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("Issue Hook", "issue"),
        ("Work Item Hook", "work_item"),
        ("Wiki Page Hook", "wiki_page"),
        ("Deployment Hook", "deployment"),
    ],
)
def test_a_reason_is_the_same_by_the_header_and_by_the_body(event, kind):
    reasons = {KIND.read(delivery(name, json.dumps({"object_kind": kind}).encode())).reason for name in (event, None)}
    assert {reason.partition(": ")[2] for reason in reasons} == {gitlab.webhooks.UNWANTED[kind]}


def test_an_annotated_tag_names_the_commit_it_leads_to():
    (tag,) = read("tag_push--created", checkout_sha=A).events
    assert (tag.commit, tag.after != A) == (A, True)
    for told in (None, tag.after, "abc"):
        (light,) = read("tag_push--created", checkout_sha=told).events
        assert light.commit is msgspec.UNSET


def test_a_ref_that_is_neither_branch_nor_tag_is_ignored():
    assert isinstance(read("push--moved", ref="refs/environments/x"), api.Ignored)


def test_an_older_payload_names_its_project_by_a_url():
    (push,) = read("push--moved", project={"git_http_url": "https://gitlab.example.com/Acme/Web.git"}).events
    assert push.repository == api.Repository(host="gitlab.example.com", path="Acme/Web")


def test_a_merge_request_that_says_its_source_in_numbers_only():
    attributes = {**payload("merge_request--open")["object_attributes"], "source": None}
    target = attributes["target_project_id"]
    for number, fork in ((target, False), (target + 1, True)):
        (event,) = read("merge_request--open", object_attributes={**attributes, "source_project_id": number}).events
        assert event.from_fork is fork
        assert event.source.repository == (None if fork else event.repository)
