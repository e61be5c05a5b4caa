"""Azure DevOps' deliveries and answers as others recorded them: none raises, and what go-scm made of them we make, too.

Where we differ on purpose, a table says why; a row that no longer differs fails.
"""

from __future__ import annotations

import base64
import json
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec
import pytest
from azure_devops_server import ask, on
from goldens import Differences, body_of, golden_of, rows

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate.api.testing.calls import Answer
from headgate_plugins import azure_devops
from headgate_plugins.azure_devops import answers

pytestmark = pytest.mark.corpus
KIND = next(iter(azure_devops.headgate_providers()))

IDENTITY = "theirs is the identity's id, ours the account people sign in with"
NAME = "theirs is the name that is shown, which two people may share; ours is the account"
PAGE = "theirs is an address of the API, ours is the page that people open"
MERGE = "no ref leads to the head: theirs is the source branch, whose pushes are another ref's moves"

WEBHOOK_DIFFERENCES = {
    ("PushHook", "actor"): IDENTITY,
    ("PullRequestHook", "actor"): IDENTITY,
    ("IssueCommentHook", "actor"): IDENTITY,
    ("PullRequestHook", "author"): NAME,
    ("IssueCommentHook", "author"): IDENTITY,
    ("PullRequestHook", "url"): PAGE,
    ("PullRequestHook", "head_ref"): MERGE,
    ("drone-go-scm/azure_devops/webhooks/pr_updated.json", "action"): "it is completed, which is merged",
    ("jenkins-x-go-scm/azure_devops/webhooks/pr_updated.json", "action"): "it is completed, which is merged",
    (
        "drone-go-scm/azure_devops/webhooks/issue_comment.json",
        "action",
    ): "its message says edited, and its text changed",
    (
        "jenkins-x-go-scm/azure_devops/webhooks/issue_comment.json",
        "action",
    ): "its message says edited, and its text changed",
}

IGNORED = {"go-playground-webhooks/azure_devops/build.complete.json": "names no repository"}


def read(row):
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body_of(row)))


def test_every_recorded_delivery_gives_events_or_the_reason():
    found = rows(provider="azure_devops", kind="webhook")
    for row in found:
        reading = read(row)
        if row["file"] in IGNORED:
            assert IGNORED[row["file"]] in reading.reason
            continue
        assert isinstance(reading, api.Parsed), reading
        for event in reading.events:
            check_event(event, KIND)
    assert len(found) >= 14
    assert {row["file"] for row in found} >= set(IGNORED)


def test_a_deletion_that_zulip_recorded():
    (row,) = [row for row in rows(provider="azure_devops", kind="webhook") if row["source"] == "zulip"]
    (event,) = read(row).events
    assert (event.repository.path, event.ref, event.after) == ("test-zulip/test-zulip", "refs/heads/dev", None)
    assert (event.actor, event.default_branch) == ("yuroitaki@email.com", "main")


ACTIONS = {"opened": "created"}


def webhook_pairs(event, golden):
    repo = golden["repo"]
    pairs = {
        "repository": (event.repository.path, f"{repo['namespace']}/{repo['name']}"),
        "host": (event.repository.host, urlsplit(repo["link"]).netloc),
        "actor": (event.actor, golden["sender"]["login"]),
    }
    if isinstance(event, api.Push):
        pairs |= {
            "ref": (event.ref, golden["ref"]),
            "before": (event.before, api.full_sha_or_none(golden["before"])),
            "after": (event.after, api.full_sha_or_none(golden["after"])),
            "default_branch": (event.default_branch, repo["branch"]),
            "commits": (len(event.commits), len(golden["commits"])),
        }
        for at, (ours, theirs) in enumerate(zip(event.commits, golden["commits"], strict=False)):
            author = theirs["author"]
            pairs |= {
                f"commits.{at}.id": (ours.id, theirs["sha"]),
                f"commits.{at}.message": (ours.message, theirs["message"]),
                f"commits.{at}.author": ((ours.author.name, ours.author.email), (author["name"], author["email"])),
                f"commits.{at}.url": (ours.url, theirs["link"]),
            }
        return pairs
    if isinstance(event, api.Comment):
        return pairs | {
            "action": (event.action, golden["action"]),
            "body": (event.body, golden["comment"]["body"]),
            "author": (event.author, golden["comment"]["author"]["login"]),
            "change": (event.change, golden["issue"]["number"]),
        }
    change = golden["pullrequest"]
    return pairs | {
        "action": (ACTIONS.get(event.action, event.action), golden["action"]),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "target.branch": (event.target.branch, change["target"]),
        "author": (event.author, change["author"]["login"]),
        "from_fork": (event.from_fork, bool(change["fork"])),
        "labels": (list(event.labels), change["labels"]),
        "head_ref": (event.head_ref, change["ref"]),
        "url": (event.url, change["link"]),
        "ended": (event.action in {"merged", "closed"}, change["closed"] or change["merged"]),
    }


