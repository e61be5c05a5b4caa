"""What GitHub's webhooks mean: payloads of our own, written after the documentation, beside their goldens."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from syrupy.extensions.json import JSONSnapshotExtension

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import github

PAYLOADS = sorted(Path(__file__).parent.joinpath("payloads").glob("*.json"))
KIND = next(iter(github.headgate_providers()))


def delivery(event, body, *, content_type="application/json"):
    return api.Delivery(
        id="d",
        connection="c",
        received_at=NOW,
        headers=(("x-github-event", event), ("content-type", content_type)),
        body=body,
    )


def read(name, **changes):
    path = Path(__file__).parent / "payloads" / f"{name}.json"
    payload = json.loads(path.read_text()) | changes
    return KIND.read(delivery(name.partition("--")[0], json.dumps(payload).encode()))


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_each_payload_means_what_its_golden_says(path, snapshot):
    reading = KIND.read(delivery(path.stem.partition("--")[0], path.read_bytes()))
    if isinstance(reading, api.Parsed):
        for event in reading.events:
            check_event(event, KIND)
    assert json.loads(msgspec.json.encode(reading)) == snapshot(extension_class=JSONSnapshotExtension)


def test_a_form_says_the_same_as_json():
    body = Path(__file__).parent.joinpath("payloads", "push--moved.json").read_bytes()
    form = urlencode({"payload": body.decode()}).encode()
    from_form = KIND.read(delivery("push", form, content_type="application/x-www-form-urlencoded; charset=utf-8"))
    assert from_form == KIND.read(delivery("push", body))


@pytest.mark.parametrize(
    "form", [b"", b"payload=%7B%7D&payload=%7B%7D", b"other=1", b"payload", b"\xff=1", b"a=1&" * 20]
)
def test_a_form_without_exactly_one_payload_is_unreadable(form):
    with pytest.raises(api.Unreadable):
        KIND.read(delivery("push", form, content_type="application/x-www-form-urlencoded"))


def test_commits_are_complete_only_when_the_list_ends_at_the_new_head():
    complete = {}
    for name in ("moved", "created", "forced", "cut_list", "nothing_new"):
        (push,) = read(f"push--{name}").events
        complete[name] = push.commits_complete
    assert complete == {"moved": True, "created": False, "forced": False, "cut_list": False, "nothing_new": False}


def test_an_annotated_tag_names_the_commit_it_leads_to():
    (tag,) = read("push--tag", head_commit={"id": "c" * 40}).events
    assert tag.commit == "c" * 40
    for told in (None, {"id": tag.after}, {"id": "c" * 12}):
        (light,) = read("push--tag", head_commit=told).events
        assert light.commit is msgspec.UNSET
        assert b'"commit":' not in msgspec.json.encode(light)


def test_a_full_list_of_2048_commits_is_not_believed_to_be_all():
    payload = json.loads(Path(__file__).parent.joinpath("payloads", "push--moved.json").read_text())
    for count, complete in ((2047, True), (2048, False)):
        (push,) = read("push--moved", commits=[payload["commits"][0]] * (count - 1) + [payload["commits"][1]]).events
        assert (len(push.commits), push.commits_complete) == (count, complete)


def test_a_commit_without_its_lists_has_unknown_paths():
    (push,) = read("push--moved", commits=[{"id": "c3" * 20, "message": "m"}]).events
    assert push.commits[0].paths is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": 7},
        {"before": "a1"},
        {"after": "g" * 40},
        {"before": "0" * 40, "after": "0" * 40},
        {"repository": {"full_name": "../etc"}},
        {"repository": {"full_name": "a/b", "html_url": "https://[/"}},
        {"repository": {}},
        {"commits": [{"id": "short"}]},
    ],
)
def test_a_push_that_cannot_be_meant_is_unreadable(changes):
    with pytest.raises(api.Unreadable):
        read("push--moved", **changes)


def test_a_delivery_without_its_event_header_is_unreadable():
    for name in ("\udcff", "é", "a\tb"):
        with pytest.raises(api.Unreadable, match="X-GitHub-Event"):
            KIND.read(delivery(name, b"{}"))
    nameless = msgspec.structs.replace(delivery("push", b"{}"), headers=())
    with pytest.raises(api.Unreadable, match="X-GitHub-Event"):
        KIND.read(nameless)


def test_an_older_payload_names_its_repository_by_owner_and_name():
    (push,) = read("push--moved", repository={"name": "Web", "owner": {"name": "Acme"}}).events
    assert push.repository == api.Repository(host="github.com", path="Acme/Web")


RUN = {
    "name": "CI",
    "head_sha": "b2" * 20,
    "head_branch": "main",
    "status": "completed",
    "conclusion": "success",
}
FORK = {"name": "Web", "full_name": "bob/Web", "html_url": "https://github.com/bob/Web"}
HOME = {"name": "Web", "full_name": "ACME/web", "html_url": "https://github.com/Acme/Web"}


@pytest.mark.parametrize(
    ("head", "branches"),
    [
        ({}, ("main",)),
        ({"head_repository": HOME}, ("main",)),
        ({"head_repository": FORK}, ()),
        ({"head_repository": None}, ()),
    ],
)
def test_the_branch_of_a_fork_is_none_of_ours(head, branches):
    (status,) = read("workflow_run--completed", workflow_run=RUN | head).events
    assert status.branches == branches


@pytest.mark.parametrize(
    ("name", "workflow", "context"),
    [
        ("", {"name": "tests"}, "tests"),
        (None, {"name": "tests"}, "tests"),
        ("", None, "workflow"),
        ("", {}, "workflow"),
    ],
)
def test_a_run_without_a_name_is_called_as_its_workflow(name, workflow, context):
    (status,) = read("workflow_run--completed", workflow_run=RUN | {"name": name}, workflow=workflow).events
    assert status.context == context


def test_a_merge_group_is_told_by_the_push_of_its_branch():
    group = {"head_sha": "b2" * 20, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7", "base_ref": "refs/heads/main"}
    body = json.dumps({"action": "checks_requested", "merge_group": group, "repository": HOME}).encode()
    assert "gh-readonly-queue" in KIND.read(delivery("merge_group", body)).reason


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("deployment", {"deployment": {}, "workflow": {"name": "CI"}, "workflow_run": RUN}),
        ("deployment_status", {"deployment_status": {}, "deployment": {}, "check_run": None, "workflow_run": None}),
        ("deployment_status", {"deployment_status": {}, "deployment": {}, "check_run": RUN, "workflow_run": RUN}),
        ("deployment_review", {"since": "5 minutes ago", "workflow_run": RUN}),
        ("discussion_comment", {"comment": {"body": "/deploy"}, "discussion": {"number": 4}}),
        ("pull_request_review_thread", {"thread": {}, "pull_request": {"number": 7}}),
        ("workflow_job", {"workflow_job": RUN, "deployment": {}}),
    ],
)
def test_without_its_header_nothing_is_taken_for_what_it_carries(event, payload):
    """For `headgate parse`: a deployment carries the run that made it, and the run says that all went well."""
    body = json.dumps({"action": "created", "repository": HOME} | payload).encode()
    nameless = msgspec.structs.replace(delivery(event, body), headers=())
    assert KIND.read(nameless) == KIND.read(delivery(event, body))
    assert f"`{event}`" in KIND.read(nameless).reason
