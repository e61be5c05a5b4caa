"""GitLab's deliveries and API answers as others recorded them, and what go-scm made of them.

The answers are served by a host on loopback and read through the calls. Where we differ on purpose, `DIFFERENCES` says
why; a row that no longer differs fails.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec
import pytest
from corpus import corpus_path
from goldens import Differences, body_of, golden_of, rows
from hosted_gitlab import KIND, ROOT, WEB, A, asked_of, every, options

from headgate import api
from headgate.api.testing import NOW, ContractHost, check_event
from headgate.api.testing.calls import Answer

pytestmark = pytest.mark.corpus
IGNORED = "an event"
NOBODY = "the sample is of an old server, which does not say whether who did it is who wrote it"

# (golden's file or its hook type, field) -> why ours is another
DIFFERENCES = {
    ("PullRequestHook", "source.repository"): "go-scm puts together a namespace's display name and a project's",
    **{
        (f"{source}-go-scm/gitlab/webhooks/{name}.json", "author"): NOBODY
        for source, name in (
            ("drone", "pull_request_close"),
            ("drone", "pull_request_merge"),
            ("drone", "pull_request_reopen"),
            ("jenkins-x", "pull_request_close"),
            ("jenkins-x", "pull_request_edited"),
            ("jenkins-x", "pull_request_merge"),
            ("jenkins-x", "pull_request_reopen"),
        )
    },
}

ACTIONS = {"synchronized": "updated", "review_ready": "draft"}


def read(row):
    headers = (("x-gitlab-event", row["event"]),) if row["event"] else ()
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body_of(row)))


def test_every_recorded_delivery_gives_events_or_a_reason():
    count = 0
    for row in rows(provider="gitlab", kind="webhook"):
        reading = read(row)
        if isinstance(reading, api.Ignored):
            assert reading.reason
            continue
        count += 1
        for event in reading.events:
            check_event(event, KIND)
    assert count > 55


def test_every_recorded_delivery_is_read_without_its_header():
    """For `headgate parse`: the body names the event."""
    for row in rows(provider="gitlab", kind="webhook"):
        reading, without = read(row), read({**row, "event": None})
        assert without == reading or isinstance(without, api.Ignored) is isinstance(reading, api.Ignored) is True


def test_what_happened_to_a_merge_request_is_told_apart():
    folder = "atlantis/gitlab/server/events/testdata/gitlab-merge-request-event"
    found = {}
    for row in rows(provider="gitlab", kind="webhook"):
        if row["file"].startswith(folder):
            reading = read(row)
            name = row["file"].removeprefix(folder).removesuffix(".json").removeprefix("-")
            found[name] = [event.action for event in reading.events] if isinstance(reading, api.Parsed) else []
    assert found == {
        "": ["opened"],
        "subgroup": ["opened"],
        "mark-as-ready": ["ready"],
        "update-assignee": [],
        "update-description": ["edited"],
        "update-labels": ["labelled"],
        "update-milestone": [],
        "update-mixed": ["edited"],
        "update-new-commit": ["updated"],
        "update-reviewer": [],
        "update-target-branch": [],
        "update-title": ["edited"],
    }


def repository_fields(event, golden):
    repo = golden["repo"]
    pairs = {"repository": (event.repository.path, f"{repo['namespace']}/{repo['name']}")}
    if repo.get("link"):
        pairs["host"] = event.repository.host, urlsplit(repo["link"]).netloc
    if (golden.get("sender") or {}).get("login"):
        pairs["actor"] = event.actor, golden["sender"]["login"]
    return pairs


def push_fields(event, golden):
    if isinstance(golden["ref"], dict):  # a branch or a tag was made or deleted
        name = event.tag if isinstance(event, api.Tag) else event.branch
        return {
            "name": (name, golden["ref"]["name"]),
            "sha": (event.before or event.after, golden["ref"]["sha"]),
            "action": ("created" if event.before is None else "deleted", golden["action"]),
        }
    theirs = golden.get("commits") or []
    pairs = {
        "ref": (event.ref, golden["ref"]),
        **({"before": (event.before, api.sha_or_none(golden["before"]))} if golden.get("before") else {}),
        "after": (event.after, api.sha_or_none(golden.get("after"))),
        "commits": (len(event.commits), len(theirs)),
        "default_branch": (getattr(event, "default_branch", golden["repo"]["branch"]), golden["repo"]["branch"]),
    }
    for at, (ours, their) in enumerate(zip(event.commits, theirs, strict=False)):
        author = their.get("author") or {"name": ours.author.name, "email": ours.author.email}  # one fork has none
        pairs |= {
            f"commits.{at}.id": (ours.id, their.get("sha") or their["id"].rpartition("/")[2]),
            f"commits.{at}.message": (ours.message, their["message"]),
            f"commits.{at}.author": ((ours.author.name, ours.author.email), (author["name"], author["email"])),
            f"commits.{at}.url": (ours.url, their.get("link") or their["id"]),  # one fork has the URL there
        }
    return pairs


def change_fields(event, golden):
    change = golden["pullrequest"]
    action, source = golden["action"], event.source.repository
    pairs = {
        "action": (event.action, ACTIONS.get(action, action)),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "head_ref": (event.head_ref, change["ref"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "target.branch": (event.target.branch, change["target"]),
        "author": (event.author, change["author"]["login"]),
        "url": (event.url, change.get("link")),
        "draft": (event.draft, change.get("draft")),
        "merged": (event.action == "merged", change.get("merged")),
    }
    if change.get("fork"):
        pairs["source.repository"] = source.path if source else None, change["fork"]
    if "labels" in change:
        pairs["labels"] = list(event.labels), [label["name"] for label in change["labels"] or []]
    return pairs


def comment_fields(event, golden):
    issue = golden.get("issue") or {}
    change = golden.get("pullrequest") or issue.get("pullrequest") or {}
    return {
        "action": (event.action, golden["action"]),
        "body": (event.body, golden["comment"]["body"]),
        "author": (event.author, golden["comment"]["author"]["login"]),
        "change": (event.change, change.get("number")),
        "sha": (event.sha, change.get("sha")),
    }


def release_fields(event, golden):
    release = golden["release"]
    return {
        "action": (event.action, golden["action"]),
        "tag": (event.tag, release["tag"]),
        "name": (event.name, release["title"]),
        "url": (event.url, release["link"]),
    }


def pipeline_fields(event, golden):
    run = golden["execution"]
    return {
        "sha": (event.sha, golden["commit"]["sha"]),
        "state": (event.state, run["status"]),
        "url": (event.url, run["url"]),
    }


FIELDS = {
    api.Push: push_fields,
    api.Tag: push_fields,
    api.ChangeRequest: change_fields,
    api.Comment: comment_fields,
    api.Release: release_fields,
    api.CiStatus: pipeline_fields,
}


def test_go_scm_agrees_field_by_field():
    differences = Differences(DIFFERENCES)
    for row in rows(provider="gitlab", kind="webhook"):
        golden = golden_of(row)
        if golden is None:
            continue
        reading = read(row)
        if isinstance(reading, api.Ignored):
            differences.note(row, {IGNORED: (reading.reason, "an event")})
            continue
        event = reading.events[0]  # others say what else an update changed
        differences.note(row, {**repository_fields(event, golden), **FIELDS[type(event)](event, golden)})
    differences.check()
    assert differences.compared > 40


NEW_BRANCH = api.Push(repository=api.Repository(host="h", path="acme/web"), ref="refs/heads/x", before=None, after=A)

# name of a recorded answer -> the path it is served at, the call that reads it
READS = {
    "repo.json": (WEB, lambda one: one.repository("acme/web")),
    "subgroup.json": (WEB, lambda one: one.repository("acme/web")),
    "nested_repo.json": (WEB, lambda one: one.repository("acme/web")),
    "other_repo.json": (WEB, lambda one: one.repository("acme/web")),
    "project-success.json": (WEB, lambda one: one.repository("acme/web")),
    "branch.json": (f"{WEB}/repository/branches/main", lambda one: one.ref("acme/web", "refs/heads/main")),
    "create_branch.json": (f"{WEB}/repository/branches/main", lambda one: one.ref("acme/web", "refs/heads/main")),
    "tag.json": (f"{WEB}/repository/tags/v1", lambda one: one.ref("acme/web", "refs/tags/v1")),
    "commit_diff.json": (f"{WEB}/repository/commits/{A}/diff", lambda one: one.changed_paths(NEW_BRANCH)),
    "user.json": (f"{ROOT}/user", lambda one: one.test_connection()),
    "compare.json": (f"{WEB}/repository/compare", lambda one: one.compare("acme/web", "a", "b")),
}
LISTS = {
    "repos.json": (f"{ROOT}/projects", lambda one: one.discover(api.RepositoryQuery())),
    "branches.json": (f"{WEB}/repository/branches", lambda one: one.branches("acme/web")),
    "tags.json": (f"{WEB}/repository/tags", lambda one: one.tags("acme/web")),
    "commits.json": (f"{WEB}/repository/commits", lambda one: one.commits("acme/web", "main")),
    "merges.json": (f"{WEB}/merge_requests", lambda one: one.changes("acme/web", None)),
    "merge_diffs.json": (f"{WEB}/merge_requests/1/diffs", lambda one: one.changed_files("acme/web", 1)),
    "merge_diffs_page2.json": (f"{WEB}/merge_requests/1/diffs", lambda one: one.changed_files("acme/web", 1)),
    "members.json": (f"{WEB}/members/all", lambda one: one.members("acme/web")),
    "issues.json": (f"{WEB}/issues", lambda one: one.issues("acme/web", None)),
    "hooks.json": (f"{WEB}/hooks", lambda one: one.hooks("acme/web")),
}
ITEMS = {
    "commit.json": "commits.json",
    "hook.json": "hooks.json",
    "hook_skip_verification.json": "hooks.json",
    "hook_ssl_false.json": "hooks.json",
    "issue.json": "issues.json",
    "project_member_perm.json": "members.json",
}
CHANGES = frozenset(
    {
        "merge.json",
        "pr_create.json",
        "pull-request.json",
        "gitlab-get-merge-request.json",
        "gitlab-get-merge-request-subgroup.json",
        "detailed-merge-status-ci-must-pass.json",
        "detailed-merge-status-need-rebase.json",
        "head-pipeline-not-available.json",
        "merge-success.json",
        "merge-success-with-label.json",
        "pipeline-blocking-discussions-unresolved.json",
        "pipeline-remaining-approvals.json",
        "pipeline-success.json",
        "pipeline-with-pipeline-skipped.json",
        "pipeline-work-in-progress.json",
    }
)


async def said(row):
    """What the call makes of a recorded answer; `None` where no call of ours reads such a one."""
    name = PurePosixPath(row["file"]).name
    async with asked_of() as (provider, host):
        served = Answer(body=body_of(row))
        if name in READS:
            path, call = READS[name]
            host.on("GET", path, served)
            return await call(provider)
        if name in LISTS:
            path, listing = LISTS[name]
            host.on("GET", path, served)
            return await every(listing(provider))
        if name in CHANGES:
            host.on("GET", f"{WEB}/merge_requests/1", served)
            host.on("GET", f"{WEB}/merge_requests/1/approvals", {"approved_by": []})
            return await provider.change("acme/web", 1)
        if name in ITEMS:
            path, listing = LISTS[ITEMS[name]]
            host.on("GET", path, [json.loads(served.body)])
            return (await every(listing(provider)))[0]
    return None  # `content.json` is one of them: its base64 is cut short


API_DIFFERENCES = {}


def hosted_change_fields(ours, theirs):
    pairs = {
        "number": (ours.number, theirs["number"]),
        "title": (ours.title, theirs["title"]),
        "body": (ours.body, theirs["body"]),
        "sha": (ours.source.sha, theirs["sha"]),
        "ref": (ours.head_ref, theirs["ref"]),
        "source": (ours.source.branch, theirs["source"]),
        "target": (ours.target.branch, theirs["target"]),
        "url": (ours.url, theirs["link"]),
        "closed": (ours.state != "open", theirs["closed"]),
        "merged": (ours.state == "merged", theirs["merged"]),
        "author": (ours.author, theirs["author"]["login"]),
        "draft": (ours.draft, theirs.get("draft")),
    }
    if theirs.get("labels"):
        pairs["labels"] = list(ours.labels), [one["name"] for one in theirs["labels"]]
    return pairs


def commit_fields(ours, theirs):
    author = theirs["author"]
    return {
        "id": (ours.id, theirs["sha"]),
        "message": (ours.message, theirs["message"]),
        "author": ((ours.author.name, ours.author.email), (author["name"], author["email"])),
        "url": (ours.url, theirs.get("link")),
    }


ANSWERS = {
    api.HostedRepository: lambda ours, theirs: {
        "path": (ours.repository.path, f"{theirs['namespace']}/{theirs['name']}"),
        "id": (ours.id, theirs["id"]),
        "branch": (ours.default_branch, theirs["branch"]),
        "private": (ours.visibility == "private", theirs["private"]),
        "url": (ours.url, theirs["link"]),
    },
    api.Branch: lambda ours, theirs: {"name": (ours.name, theirs["name"]), "sha": (ours.sha, theirs["sha"])},
    api.HostedTag: lambda ours, theirs: {"name": (ours.name, theirs["name"]), "sha": (ours.sha, theirs["sha"])},
    api.ConnectionReport: lambda ours, theirs: {"user": (ours.user, theirs["login"])},
    tuple: lambda ours, theirs: {"paths": (ours, tuple(sorted(one["path"] for one in theirs)))},
    str: lambda ours, theirs: {"sha": (ours, theirs["sha"])},
    api.Commit: commit_fields,
    api.HostedChange: hosted_change_fields,
    api.Comparison: lambda ours, theirs: {"paths": ([one.path for one in ours.files], [one["path"] for one in theirs])},
    api.ChangedFile: lambda ours, theirs: {"path": (ours.path, theirs["path"])},
    api.Hook: lambda ours, theirs: {
        "id": (ours.id, theirs["id"]),
        "url": (ours.url, theirs["target"]),
        "verifies": (not ours.verifies_tls, theirs.get("skipverify")),
    },
    api.Issue: lambda ours, theirs: {
        "number": (ours.number, theirs["number"]),
        "title": (ours.title, theirs["title"]),
        "closed": (ours.state == "closed", theirs["closed"]),
        "author": (ours.author, theirs["author"]["login"]),
    },
}


async def test_recorded_answers_are_read_and_agree():
    differences, count = Differences(API_DIFFERENCES), 0
    for row in rows(provider="gitlab", kind="api"):
        ours = await said(row)
        if ours is None:
            continue
        count += 1
        golden = golden_of(row)
        if golden is None:
            continue
        if not isinstance(ours, list):
            differences.note(row, ANSWERS[type(ours)](ours, golden))
            continue
        assert len(ours) == len(golden)
        for one, theirs in zip(ours, golden, strict=True):
            differences.note(row, ANSWERS[type(one)](one, theirs))
    differences.check()
    assert count > 55
    assert differences.compared > 38


async def test_the_standard_webhooks_vector_is_gitlabs_seal():
    """With each of its parts spoilt it is none."""
    vectors = json.loads((corpus_path() / "vectors.json").read_text())
    (vector,) = [one for one in vectors if one["header"] == "webhook-signature"]
    secret = api.Credential(type="text", fields={"text": api.Secret(vector["secret"])})
    at = int(vector["headers"]["webhook-timestamp"])
    delivery = api.Delivery(
        id="d",
        connection="c",
        received_at=msgspec.convert(at, type=type(NOW), strict=False),
        headers=(*vector["headers"].items(), ("webhook-signature", vector["signature"])),
        body=vector["body"].encode(),
    )
    async with KIND.open({"signing_tokens": ["secret://s/h"]}, ContractHost({"secret://s/h": secret})) as provider:
        assert provider.authenticate(delivery).key == vector["headers"]["webhook-id"]
        for change in (
            {"body": delivery.body + b" "},
            {"headers": (("webhook-id", "x"), *delivery.headers[1:])},
            {"received_at": NOW},
        ):
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(msgspec.structs.replace(delivery, **change))


async def test_others_signatures_are_no_seal():
    vectors = json.loads((corpus_path() / "vectors.json").read_text())
    for vector in vectors:
        if vector["header"] == "webhook-signature":
            continue
        body = vector["body"].encode() if vector["body"] else (corpus_path() / vector["body_file"]).read_bytes()
        headers = ((vector["header"].lower(), vector["signature"]),)
        delivery = api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body)
        secret = api.Credential(type="text", fields={"text": api.Secret(vector["secret"])})
        for key in ("signing_tokens", "webhook_secrets"):
            async with KIND.open({key: ["secret://s/h"]}, ContractHost({"secret://s/h": secret})) as provider:
                with pytest.raises(api.Unauthenticated):
                    provider.authenticate(delivery)


async def test_the_recorded_secret_opens_the_recorded_deliveries():
    found = [row for row in rows(provider="gitlab", kind="webhook") if row.get("secret")]
    assert found
    for row in found:
        secret = api.Credential(type="text", fields={"text": api.Secret(row["secret"])})
        headers = [(name.lower(), value) for name, value in row["headers"].items()]
        delivery = api.Delivery(
            id="d",
            connection="c",
            received_at=NOW,
            headers=(*headers, ("x-gitlab-token", row["secret"])),
            body=body_of(row),
        )
        async with KIND.open(options("https://h"), ContractHost({"secret://contract/hook": secret})) as provider:
            provider.authenticate(delivery)


def test_no_form_of_url_does_more_than_a_value_error():
    urls = [entry.get("url") for entry in json.loads((corpus_path() / "urls.json").read_text())]
    named = {}
    for url in filter(None, urls):
        try:
            named[url] = KIND.normalise(url)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - both ways out are fine, and only these
    assert named["git@github.com:Org/Repo.git"] == "org/repo"
    assert len(named) > 10