def test_go_scm_agrees_field_by_field_on_webhooks():
    differences = Differences(WEBHOOK_DIFFERENCES)
    for row in rows(provider="azure_devops", kind="webhook"):
        golden = golden_of(row)
        if golden is not None:
            (event,) = read(row).events
            differences.note(row, webhook_pairs(event, golden))
    differences.check()
    assert differences.compared >= 12


# -- answers of the API: each is given by a server to the call that asks for it

PROJECT = "test_project"
REPO = f"/acme/{PROJECT}/_apis/git/repositories/test_repo2"
WEB = f"{PROJECT}/test_repo2"
SHA = "a1" * 20

API_DIFFERENCES = {
    ("drone-go-scm/azure_devops/repo.json", "url"): PAGE,
    ("drone-go-scm/azure_devops/repos.json", "0.url"): PAGE,
    ("drone-go-scm/azure_devops/repos.json", "1.url"): PAGE,
    ("drone-go-scm/azure_devops/branches.json", "names"): "the merge of a pull request is no branch",
    ("jenkins-x-go-scm/azure_devops/branches.json", "names"): "the merge of a pull request is no branch",
    **{
        (f"{source}-go-scm/azure_devops/commits.json", f"{at}.url"): PAGE
        for source in ("drone", "jenkins-x")
        for at in range(3)
    },
    ("drone-go-scm/azure_devops/commit.json", "url"): PAGE,
    ("jenkins-x-go-scm/azure_devops/commit.json", "url"): PAGE,
    ("drone-go-scm/azure_devops/pr.json", "head_ref"): "it leads to the merge, not to the head",
    ("jenkins-x-go-scm/azure_devops/pr_active.json", "head_ref"): "it leads to the merge, not to the head",
    ("drone-go-scm/azure_devops/pr.json", "url"): PAGE,
    (
        "jenkins-x-go-scm/azure_devops/pr_active.json",
        "state",
    ): "it is active, and has the closing date of an earlier end",
}


def recorded(row, **headers):
    return Answer(200, body_of(row), headers)


def repository_pairs(found, golden):
    pairs = {
        "path": (found.repository.path, f"{golden['namespace'].rpartition('/')[2]}/{golden['name']}"),
        "id": (found.id, golden["id"]),
        "branch": (found.default_branch, golden["branch"]),
        "url": (found.url, golden["link"]),
    }
    if "private" in golden:
        pairs["private"] = found.visibility == "private", golden["private"]
    return pairs


def repo(row, golden):
    name = json.loads(body_of(row))["name"]
    path = f"/acme/{PROJECT}/_apis/git/repositories/{name}"
    found = ask(lambda provider, _: provider.repository(f"{PROJECT}/{name}"), on({f"GET {path}": recorded(row)}))
    return repository_pairs(found, golden)


def repos(row, golden):
    host = on({"GET /acme/_apis/git/repositories": recorded(row)})
    found = ask(lambda provider, _: provider.discover(api.RepositoryQuery()), host)
    return {"count": (len(found), len(golden))} | {
        f"{at}.{field}": pair
        for at, (ours, theirs) in enumerate(zip(found, golden, strict=True))
        for field, pair in repository_pairs(ours, theirs).items()
    }


