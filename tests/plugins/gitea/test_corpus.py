"""What others recorded of Gitea, Forgejo and Gogs: none raises, and what go-scm made of it we make, too.

Where we differ on purpose, `DIFFERENCES` says why; a row that no longer differs fails.
"""

from __future__ import annotations

import base64
import json
from pathlib import PurePath
from urllib.parse import urlsplit

import msgspec
import pytest
from corpus import corpus_path
from goldens import Differences, body_of, golden_of, rows

from headgate import api
from headgate.api.testing import NOW, ContractHost, check_event
from headgate_plugins import gitea
from headgate_plugins.gitea import answers, discussions

pytestmark = pytest.mark.corpus
KINDS = {kind.name: kind for kind in gitea.headgate_providers()}
PUSHED = "`create` and `delete` of tags come with a push, and only that says where the tag was"
UNTOLD = "the payload says it, and go-scm leaves it out; the head it names is compared below"
OLDER = "old samples of Gitea know no `action` of a release; ours is the one a release begins with"

# (golden's file or its hook type, field) -> why ours is another
DIFFERENCES = {
    ("IssueHook", "an event"): "jobs do not wait for issues",
    ("drone-go-scm/gitea/webhooks/branch_create.json", "an event"): "a new branch comes with its push",
    ("drone-go-scm/gogs/webhooks/branch_create.json", "an event"): "a new branch comes with its push",
    ("jenkins-x-go-scm/gitea/webhooks/branch_create.json", "an event"): "a new branch comes with its push",
    ("jenkins-x-go-scm/gogs/webhooks/branch_create.json", "an event"): "a new branch comes with its push",
    ("drone-go-scm/gitea/webhooks/tag_create.json", "an event"): PUSHED,
    ("drone-go-scm/gitea/webhooks/tag_delete.json", "an event"): PUSHED,
    ("jenkins-x-go-scm/gitea/webhooks/tag_create.json", "an event"): PUSHED,
    ("jenkins-x-go-scm/gitea/webhooks/tag_delete.json", "an event"): PUSHED,
    **{
        (f"{source}-go-scm/gogs/webhooks/pull_request_{action}.json", "head_ref"): "Gogs moves that ref too late"
        for source in ("drone", "jenkins-x")
        for action in ("opened", "edited", "synchronized", "closed")
    },
    ("PullRequestHook", "action"): "`edited` changed the text, `updated` the code",
    ("ReviewHook", "action"): "what was submitted is a verdict",
    ("ReleaseHook", "action"): OLDER,
    ("drone-go-scm/gitea/webhooks/push.json", "after"): UNTOLD,
    ("drone-go-scm/gogs/webhooks/push.json", "after"): UNTOLD,
    ("drone-go-scm/gogs/webhooks/push.json", "before"): UNTOLD,
    ("jenkins-x-go-scm/gitea/webhooks/push.json", "commits"): UNTOLD,
    ("jenkins-x-go-scm/gogs/webhooks/push.json", "after"): UNTOLD,
    ("jenkins-x-go-scm/gogs/webhooks/push.json", "before"): UNTOLD,
    ("jenkins-x-go-scm/gogs/webhooks/push.json", "commits"): UNTOLD,
    ("jenkins-x-go-scm/gitea/webhooks/release.json", "url"): "the sample names no page, and we make none up",
}

ACTIONS = {"updated": {"synchronized"}, "merged": {"closed", "merged"}}


def webhook_rows():
    return [row for name in KINDS for row in rows(provider=name, kind="webhook")]


def read(row):
    own = row["provider"]
    headers = ((f"x-{own}-event", row["event"]),) if row["event"] else ()
    delivery = api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body_of(row))
    return KINDS[own].read(delivery)


def test_every_recorded_delivery_gives_events_or_a_reason():
    counts = {"events": 0, "without a header": 0}
    found = webhook_rows()
    for row in found:
        reading = read(row)
        if isinstance(reading, api.Ignored):
            assert reading.reason
            continue
        counts["events"] += 1
        counts["without a header"] += row["event"] is None
        for event in reading.events:
            check_event(event, KINDS[row["provider"]])
    assert len(found) > 80
    assert counts["events"] > 45
    assert counts["without a header"] > 15


