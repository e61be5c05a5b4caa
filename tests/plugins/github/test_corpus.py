"""GitHub's deliveries as others recorded them: none raises, and what go-scm made of them we make, too.

Where we differ on purpose, `DIFFERENCES` says why; a row that no longer differs fails.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from corpus import corpus_path

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import github
from headgate_plugins.github.connection import GitHub

pytestmark = pytest.mark.corpus
KIND = next(iter(github.headgate_providers()))
IGNORED = "an event"

# (golden's file or its hook type, field) -> why ours is another
DIFFERENCES = {
    ("BranchHook", IGNORED): "`create` and `delete` say no commit; the push that comes with them does",
    ("TagHook", IGNORED): "`create` and `delete` say no commit; the push that comes with them does",
    ("DeployHook", IGNORED): "deployments start no builds here",
    ("DeploymentStatusHook", IGNORED): "deployments start no builds here",
    ("MergeQueueHook", IGNORED): "merge queues push their branch, and that push builds",
    ("ForkHook", IGNORED): "a fork changes nothing in this repository",
    ("InstallationHook", IGNORED): "it says nothing about a repository's content",
    ("InstallationRepositoryHook", IGNORED): "it says nothing about a repository's content",
    ("LabelHook", IGNORED): "a label's definition is on no change",
    ("RepositoryHook", IGNORED): "a repository was made or renamed; polling and pushes show its content",
    ("ReviewHook", IGNORED): "a review that only comments, without a text, says nothing",
    ("PullRequestCommentHook", IGNORED): "the sample's action is empty, which GitHub never sends",
    ("jenkins-x-go-scm/github/webhooks/check_run_created.json", IGNORED): "the run is not complete",
    ("drone-go-scm/github/webhooks/pr_review_submitted.json", "type"): "a review's words are a comment, not a change",
    ("drone-go-scm/github/webhooks/pr_review_edited.json", "type"): "a review's words are a comment, not a change",
    ("drone-go-scm/github/webhooks/pr_edited.json", "action"): "`edited` changed the text, `updated` the code",
    ("jenkins-x-go-scm/github/webhooks/pr_edited.json", "action"): "`edited` changed the text, `updated` the code",
    ("drone-go-scm/github/webhooks/pr_ready_for_review.json", "action"): "go-scm has no word for it",
    ("jenkins-x-go-scm/github/webhooks/pr_ready_for_review.json", "action"): "we say `ready`",
    ("jenkins-x-go-scm/github/webhooks/pr_converted_to_draft.json", "action"): "we say `draft`",
}

ACTIONS = {"updated": {"synchronized", "updated", "sync"}, "labelled": {"labeled"}, "unlabelled": {"unlabeled"}}
ACTIONS["merged"] = ACTIONS["closed"] = {"closed", "merged"}
ACTIONS["opened"] = {"opened", "created"}


def rows(**wanted):
    manifest = corpus_path() / "manifest.jsonl"
    found = [json.loads(line) for line in manifest.read_text().splitlines()]
    return [row for row in found if all(row.get(key) == value for key, value in wanted.items())]


def read(row):
    event = row["event"] or "check_run"  # one row names none; its file name does
    headers = (("x-github-event", event), ("content-type", "application/json"))
    body = (corpus_path() / row["file"]).read_bytes()
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body))


def test_every_recorded_delivery_gives_events_or_a_reason():
    count = 0
    for row in rows(provider="github", kind="webhook"):
        reading = read(row)
        if isinstance(reading, api.Ignored):
            assert reading.reason
            continue
        count += 1
        for event in reading.events:
            check_event(event, KIND)
    assert count > 60


def test_offline_a_body_without_its_header_is_read_as_the_same_event():
    count = 0
    for row in rows(provider="github", kind="webhook"):
        body = (corpus_path() / row["file"]).read_bytes()
        known = read(row)
        nameless = KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body))
        if isinstance(known, api.Parsed):
            assert nameless == known, row["file"]
            count += 1
        else:
            assert isinstance(nameless, api.Ignored), row["file"]
    assert count > 60


def lowered(value):
    """Go reads keys in any letter case."""
    if isinstance(value, dict):
        return {key.lower(): lowered(inner) for key, inner in value.items()}
    return [lowered(inner) for inner in value] if isinstance(value, list) else value


def differences(event, golden):
    """Each field that both model, ours and theirs, where they are not the same. Theirs: missing is the zero value."""
    repo = golden.get("repo") or {}
    pairs = {}
    if event.repository is not None and repo.get("name"):
        pairs["repository"] = event.repository.path, f"{repo['namespace']}/{repo['name']}"
        if repo.get("link"):
            pairs["host"] = event.repository.host, urlsplit(repo["link"]).netloc
    if (golden.get("sender") or {}).get("login"):
        pairs["actor"] = event.actor, golden["sender"]["login"]
    pairs |= FIELDS[type(event)](event, golden)
    return {field: both for field, both in pairs.items() if both[0] != both[1]}


def push_fields(event, golden):
    theirs = golden.get("commits") or []
    pairs = {
        "ref": (event.ref, golden["ref"]),
        "before": (event.before, api.sha_or_none(golden.get("before"))),
        "after": (event.after, api.sha_or_none(golden.get("after"))),
        "commits": (len(event.commits), len(theirs)),
    }
    for ours, their in zip(event.commits, theirs, strict=False):
        author = their.get("author") or {}
        pairs |= {
            f"commits.{ours.id}.id": (ours.id, their.get("sha") or their.get("id")),
            f"commits.{ours.id}.message": (ours.message, their.get("message", "")),
            f"commits.{ours.id}.author": (
                (ours.author.name, ours.author.email),
                (author.get("name", ""), author.get("email", "")),
            ),
            f"commits.{ours.id}.url": (ours.url, their.get("link")),
        }
    return pairs


def change_fields(event, golden):
    change = golden["pullrequest"]
    action = golden.get("action", "")
    pairs = {
        "type": ("change_request", "change_request"),
        "action": (True, True) if action in ACTIONS.get(event.action, {event.action}) else (event.action, action),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "head_ref": (event.head_ref, change["ref"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "target.branch": (event.target.branch, change["target"]),
        "author": (event.author, change["author"]["login"]),
        "draft": (event.draft, change.get("draft", False)),
        "labels": (list(event.labels), [label["name"] for label in change.get("labels") or []]),
        "url": (event.url, change.get("link")),
    }
    if (change.get("base") or {}).get("sha"):
        pairs["target.sha"] = event.target.sha, change["base"]["sha"]
    if change.get("fork") and event.source.repository:
        pairs["source.repository"] = event.source.repository.path, change["fork"]
    if golden["action"] in {"closed", "merged"}:
        pairs["merged"] = event.action == "merged", change.get("merged", False)
    return pairs


def comment_fields(event, golden):
    if "comment" not in golden:
        return {"type": ("comment", "change_request")}
    pairs = {
        "action": (event.action, golden["action"]),
        "body": (event.body, golden["comment"]["body"]),
        "author": (event.author, golden["comment"]["author"]["login"]),
    }
    if event.change is not None:
        pairs["change"] = event.change, (golden.get("issue") or golden.get("pullrequest"))["number"]
    if golden["comment"].get("link"):
        pairs["url"] = event.url, golden["comment"]["link"]
    return pairs


def release_fields(event, golden):
    release = golden["release"]
    return {
        "action": (event.action, golden["action"]),
        "tag": (event.tag, release["tag"]),
        "name": (event.name, release.get("title") or ""),
        "draft": (event.draft, release.get("draft", False)),
        "prerelease": (event.prerelease, release.get("prerelease", False)),
        "url": (event.url, release.get("link")),
    }


def ci_fields(event, golden):
    if "execution" in golden:
        return {
            "sha": (event.sha, golden["commit"]["sha"]),
            "state": (event.state, golden["execution"]["status"]),
        }
    pairs = {}
    for check in golden.get("checks") or []:
        pairs |= {
            "sha": (event.sha, check["sha"]),
            "context": (event.context, check["name"]),
            "state": (event.state, check["conclusion"]),
            "url": (event.url, check["targeturl"]),
        }
    return pairs


FIELDS = {
    api.Push: push_fields,
    api.Tag: push_fields,
    api.ChangeRequest: change_fields,
    api.Comment: comment_fields,
    api.Release: release_fields,
    api.CiStatus: ci_fields,
    api.Ping: lambda _event, _golden: {},
}


def test_go_scm_agrees_field_by_field():
    used, unexplained, compared = set(), [], 0
    for row in rows(provider="github", kind="webhook"):
        if "golden" not in row:
            continue
        golden = lowered(json.loads((corpus_path() / row["golden"]).read_text()))
        reading = read(row)
        if isinstance(reading, api.Ignored):
            found = {IGNORED: (reading.reason, "an event")}
        else:
            assert len(reading.events) == 1
            compared += 1
            found = differences(reading.events[0], golden)
        hook = (row.get("hook_type") or "").removeprefix("scm.")
        for field, (ours, theirs) in found.items():
            key = next((key for key in ((row["file"], field), (hook, field)) if key in DIFFERENCES), None)
            if key is None:
                unexplained.append(f"{row['file']}: {field}: ours {ours!r}, theirs {theirs!r}")
            used.add(key)
    assert not unexplained, "\n".join(unexplained)
    assert set(DIFFERENCES) <= used, f"no longer different: {set(DIFFERENCES) - used}"
    assert compared > 35


def test_every_signature_vector_of_github():
    vectors = json.loads((corpus_path() / "vectors.json").read_text())
    count = 0
    for vector in vectors:
        if vector["header"] not in {"X-Hub-Signature-256", "X-Hub-Signature"}:
            continue
        body = vector["body"].encode() if vector["body"] else (corpus_path() / vector["body_file"]).read_bytes()
        delivery = api.Delivery(
            id="d",
            connection="c",
            received_at=NOW,
            headers=((vector["header"].lower(), vector["signature"]),),
            body=body,
        )
        provider = GitHub(site=None, access=None, secrets=[api.Secret(vector["secret"])])
        # SHA-1, and Bitbucket's SHA-256 in the older header, are right sums and yet no seal here.
        valid = vector["expect_valid"] and vector["header"] == "X-Hub-Signature-256"
        count += valid
        if valid:
            provider.authenticate(delivery)
        else:
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(delivery)
    assert count == 2


def test_no_form_of_url_does_more_than_a_value_error():
    urls = [entry.get("url") for entry in json.loads((corpus_path() / "urls.json").read_text())]
    named = {}
    for url in filter(None, urls):
        try:
            named[url] = KIND.normalise(url)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - both ways out are fine, and only these
    assert named["git@github.com:Org/Repo.git"] == "org/repo"
    assert named["https://username:access_token@github.com/Org/Repo.git"] == "org/repo"
    assert len(named) > 10


def test_loose_matches_of_another_server_are_one_repository_here():
    (entry,) = [entry for entry in json.loads((corpus_path() / "urls.json").read_text()) if "equivalent" in entry]
    assert {KIND.normalise(url) for url in entry["equivalent"]} == {"jenkinsci/git-plugin"}