def refs(call):
    def pairs(row, golden):
        found = ask(lambda provider, _: getattr(provider, call)(WEB), on({f"GET {REPO}/refs": recorded(row)}))
        theirs = {one["name"]: one["sha"] for one in golden}
        return {
            "names": ([one.name for one in found], [one["name"] for one in golden]),
            "shas": ([one.sha for one in found], [theirs[one.name] for one in found]),
        }

    return pairs


def commit_pairs(found, golden):
    author = golden["author"]
    return {
        "id": (found.id, golden["sha"]),
        "message": (found.message, golden["message"]),
        "author": ((found.author.name, found.author.email), (author["name"], author["email"])),
        "url": (found.url, golden["link"]),
    }


def commits(row, golden):
    found = ask(lambda provider, _: provider.commits(WEB, SHA), on({f"GET {REPO}/commits": recorded(row)}))
    return {"count": (len(found), len(golden))} | {
        f"{at}.{field}": pair
        for at, (ours, theirs) in enumerate(zip(found, golden, strict=True))
        for field, pair in commit_pairs(ours, theirs).items()
    }


def one_commit(row, golden):
    """No call asks for one alone; builds of a commit take its push from the same answer."""
    assert msgspec.json.decode(body_of(row), type=answers.OneCommit).push.date is not None
    return commit_pairs(msgspec.json.decode(body_of(row), type=answers.Commit).value(), golden)


def compared(row, golden):
    host = on({f"GET {REPO}/diffs/commits": recorded(row), f"GET {REPO}/commits": {"value": []}})
    found = ask(lambda provider, _: provider.compare(WEB, SHA, "b2" * 20), host)
    assert not found.complete  # ten commits ahead, and the server of this test lists none
    return {
        "paths": ([f"/{one.path}" for one in found.files], [one["path"] for one in golden]),
        "kinds": (
            [(one.status == "added", one.status == "renamed", one.status == "removed") for one in found.files],
            [(one["added"], one["renamed"], one["deleted"]) for one in golden],
        ),
    }


def content(row, golden):
    item = json.loads(body_of(row))
    blob = f"GET {REPO}/blobs/{item['objectId']}"
    host = on({f"GET {REPO}/items": recorded(row), blob: Answer(200, item["content"].encode())})
    found = ask(lambda provider, _: provider.read_file(WEB, "README.md", SHA), host)
    return {
        "path": (f"/{found.path}", golden["path"]),
        "content": (found.content, base64.b64decode(golden["data"])),
        "revision": (found.revision, golden["blobid"]),
    }


def pushed(row, _):
    recorded_push = json.loads(body_of(row))
    (update,) = recorded_push["refUpdates"]
    before = {"value": [{"name": update["name"], "objectId": update["oldObjectId"]}]}
    host = on({f"GET {REPO}/refs": before, f"POST {REPO}/pushes": recorded(row)})
    change = api.FileCommit(branch="main", message="m", changes=(api.FileChange(path="x", content=b"1"),))
    sha = ask(lambda provider, _: provider.commit_files(WEB, change), host)
    return {"sha": (sha, recorded_push["commits"][0]["commitId"])}


def branch(row, _):
    result = json.loads(body_of(row))["value"][0]
    host = on({f"POST {REPO}/refs": recorded(row)})
    name = result["name"].removeprefix("refs/heads/")
    ask(lambda provider, _: provider.create_branch(WEB, name, result["newObjectId"]), host)
    (asked,) = host.asked[-1].json()
    return {key: (asked[key], result[key]) for key in asked}