def test_of_each_kind_of_delivery_something_is_read():
    """Not ignored by mistake: these have to give events."""
    expected = {
        "woodpecker/forgejo/HookPush.json": ["push"],
        "woodpecker/forgejo/HookPullRequest.json": ["change_request"],
        "woodpecker/forgejo/HookPullRequestUpdated.json": ["change_request"],
        "woodpecker/gitea/HookPushBranch.json": ["push"],
        "go-playground-webhooks/gitea/pull-request-review-event.json": None,
        "argo-cd/gogs/util/webhook/testdata/gogs-event.json": ["push"],
        "drone-go-scm/gitea/webhooks/branch_delete.json": ["push"],
        "drone-go-scm/gogs/webhooks/tag_delete.json": ["tag"],
        "jenkins-x-go-scm/gitea/webhooks/review_approved.json": ["change_request", "comment"],
    }
    by_file = {row["file"]: row for row in webhook_rows()}
    for file, types in expected.items():
        reading = read(by_file[file])
        if types is None:
            assert isinstance(reading, api.Parsed)
        else:
            assert [api.event_type(event) for event in reading.events] == types


# -- goldens of deliveries


def everywhere(event, golden):
    repo = golden.get("repo") or {}
    pairs = {}
    if repo.get("name"):
        pairs["repository"] = event.repository.path, f"{repo['namespace']}/{repo['name']}"
        if repo.get("link"):
            pairs["host"] = event.repository.host, urlsplit(repo["link"]).netloc
    if (golden.get("sender") or {}).get("login"):
        pairs["actor"] = event.actor, golden["sender"]["login"]
    return pairs


def push_fields(event, golden):
    if isinstance(event, api.PollRequested):
        return {"after": (None, golden["ref"].get("sha"))}
    if isinstance(golden["ref"], dict):  # a branch or tag that was created or deleted
        named = golden["ref"]
        return {
            "ref": (event.ref.split("/", 2)[2], named["name"]),
            "after": (event.after, named.get("sha")),
            "action": ("deleted" if event.after is None else "created", golden["action"]),
        }
    theirs = golden.get("commits") or []
    pairs = {
        "ref": (event.ref, golden["ref"]),
        "before": (event.before, api.sha_or_none(golden.get("before"))),
        "after": (event.after, api.sha_or_none(golden.get("after"))),
        "commits": (len(event.commits), len(theirs)),
        "head": (event.after, golden["commit"]["sha"]),
        "default branch": (event.default_branch, golden["repo"].get("branch")),
    }
    for ours, their in zip(event.commits, theirs, strict=False):
        author = their.get("author") or {}
        pairs |= {
            f"commits.{ours.id}.id": (ours.id, their.get("sha") or their.get("id")),
            f"commits.{ours.id}.message": (ours.message, their.get("message", "")),
            f"commits.{ours.id}.author": (ours.author.name, author.get("name")),
            f"commits.{ours.id}.email": (ours.author.email, author.get("email")),
            f"commits.{ours.id}.url": (ours.url, their.get("link")),
        }
    return pairs


