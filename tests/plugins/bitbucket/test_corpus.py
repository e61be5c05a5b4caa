"""Bitbucket Cloud's deliveries and API answers as others recorded them, and what go-scm made of them.

Where we differ on purpose, `DIFFERENCES` says why; a row that no longer differs fails.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec
import pytest
from corpus import corpus_path
from goldens import Differences, body_of, golden_of, rows

from headgate import api
from headgate.api.testing import NOW, check_event
from headgate_plugins import bitbucket
from headgate_plugins.bitbucket import answers
from headgate_plugins.bitbucket.connection import Bitbucket
from headgate_plugins.bitbucket.converters import account, page, person
from headgate_plugins.bitbucket.shapes import User

pytestmark = pytest.mark.corpus
KIND = next(iter(bitbucket.headgate_providers()))
PROVIDER = "bitbucket_cloud"

# (golden's file or its hook type, field) -> why ours is another
DIFFERENCES = {
    ("PullRequestHook", "head_ref"): "Bitbucket Cloud has no such ref; go-scm writes the one of Data Center",
    ("IssueCommentHook", "author"): "the payload has no username; ours is the nickname",
    ("IssueCommentHook", "actor"): "the payload has no username; ours is the nickname",
    ("jenkins-x-go-scm/bitbucket_cloud/webhooks/push.json", "before"): "go-scm leaves out what the payload says",
    ("jenkins-x-go-scm/bitbucket_cloud/webhooks/push.json", "commits"): "go-scm leaves out what the payload says",
    ("jenkins-x-go-scm/bitbucket_cloud/webhooks/push_branch_create.json", "commits"): "likewise",
}

ACTIONS = {"synchronized": "updated"}
CI_STATES = {"running": "pending"}


def read(row):
    headers = (("x-event-key", row["event"]), ("content-type", "application/json"))
    return KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=headers, body=body_of(row)))


def test_every_recorded_delivery_gives_events():
    """None of them is of a kind that is passed over."""
    count = 0
    for row in rows(provider=PROVIDER, kind="webhook"):
        reading = read(row)
        assert isinstance(reading, api.Parsed), row["file"]
        count += 1
        for event in reading.events:
            check_event(event, KIND)
    assert count == 29


def test_offline_a_body_without_its_header_is_read_as_the_same_type_of_event():
    for row in rows(provider=PROVIDER, kind="webhook"):
        known = read(row)
        nameless = KIND.read(api.Delivery(id="d", connection="c", received_at=NOW, headers=(), body=body_of(row)))
        types = [[api.event_type(event) for event in reading.events] for reading in (known, nameless)]
        assert types[0] == types[1], row["file"]


def test_heads_of_pull_requests_are_recorded_with_twelve_digits():
    """Why `ChangeSource.sha` may be short; should Bitbucket begin to write them out, nothing has to change."""
    events = [event for row in rows(provider=PROVIDER, kind="webhook") for event in read(row).events]
    lengths = {len(event.source.sha) for event in events if isinstance(event, api.ChangeRequest)}
    assert lengths == {12}


# -- what go-scm made of deliveries


def repository_fields(event, golden):
    repo = golden["repo"]
    return {
        "repository": (event.repository.path, f"{repo['namespace']}/{repo['name']}"),
        "host": (event.repository.host, urlsplit(repo.get("link") or repo["clone"]).netloc),
        "actor": (event.actor, golden["sender"].get("login")),
    }


def push_fields(event, golden):
    if isinstance(golden["ref"], dict):
        name = event.tag if isinstance(event, api.Tag) else event.branch
        return {
            "name": (name, golden["ref"]["name"]),
            "sha": (event.before, golden["ref"]["sha"]),
            "action": ("deleted" if event.after is None else "moved", golden["action"]),
        }
    theirs = golden.get("commits") or []
    pairs = {
        "ref": (event.ref, golden["ref"]),
        "before": (event.before, golden.get("before")),
        "after": (event.after, golden["after"]),
        "commits": ([one.id for one in event.commits], [one["sha"] for one in theirs]),
    }
    for ours, their in zip(event.commits, theirs, strict=False):
        author = their["author"]
        pairs[f"commits.{ours.id}.message"] = ours.message, their["message"]
        pairs[f"commits.{ours.id}.author"] = (ours.author.name, ours.author.email), (author["name"], author["email"])
        pairs[f"commits.{ours.id}.url"] = ours.url, their["link"]
    return pairs


def change_fields(event, golden):
    change, action = golden["pullrequest"], golden["action"]
    return {
        "action": (event.action, ACTIONS.get(action, action)),
        "number": (event.number, change["number"]),
        "title": (event.title, change["title"]),
        "head_ref": (event.head_ref, change["ref"]),
        "source.branch": (event.source.branch, change["source"]),
        "source.sha": (event.source.sha, change["sha"]),
        "source.repository": (event.source.repository.path, change["fork"]),
        "from_fork": (event.from_fork, change["fork"] != event.repository.path),
        "target.branch": (event.target.branch, change["target"]),
        "author": (event.author, change["author"]["login"]),
        "draft": (event.draft, change.get("draft")),
        "url": (event.url, change["link"]),
        "merged": (event.action == "merged", change["merged"]),
    }


def comment_fields(event, golden):
    comment = golden["comment"]
    return {
        "action": (event.action, golden["action"]),
        "body": (event.body, comment["body"]),
        "author": (event.author, comment["author"].get("login")),
        "change": (event.change, golden["issue"]["number"]),
    }


def ci_fields(event, golden):
    status = golden["execution"]["status"]
    return {
        "sha": (event.sha, golden["commit"]["sha"]),
        "state": (event.state, CI_STATES.get(status, status)),
        "branch": (event.branches[0], golden["repo"]["branch"]),
        "url": (event.url, golden["execution"]["url"]),
    }


FIELDS = {
    api.Push: push_fields,
    api.Tag: push_fields,
    api.ChangeRequest: change_fields,
    api.Comment: comment_fields,
    api.CiStatus: ci_fields,
}


def test_go_scm_agrees_field_by_field():
    found = Differences(DIFFERENCES)
    for row in rows(provider=PROVIDER, kind="webhook"):
        golden = golden_of(row)
        if golden is not None:
            (event,) = read(row).events
            found.note(row, repository_fields(event, golden) | FIELDS[type(event)](event, golden))
    found.check()
    assert found.compared == 23


# -- recorded answers

HERE = api.Repository(host="bitbucket.org", path="acme/web")


def repository_of(repo):
    found = repo.hosted("bitbucket.org")
    return {
        "id": found.id,
        "path": found.repository.path,
        "branch": found.default_branch,
        "private": found.visibility == "private",
        "link": found.url,
    }


def repository_told(golden):
    return {
        "id": golden["id"],
        "path": f"{golden['namespace']}/{golden['name']}",
        "branch": golden["branch"],
        "private": golden["private"],
        "link": golden["link"],
    }


def ref_of(ref):
    return {"name": ref.name, "sha": ref.sha()}


def commit_of(commit):
    who = person(commit.author)
    return {
        "sha": answers.full(commit.hash),
        "message": commit.message,
        "name": who.name,
        "email": who.email,
        "login": account(commit.author.user),
        "link": page(commit.links),
    }


def commit_told(golden):
    author = golden["author"]
    return {
        **{key: golden[key] for key in ("sha", "message", "link")},
        **{key: author[key] for key in ("name", "email", "login")},
    }


def change_of(change):
    found = change.hosted(HERE, reviews=True)
    return {
        "number": found.number,
        "title": found.title,
        "body": found.body,
        "sha": found.source.sha,
        "source": found.source.branch,
        "target": found.target.branch,
        "base": found.target.sha,
        "fork": found.source.repository.path,
        "link": found.url,
        "merged": found.state == "merged",
        "closed": found.state != "open",
    }


def change_told(golden):
    keys = ("number", "title", "body", "sha", "source", "target", "fork", "link", "merged", "closed")
    return {key: golden.get(key) for key in keys} | {"base": golden["base"]["sha"]}


def hook_of(hook):
    found = hook.hook()
    return {
        "id": found.id,
        "target": found.url,
        "events": list(found.events),
        "active": found.active,
        "skipverify": not found.verifies_tls,
    }


def file_of(stat):
    found = stat.file()
    return {
        "path": found.path,
        "added": found.status == "added",
        "renamed": found.status == "renamed",
        "deleted": found.status == "removed",
    }


def permission_of(permission):
    role = permission.member().role
    return {"pull": role is not None, "push": role in {"write", "admin"}, "admin": role == "admin"}


def nothing(_):
    return {}


def named(*keys):
    return lambda golden: {key: golden.get(key) for key in keys}


REPOSITORY = answers.Repository, repository_of, repository_told
REF = answers.Ref, ref_of, named("name", "sha")
COMMIT = answers.Commit, commit_of, commit_told
CHANGE = answers.PullRequest, change_of, change_told
HOOK = answers.Webhook, hook_of, named("id", "target", "events", "active", "skipverify")
STAT = answers.DiffStat, file_of, named("path", "added", "renamed", "deleted")
PERMISSION = answers.Permission, permission_of, named("pull", "push", "admin")

# The file's name without its folder -> the shape of one item, and what of it is compared with go-scm.
SHAPES = {
    "repo": REPOSITORY,
    "repos": REPOSITORY,
    "repos-2": REPOSITORY,
    "repos_empty": REPOSITORY,
    "repos_filter": REPOSITORY,
    "branch": REF,
    "branch_create": REF,
    "branches": REF,
    "branches_filter": REF,
    "ref": REF,
    "tag": REF,
    "tags": REF,
    "commit": COMMIT,
    "commits": COMMIT,
    "pr": CHANGE,
    "prs": CHANGE,
    "pr_create": CHANGE,
    "pulls": CHANGE,
    "pull-approved": CHANGE,
    "pull-approved-by-author": CHANGE,
    "pull-approved-multiple": CHANGE,
    "pull-unapproved": CHANGE,
    "hook": HOOK,
    "hooks": HOOK,
    "diffstat": STAT,
    "pr_diffstat": STAT,
    "perms": PERMISSION,
    "workspace_repo_perms": PERMISSION,
    "workspace_repo_perms_read": PERMISSION,
    "workspace_repo_perms_write": PERMISSION,
    "user_repo_perm_admin": PERMISSION,
    "user_repo_perm_empty": PERMISSION,
    "user_repo_perm_read": PERMISSION,
    "user_repo_perm_write": PERMISSION,
    "repo-permision": (answers.Permission, lambda one: {"name": one.member().account}, named("name")),
    "repo_as_list": REPOSITORY,
    "content": (answers.Entry, nothing, nothing),
    "content_list": (answers.Entry, nothing, nothing),
    "user": (User, lambda user: {"login": account(user)}, named("login")),
    "user_workspaces": (answers.Membership, nothing, nothing),
}

# Answers to what is never asked: comments, statuses read back, teams, mail addresses; errors; and one request.
NOT_ASKED = {
    "comments",
    "content_fail",
    "error",
    "prcomment",
    "prcomments",
    "review",
    "status",
    "status_input",
    "statuses",
    "team",
    "teams",
    "userEmail",
    "workspace",
    "workspaces",
}

PULLS = "jenkins-x-go-scm/bitbucket_cloud/pulls.json"
PR_CREATE = "jenkins-x-go-scm/bitbucket_cloud/pr_create.json"
ANSWER_DIFFERENCES = {
    (file, f"{at}.{field}"): why
    for file, ats in ((PULLS, (0, 1)), (PR_CREATE, (0,)))
    for at in ats
    for field, why in (
        ("source", "jenkins-x says a commit where drone says the branch"),
        ("target", "jenkins-x says a commit where drone says the branch"),
        ("fork", "jenkins-x says whether, drone says which"),
    )
}


def test_recorded_answers_are_read_and_go_scm_agrees():
    found, count = Differences(ANSWER_DIFFERENCES), 0
    for row in rows(provider=PROVIDER, kind="api"):
        name = PurePosixPath(row["file"]).stem
        if name in NOT_ASKED:
            continue
        shape, ours, theirs = SHAPES[name]
        answer = json.loads(body_of(row))
        values = [ours(msgspec.convert(one, shape)) for one in answer.get("values", [answer])]
        count += 1
        golden = golden_of(row)
        if golden is None:
            continue
        told = golden if isinstance(golden, list) else [golden]
        for at, (value, their) in enumerate(zip(values, told, strict=False)):
            wanted = theirs(their)
            found.note(row, {f"{at}.{key}": (value[key], wanted[key]) for key in value})
    found.check()
    assert count > 50
    assert found.compared > 25


def test_reviews_of_a_recorded_pull_request():
    names = {}
    for row in rows(provider=PROVIDER, kind="api", source="atlantis"):
        if "/pull-" in row["file"]:
            change = msgspec.convert(json.loads(body_of(row)), answers.PullRequest).hosted(HERE, reviews=True)
            names[PurePosixPath(row["file"]).stem] = [(one.author, one.state) for one in change.reviews]
    assert {name: [state for _, state in reviews].count("approved") for name, reviews in names.items()} == {
        "pull-approved": 1,
        "pull-approved-by-author": 1,
        "pull-approved-multiple": 2,
        "pull-unapproved": 0,
    }


# -- signatures


def test_every_signature_vector_of_this_header():
    """Those of Data Center, which signs alike; GitHub's SHA-1 in the same header is a right sum and yet no seal."""
    valid = 0
    for vector in json.loads((corpus_path() / "vectors.json").read_text()):
        if vector["header"] != "X-Hub-Signature":
            continue
        body = vector["body"].encode() if vector["body"] else (corpus_path() / vector["body_file"]).read_bytes()
        delivery = api.Delivery(
            id="d",
            connection="c",
            received_at=NOW,
            headers=(("x-hub-signature", vector["signature"]),),
            body=body,
        )
        provider = Bitbucket.__new__(Bitbucket)
        provider._secrets = (api.Secret(vector["secret"]),)
        provider._accept_unsigned, provider._hook_uuids = False, frozenset()
        if vector["expect_valid"] and vector["algo"] == "sha256":
            provider.authenticate(delivery)
            valid += 1
        else:
            with pytest.raises(api.Unauthenticated):
                provider.authenticate(delivery)
    assert valid == 2


def test_no_form_of_url_does_more_than_a_value_error():
    named_ = {}
    for entry in json.loads((corpus_path() / "urls.json").read_text()):
        try:
            named_[entry.get("url")] = KIND.normalise(entry.get("url") or "")
        except ValueError as error:
            assert str(error)  # noqa: PT017 - both ways out are fine, and only these
    of_bitbucket = {url: name for url, name in named_.items() if "bitbucket.org" in url}
    assert len(of_bitbucket) > 1, of_bitbucket
    assert all("/" in name and name == name.lower() for name in named_.values())