def hooks(row, golden):
    listed = json.loads(body_of(row))
    if "value" not in listed:
        listed, golden = {"value": [listed]}, [golden]
    inputs = listed["value"][0]["publisherInputs"]
    owner = {"id": inputs["repository"], "name": "test_repo2", "project": {"id": inputs["projectId"], "name": PROJECT}}
    host = on({f"GET {REPO}": owner, "GET /acme/_apis/hooks/subscriptions": listed})
    (found,) = ask(lambda provider, _: provider.hooks(WEB), host)  # one URL, one hook
    return {
        "url": ({found.url}, {one["target"] for one in golden}),
        "events": (set(found.events), {event for one in golden for event in one["events"]}),
        "active": (found.active, all(one["active"] for one in golden)),
        "verifies_tls": (found.verifies_tls, not any(one["skipverify"] for one in golden)),
    }


def change(row, golden):
    found = ask(lambda provider, _: provider.change(WEB, 19), on({f"GET {REPO}/pullrequests/19": recorded(row)}))
    if golden is None:
        return {"state": (found.state, json.loads(body_of(row))["status"].replace("completed", "merged"))}
    return {
        "number": (found.number, golden["number"]),
        "title": (found.title, golden["title"]),
        "body": (found.body, golden["body"]),
        "sha": (found.source.sha, golden["sha"]),
        "source": (found.source.branch, golden["source"]),
        "target": (found.target.branch, golden["target"]),
        "target.sha": (found.target.sha, golden["base"]["sha"]),
        "author": (found.author, golden["author"]["login"]),
        "draft": (found.draft, golden.get("draft", False)),
        "state": (found.state != "open", golden["closed"]),
        "merged": (found.state == "merged", golden["merged"]),
        "head_ref": (found.head_ref, golden["ref"]),
        "url": (found.url, golden["link"]),
    }


def merging(row, _):
    """It is what is sent to merge one."""
    wanted = json.loads(body_of(row))
    (active,) = [one for one in rows(provider="azure_devops") if one["file"].endswith("/pr_active.json")]
    path = f"{REPO}/pullrequests/19"
    host = on({f"GET {path}": recorded(active), f"PATCH {path}": recorded(active)})
    sha = wanted["lastMergeSourceCommit"]["commitId"]
    assert ask(lambda provider, _: provider.merge_change(WEB, 19, sha=sha), host) is None
    sent = host.asked[-1].json()
    return {
        "status": (sent["status"], wanted["status"]),
        "guard": (sent["lastMergeSourceCommit"]["commitId"], sha),
    }


def headless(row, _):
    """It says no head, so it is no change as ours are; the error says which."""
    with pytest.raises(api.ProviderError, match="pull request 22"):
        ask(lambda provider, _: provider.change(WEB, 22), on({f"GET {REPO}/pullrequests/22": recorded(row)}))
    return {}


CALLS = {
    "repo.json": repo,
    "repos.json": repos,
    "branches.json": refs("branches"),
    "branches_filter.json": refs("branches"),
    "tags.json": refs("tags"),
    "commit.json": one_commit,
    "commits.json": commits,
    "compare.json": compared,
    "content.json": content,
    "content_create.json": pushed,
    "content_update.json": pushed,
    "content_delete.json": pushed,
    "branch_create.json": branch,
    "hook.json": hooks,
    "hooks.json": hooks,
    "pr.json": change,
    "pr_active.json": change,
    "pr_completed.json": change,
    "pr_merge.json": merging,
}

NEVER_ASKED = {
    "content_list.json": "folders are not listed through the API",
    "project.json": "a project is told with its repositories",
    "projects.json": "a project is told with its repositories",
    "pr_abandon.json": "what would be sent to close one, which nothing does",
    "repo_create.json": "what would be sent to make a repository, which nothing does",
    "policyevaluations.json": "policies are not asked for",
}


def test_go_scm_agrees_field_by_field_on_answers():
    differences, left = Differences(API_DIFFERENCES), set()
    for row in rows(provider="azure_devops", kind="api"):
        name = PurePosixPath(row["file"]).name
        call = headless if row["source"] == "atlantis" and name == "pr.json" else CALLS.get(name)
        if call is None:
            left.add(name)
            continue
        differences.note(row, call(row, golden_of(row)))
    differences.check()
    assert left == set(NEVER_ASKED)
    assert differences.compared >= 30
