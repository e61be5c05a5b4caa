"""GitHub's API answers as others recorded them: all that we would ask for is read, and go-scm made the same of it.

Where we differ on purpose, `DIFFERENCES` says why; a row that no longer differs fails.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec
import pytest
from goldens import Differences, body_of, golden_of, rows

from headgate import api
from headgate_plugins.github import answers, hooks, trees
from headgate_plugins.github.app import Installation

pytestmark = pytest.mark.corpus
HERE = api.Repository(host="github.com", path="octocat/Hello-World")

DIFFERENCES = {
    ("drone-go-scm/github/repo.json", "0.private"): "the sample is public and private at once; we read the newer word",
    ("drone-go-scm/github/repos.json", "0.private"): "the sample is public and private at once; we read the newer word",
    ("drone-go-scm/github/pr.json", "0.merged"): "the sample is open and merged at once; an open one can be built",
    ("drone-go-scm/github/pulls.json", "0.merged"): "the sample is open and merged at once; an open one can be built",
}

UNREAD = {
    "no statuses are read, only set": r"status(es)?|combined_status|create-status",
    "no comments are read, they come by webhook": r".*comments?|reaction|reviews_list_comments|edit_issue_comment",
    "no deployments": r"deploy.*",
    "no milestones": r".*milestones?(_create)?",
    "no releases are read, they come by webhook": r"releases?|release-assets.*",
    "no organisations, teams and memberships": (
        r"orgs?|org_.*|teams?_?.*|membership.*|list_.*memberships|list_.*invitations|get-organization|user_perm"
    ),
    "no e-mail addresses": r"emails",
    "an error, which the client reads": r"error|errors",
    "a request, and no answer": r"pr_merge|repo_fork_input|close|reopen|request_reviewers|delete_reviewers.*|add_collaborator",
    "no search": r"issue_search.*|search-issues",
    "nothing of the kind is asked": (
        r"content_(create|update|delete)|create-file|get-archive|get-root|labels|add-labels.*|lock-issue|markdown|mark-.*"
        r"|project-cards|rename-repository|branch-protection.*|add-and-remove-.*|pr_update|reviews_(create|dismiss|submit|update)"
        r"|issue_(clear|set)_milestone"
    ),
    "GraphQL, which is not asked": r"ruleset-.*|repository-id",
}


class Zero(dict):
    """A Go struct as JSON: what is missing is its zero value."""

    def __missing__(self, key):
        return Zero()


def repository_pairs(ours, their):
    found = ours.value("github.com")
    pairs = {
        "path": (found.repository.path, f"{their['namespace']}/{their['name']}"),
        "default_branch": (found.default_branch, their["branch"]),
        "private": (found.visibility == "private", their["private"]),
        "archived": (found.archived, their["archived"]),
        "host": (found.repository.host, urlsplit(their["link"]).netloc),
        "url": (found.url, their["link"]),
    }
    return pairs | {"id": (found.id, their["id"])}


def ref_pairs(ours, their):
    found = ours.value()
    return {"name": (found.name, their["name"]), "sha": (found.sha, their["sha"])}


def object_pairs(ours, their):
    return {"sha": (ours.object.sha, their["sha"])}


def commit_pairs(ours, their):
    found = ours.value()
    return {
        "id": (found.id, their["sha"]),
        "message": (found.message, their["message"]),
        "name": (found.author.name, their["author"]["name"]),
        "email": (found.author.email, their["author"]["email"]),
        "url": (found.url, their["link"]),
    }


def file_pairs(ours, their):
    found = ours.value()
    return {
        "path": (found.path, their["path"]),
        "renamed": (found.status == "renamed", their["renamed"]),
        "deleted": (found.status == "removed", their["deleted"]),
        "added": (found.status == "added", their["added"]),
        "previous": (
            found.previous_path,
            their.get("prevfilepath") or their.get("previouspath") or found.previous_path,
        ),
    }


def change_pairs(ours, their):
    found = ours.value(HERE)
    pairs = {
        "number": (found.number, their["number"]),
        "title": (found.title, their["title"]),
        "body": (found.body, their["body"]),
        "sha": (found.source.sha, their["sha"]),
        "ref": (found.head_ref, their["ref"]),
        "source": (found.source.branch, their["source"]),
        "target": (found.target.branch, their["target"]),
        "merged": (found.state == "merged", their["merged"]),
        "author": (found.author, their["author"]["login"]),
        "draft": (found.draft, their["draft"]),
        "url": (found.url, their["link"]),
        "labels": (list(found.labels), [label["name"] for label in their.get("labels") or []]),
    }
    if their.get("fork"):
        pairs["fork"] = found.source.repository.path, their["fork"]
    return pairs | {"base": (found.target.sha, their["base"]["sha"])}


def issue_pairs(ours, their):
    found = ours.value()
    return {
        "number": (found.number, their["number"]),
        "title": (found.title, their["title"]),
        "closed": (found.state == "closed", their["closed"]),
        "author": (found.author, their["author"]["login"]),
        "labels": (list(found.labels), their.get("labels") or []),
    }


def review_pairs(ours, their):
    found = ours.value()
    state = {"approved": "approved", "changes_requested": "rejected", "commented": "commented"}.get(
        their["state"].lower()
    )
    return {
        "author": (found.author, their["author"]["login"]),
        "body": (found.body, their["body"]),
        "sha": (found.sha, their["sha"]),
        "state": (found.state, state),
    }


def hook_pairs(ours, their):
    found = ours.value()
    return {
        "id": (found.id, their["id"]),
        "url": (found.url, their["target"]),
        "events": (list(found.events), their["events"]),
        "active": (found.active, their["active"]),
        "unverified": (found.verifies_tls is False, their["skipverify"]),
    }


def content_pairs(ours, their):
    content = trees.decoded(ours.content) if ours.encoding == "base64" else b""
    return {
        "revision": (ours.sha, their.get("blobid") or their.get("sha")),
        "data": (content, base64.b64decode(their["data"] or "")),
    }


def nothing(_ours, _their):
    return {}


# a file's name -> what it is read as, and what is compared with go-scm's
READ = {
    r"repos?|reposWithNull|repos_filter|repo_create|get-repository": (answers.Repo, repository_pairs),
    r"github_app_repos": (answers.Repo, nothing),
    r"app_repo_install": (Installation, nothing),
    r"branch(es)?|branches_filter_empty": (answers.Branch, ref_pairs),
    r"tags": (answers.Tag, ref_pairs),
    r"tag|branch_create|ref|git-refs|branches_filter": (answers.Ref, object_pairs),
    r"commits?": (answers.Commit, commit_pairs),
    r"compare": (answers.Compared, nothing),
    r"changes": (answers.Compared, nothing),
    r"pr_files(_page2)?": (answers.ChangedFile, file_pairs),
    r"pr|pulls|pr_create|pull-request": (answers.Change, change_pairs),
    r"issues?|paginate-issues": (answers.Issue, issue_pairs),
    r"reviews_(list|find)": (answers.Review, review_pairs),
    r"hooks?": (hooks._Hook, hook_pairs),
    r"content(_large|_empty)?": (trees.Content, content_pairs),
    r"content_list|get-content": (trees.Content, nothing),
    r"user": (answers.Account, nothing),
}


def bodies(row):
    """The JSON answers of a file: itself, or those of an exchange that octokit recorded."""
    body = json.loads(body_of(row))
    if row["source"] != "octokit-fixtures":
        return [body]
    return [one["response"] for one in body if one["status"] in {200, 201} and isinstance(one["response"], dict | list)]


def each(body):
    if isinstance(body, dict):
        body = body.get("repositories", body.get("items", body))
    return [one for one in (body if isinstance(body, list) else [body]) if one is not None]


def stem_of(row):
    path = PurePosixPath(row["file"])
    return path.parent.name if path.stem == "normalized-fixture" else path.stem


def reader_of(row):
    if row["file"] == "drone-go-scm/github/tags.json":
        return answers.Ref, object_pairs  # it lists refs, which newer releases of it ask for
    return next((both for pattern, both in READ.items() if re.fullmatch(pattern, stem_of(row))), None)


def test_every_recorded_answer_is_read_or_has_its_reason():
    count, unknown, unread = 0, [], []
    differences = Differences(DIFFERENCES)
    for row in rows(provider="github", kind="api"):
        stem = stem_of(row)
        known = reader_of(row)
        if known is None or any(re.fullmatch(pattern, stem) for pattern in UNREAD.values()):
            if not any(re.fullmatch(pattern, stem) for pattern in UNREAD.values()):
                unknown.append(row["file"])
            continue
        shape, fields = known
        try:
            found = [msgspec.convert(one, shape) for body in bodies(row) for one in each(body)]
        except msgspec.ValidationError as error:
            unread.append(f"{row['file']}: {error}")
            continue
        count += len(found)
        golden = golden_of(row)
        if golden is None or fields is nothing:
            continue
        theirs = list(map(Zero, golden)) if isinstance(golden, list) else [Zero(golden)]
        differences.note(row, {"count": (len(found), len(theirs))})
        for at, (ours, their) in enumerate(zip(found, theirs, strict=False)):
            differences.note(row, {f"{at}.{field}": both for field, both in fields(ours, their).items()})
    assert not unknown
    assert not unread, "\n".join(unread)
    differences.check()
    assert differences.compared > 40
    assert count > 90


@pytest.mark.parametrize("pattern", [*READ, *UNREAD.values()])
def test_no_row_of_the_tables_is_left_over(pattern):
    assert [row for row in rows(provider="github", kind="api") if re.fullmatch(pattern, stem_of(row))]


def test_files_of_a_comparison_are_those_that_go_scm_found():
    (row,) = [row for row in rows(provider="github", kind="api") if row["file"] == "drone-go-scm/github/compare.json"]
    found = msgspec.convert(json.loads(body_of(row)), answers.Compared)
    differences = Differences({})
    for at, (ours, their) in enumerate(zip(found.files, golden_of(row), strict=True)):
        differences.note(row, {f"{at}.{field}": both for field, both in file_pairs(ours, their).items()})
    differences.check()
