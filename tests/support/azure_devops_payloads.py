"""Service hook payloads written after Azure DevOps' documentation, with values of our own; not recorded ones."""

from __future__ import annotations

import copy
import json

from headgate import api
from headgate.api.testing import NOW

OLD, NEW, OTHER, ZERO = "a1" * 20, "b2" * 20, "c3" * 20, "0" * 40
EVENT_ID = "5d0c7a3e-1111-4222-8333-444455556666"

ADA = {"id": "9a0b7c1d-0000-4000-8000-000000000001", "displayName": "Ada Byron", "uniqueName": "ada@acme.example"}
BOB = {"id": "9a0b7c1d-0000-4000-8000-000000000002", "displayName": "Bob", "uniqueName": "bob@acme.example"}

REPOSITORY = {
    "id": "77aa0000-0000-4000-8000-000000000001",
    "name": "Web Shop",
    "project": {"id": "66aa0000-0000-4000-8000-000000000001", "name": "Shop Floor", "visibility": "private"},
    "defaultBranch": "refs/heads/main",
    "remoteUrl": "https://acme@dev.azure.com/acme/Shop%20Floor/_git/Web%20Shop",
    "webUrl": "https://dev.azure.com/acme/Shop%20Floor/_git/Web%20Shop",
}
PATH = "Shop Floor/Web Shop"
PAGE = REPOSITORY["webUrl"]


def envelope(event, resource, text="", version="1.0", **changes):
    return {
        "subscriptionId": "11110000-0000-4000-8000-000000000001",
        "notificationId": 12,
        "id": EVENT_ID,
        "eventType": event,
        "publisherId": "tfs",
        "message": {"text": text},
        "resource": resource,
        "resourceVersion": version,
        "createdDate": "2026-01-05T11:59:58.12Z",
    } | changes


def moved(name="refs/heads/main", before=OLD, after=NEW):
    return {"name": name, "oldObjectId": before, "newObjectId": after}


def commit(sha=NEW, comment="Fix the till"):
    author = {"name": "Ada Byron", "email": "ada@acme.example", "date": "2026-01-05T11:00:00Z"}
    return {"commitId": sha, "author": author, "committer": author, "comment": comment, "url": f"{PAGE}/commit/{sha}"}


def push(*updates, commits=None, **changes):
    resource = {
        "commits": [commit()] if commits is None else commits,
        "refUpdates": list(updates) or [moved()],
        "repository": REPOSITORY,
        "pushedBy": ADA,
        "pushId": 14,
        "url": "https://dev.azure.com/acme/_apis/git/repositories/77aa/pushes/14",
    }
    return envelope("git.push", resource | changes, "Ada Byron pushed updates")


def pull_request(**changes):
    return {
        "repository": REPOSITORY,
        "pullRequestId": 7,
        "status": "active",
        "createdBy": ADA,
        "title": "A faster till",
        "sourceRefName": "refs/heads/topic/till",
        "targetRefName": "refs/heads/main",
        "mergeStatus": "succeeded",
        "isDraft": False,
        "lastMergeSourceCommit": {"commitId": NEW},
        "lastMergeTargetCommit": {"commitId": OLD},
        "lastMergeCommit": {"commitId": OTHER},
        "reviewers": [BOB | {"vote": 0}],
        "url": "https://dev.azure.com/acme/_apis/git/repositories/77aa/pullRequests/7",
    } | changes


def updated(text, **changes):
    return envelope("git.pullrequest.updated", pull_request(**changes), text)


def comment(**changes):
    remark = {
        "id": 3,
        "parentCommentId": 0,
        "author": BOB,
        "content": "/retest",
        "publishedDate": "2026-01-05T11:00:00Z",
        "lastUpdatedDate": "2026-01-05T11:00:00Z",
        "lastContentUpdatedDate": "2026-01-05T11:00:00Z",
        "commentType": "text",
    } | changes
    resource = {"comment": remark, "pullRequest": pull_request()}
    return envelope("ms.vss-code.git-pullrequest-comment-event", resource, "Bob commented", "2.0")


def build(**changes):
    resource = {
        "id": 41,
        "buildNumber": "20260105.1",
        "status": "completed",
        "result": "succeeded",
        "sourceBranch": "refs/heads/main",
        "sourceVersion": NEW,
        "definition": {"id": 5, "name": "web-ci"},
        "project": REPOSITORY["project"],
        "repository": {"id": REPOSITORY["id"], "type": "TfsGit", "name": "Web Shop", "url": PAGE},
        "requestedFor": ADA,
        "_links": {"web": {"href": "https://dev.azure.com/acme/Shop%20Floor/_build/results?buildId=41"}},
    }
    return envelope("build.complete", resource | changes, "Build 20260105.1 succeeded", "2.0")


def body(payload):
    return json.dumps(payload).encode()


def delivery(payload, headers=()):
    return api.Delivery(
        id="d",
        connection="c",
        received_at=NOW,
        headers=(("content-type", "application/json"), *headers),
        body=payload if isinstance(payload, bytes) else body(payload),
    )


def without(payload, *keys):
    """A copy without what `keys` lead to."""
    result = copy.deepcopy(payload)
    inner = result
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return result