def change_fields(event, golden):
    change, action = golden["pullrequest"], golden.get("action", "")
    agrees = action == event.action or action in ACTIONS.get(event.action, ())
    return {
        "action": (action if agrees else event.action, action),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "head_ref": (event.head_ref, change["ref"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "source.repository": (event.source.repository and event.source.repository.path, change.get("fork")),
        "target.branch": (event.target.branch, change["target"]),
        "target.sha": (event.target.sha, (change.get("base") or {}).get("sha") or event.target.sha),
        "author": (event.author, change["author"]["login"]),
        "draft": (event.draft, change.get("draft")),
        "labels": (list(event.labels), [label["name"] for label in change.get("labels") or []]),
        "url": (event.url, change.get("link")),
        "merged": (event.action == "merged", change.get("merged")),
    }


def comment_fields(event, golden):
    return {
        "action": (event.action, golden["action"]),
        "body": (event.body, golden["comment"]["body"]),
        "author": (event.author, golden["comment"]["author"]["login"]),
        "url": (event.url, golden["comment"].get("link") or event.url),
        "change": (event.change, (golden.get("pullrequest") or {}).get("number")),
        "on": (event.on, "change_request" if "pullrequest" in golden else "issue"),
    }


def release_fields(event, golden):
    release = golden["release"]
    return {
        "action": (event.action, golden.get("action")),
        "tag": (event.tag, release["tag"]),
        "name": (event.name, release.get("title")),
        "draft": (event.draft, release.get("draft")),
        "prerelease": (event.prerelease, release.get("prerelease")),
        "url": (event.url, release.get("link")),
    }


FIELDS = {
    api.Push: push_fields,
    api.Tag: push_fields,
    api.PollRequested: push_fields,
    api.ChangeRequest: change_fields,
    api.Comment: comment_fields,
    api.Release: release_fields,
}


def test_go_scm_agrees_field_by_field():
    differences, events = Differences(DIFFERENCES), 0
    for row in webhook_rows():
        golden = golden_of(row)
        if golden is None:
            continue
        reading = read(row)
        if isinstance(reading, api.Ignored):
            differences.note(row, {"an event": (reading.reason, "an event")})
            continue
        events += 1
        event = reading.events[0]  # a review's words stand in the second, and go-scm has one for both
        differences.note(row, everywhere(event, golden) | FIELDS[type(event)](event, golden))
    differences.check()
    assert events > 25


# -- recorded answers of the API


def repo_fields(ours, theirs):
    link = theirs.get("link")
    return {
        "id": (ours.id, theirs["id"]),
        "path": (ours.repository.path, f"{theirs['namespace']}/{theirs['name']}"),
        **({"host": (ours.repository.host, urlsplit(link).netloc), "url": (ours.url, link)} if link else {}),
        "branch": (ours.default_branch, theirs["branch"]),
        "private": (ours.visibility == "private", theirs.get("private")),
        "archived": (ours.archived, theirs.get("archived")),
    }


def named_fields(ours, theirs):
    return {"name": (ours.name, theirs["name"]), "sha": (ours.sha, theirs["sha"])}


def commit_fields(ours, theirs):
    return {"sha": (ours.id, theirs["sha"]), "message": (ours.message, theirs["message"])}


def pull_fields(ours, theirs):
    return {
        "number": (ours.number, theirs["number"]),
        "title": (ours.title, theirs["title"]),
        "body": (ours.body, theirs["body"]),
        "sha": (ours.source.sha, theirs["sha"]),
        "ref": (ours.head_ref, theirs["ref"]),
        "source": (ours.source.branch, theirs["source"]),
        "fork": (ours.source.repository.path, theirs["fork"]),
        "target": (ours.target.branch, theirs["target"]),
        "closed": (ours.state != "open", theirs["closed"]),
        "merged": (ours.state == "merged", theirs["merged"]),
        "author": (ours.author, theirs["author"]["login"]),
        "url": (ours.url, theirs["link"]),
    }


def issue_fields(ours, theirs):
    return {
        "number": (ours.number, theirs["number"]),
        "title": (ours.title, theirs["title"]),
        "closed": (ours.state == "closed", theirs["closed"]),
        "author": (ours.author, theirs["author"]["login"]),
    }


def hook_fields(ours, theirs):
    return {
        "id": (ours.id, theirs["id"]),
        "url": (ours.url, theirs["target"]),
        "events": (list(ours.events), theirs["events"]),
        "active": (ours.active, theirs["active"]),
    }


def review_fields(ours, theirs):
    return {
        "sha": (ours.sha, theirs["sha"]),
        "state": (ours.state, theirs["state"].lower()),
        "body": (ours.body, theirs["body"]),
        "author": (ours.author, theirs["author"]["login"]),
    }


def reference(one):
    return api.HostedTag(name=one.ref.removeprefix("refs/tags/"), sha=one.object.sha)


# the word in a file's name -> our shape, what becomes of it, and what both tell
MODELS = {
    "branch": (answers.Branch, answers.Branch.branch, named_fields),
    "branches": (answers.Branch, answers.Branch.branch, named_fields),
    "commit": (answers.Commit, answers.Commit.written, commit_fields),
    "commits": (answers.Commit, answers.Commit.written, commit_fields),
    "content_find": (answers.Content, None, None),
    "content_list": (answers.Content, None, None),
    "hook": (answers.Hook, answers.Hook.hook, hook_fields),
    "hooks": (answers.Hook, answers.Hook.hook, hook_fields),
    "issue": (discussions.Issue, discussions.Issue.issue, issue_fields),
    "issues": (discussions.Issue, discussions.Issue.issue, issue_fields),
    "list-pull-request-files-page-1": (discussions.ChangedFile, discussions.ChangedFile.changed, None),
    "list-pull-request-files-page-2": (discussions.ChangedFile, discussions.ChangedFile.changed, None),
    "list-pull-reviews-page-1": (discussions.Review, discussions.Review.review, None),
    "list-pull-reviews-page-1-comment": (discussions.Review, discussions.Review.review, None),
    "list-pull-reviews-page-2": (discussions.Review, discussions.Review.review, None),
    "list-pull-reviews-page-2-approved": (discussions.Review, discussions.Review.review, None),
    "pr": (discussions.PullRequest, lambda one: one.change(one.target()), pull_fields),
    "prs": (discussions.PullRequest, lambda one: one.change(one.target()), pull_fields),
    "repo": (answers.Repo, answers.Repo.hosted, repo_fields),
    "repos": (answers.Repo, answers.Repo.hosted, repo_fields),
    "review": (discussions.Review, discussions.Review.review, review_fields),
    "reviews": (discussions.Review, discussions.Review.review, review_fields),
    "tag": (answers.Reference, reference, named_fields),
    "user": (answers.User, lambda one: one.account, lambda ours, theirs: {"login": (ours, theirs["login"])}),
}
REFERENCES = "drone-go-scm/gitea/tags.json"
"""Tags as older servers listed them; newer ones have a shape of their own."""

NOT_ASKED = {
    "assign_issue", "close_issue", "close_pr", "comment", "comments", "content_create", "issue_clear_milestone", "issue_labels", "issue_set_milestone",
    "list-issue-labels-page-1", "list-issue-labels-page-2", "milestone", "milestone_create", "milestones",
    "organization", "organizations", "permissions", "pr_create", "release", "release_create", "release_update", "releases",
    "reopen_issue", "reopen_pr", "review_create", "status", "statuses", "unassign_issue", "version", "version-response",
}  # fmt: skip
"""Recorded answers to questions we have none of; also the bodies of some requests."""


def model_of(row):
    word = PurePath(row["file"]).stem
    if word == "tags":
        return (
            (answers.Reference, reference, named_fields)
            if row["file"] == REFERENCES
            else (answers.Tag, answers.Tag.tag, named_fields)
        )
    return MODELS.get(word)


def test_recorded_answers_are_read_and_go_scm_agrees():
    differences, read_words = Differences({}), set()
    for row in [row for name in KINDS for row in rows(provider=name, kind="api")]:
        word, model = PurePath(row["file"]).stem, model_of(row)
        if model is None:
            assert word in NOT_ASKED, row["file"]
            continue
        shape, become, fields = model
        body = body_of(row)
        several = isinstance(json.loads(body), list)
        found = msgspec.json.decode(body, type=list[shape] if several else shape)
        values = [become(one) if become else one for one in (found if several else [found])]
        assert values
        read_words.add(word)
        golden = golden_of(row)
        if golden is None or fields is None:
            continue
        theirs = golden if isinstance(golden, list) else [golden]
        assert len(values) == len(theirs)
        for number, (ours, their) in enumerate(zip(values, theirs, strict=True)):
            differences.note(row, {f"{number}.{name}": pair for name, pair in fields(ours, their).items()})
    differences.check()
    assert differences.compared > 40
    assert read_words == {*MODELS, "tags"}


def test_a_recorded_file_has_the_content_that_go_scm_found():
    (row,) = [row for row in rows(provider="gitea", kind="api") if row["file"].endswith("content_find.json")]
    ours = msgspec.json.decode(body_of(row), type=answers.Content)
    assert base64.b64decode(ours.content) == base64.b64decode(golden_of(row)["data"])


# -- signatures


def open_provider(name, secret):
    host = ContractHost({"secret://s/h": api.Credential(type="text", fields={"text": api.Secret(secret)})})
    return KINDS[name].open({"base_url": "https://git.acme.example", "webhook_secrets": ["secret://s/h"]}, host)


async def sealed(name, secret, header, signature, body):
    delivery = api.Delivery(id="d", connection="c", received_at=NOW, headers=((header.lower(), signature),), body=body)
    async with open_provider(name, secret) as provider:
        try:
            provider.authenticate(delivery)
        except api.Unauthenticated:
            return False
        return True


async def test_every_signature_vector_for_each_kind():
    """Right sums in another's header are no seal."""
    vectors = [one for one in json.loads((corpus_path() / "vectors.json").read_text()) if one.get("body_file")]
    accepted = dict.fromkeys(KINDS, 0)
    for vector in vectors:
        body = (corpus_path() / vector["body_file"]).read_bytes()
        for name in KINDS:
            own = vector["header"].lower() == f"x-{name}-signature"
            good = await sealed(name, vector["secret"], vector["header"], vector["signature"], body)
            assert good == (own and vector["expect_valid"])
            accepted[name] += good
    assert accepted == {"gitea": 2, "forgejo": 0, "gogs": 2}


async def test_deliveries_that_were_recorded_with_their_seal():
    """Theirs were signed with another line at the end of the file, or not; the sums say which."""
    found = [row for row in webhook_rows() if row.get("secret")]
    good = [
        await sealed("gitea", row["secret"], "x-gitea-signature", row["headers"]["X-Gitea-Signature"], body)
        for row in found
        for body in {body_of(row), body_of(row).rstrip(b"\n")}
    ]
    assert len(found) == 2
    assert good.count(True) == 2


def test_no_form_of_url_does_more_than_a_value_error():
    named = {}
    for entry in json.loads((corpus_path() / "urls.json").read_text()):
        if not (url := entry.get("url")):
            continue
        try:
            named[url] = KINDS["gitea"].normalise(url)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - both ways out are fine, and only these
    assert named["git@github.com:Org/Repo.git"] == "org/repo"
    assert len(named) > 10
