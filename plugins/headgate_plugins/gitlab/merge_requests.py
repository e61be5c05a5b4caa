"""From the shape of a merge request to our events; one webhook can say several things at once.

https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate import api
from headgate_plugins.gitlab import shapes
from headgate_plugins.gitlab.names import normalise
from headgate_plugins.gitlab.people import account, who
from headgate_plugins.gitlab.projects import repository_of

# `update` is told apart below. One approval is `approval`, the one that makes them enough `approved`.
ACTIONS: dict[str, api.ChangeAction] = {
    "open": "opened",
    "reopen": "reopened",
    "close": "closed",
    "merge": "merged",
    "approved": "approved",
    "approval": "approved",
}

WITHDRAWN = frozenset({"unapproved", "unapproval"})
"""An approval was taken back, by its author or because somebody pushed. That is no rejection: a reviewer who wants
changes says so, and that arrives as an `update` of the reviewers."""

_DRAFT = re.compile(r"\s*(?:\[draft\]|\(draft\)|draft:|\[wip\]|wip:)\s*", re.IGNORECASE)
"""https://docs.gitlab.com/user/project/merge_requests/drafts/; `WIP` is what older servers say."""


def merge_request(payload: shapes.MergeRequestPayload) -> api.Reading:
    """What happened to a merge request. Without an `action` nothing did, as with the "Test" button."""
    change = payload.object_attributes
    action = change.action or ""
    if action in WITHDRAWN:
        by = "a push" if change.system else "its author"
        return api.Ignored(reason=f"an approval was withdrawn by {by} (`{action}`), which is no rejection")
    if action == "update":
        actions = tuple(_updates(change, payload.changes or shapes.Changes()))
    else:
        actions = (ACTIONS[action],) if action in ACTIONS else ()
    if action == "update" and not actions:
        return api.Ignored(reason="the update of a merge request changes nothing a job looks at")
    if not actions:
        why = f"the action `{action[:80]}` is not known" if action else "nothing happened to it: a test, most likely"
        return api.Ignored(reason=f"a merge request: {why}")
    if change.last_commit is None:
        return api.Ignored(reason="the merge request has no commit yet")
    head = api.full_sha(change.last_commit.id)
    return api.Parsed(events=tuple(_event(payload, one, head) for one in actions))


def _updates(change: shapes.MergeRequest, changes: shapes.Changes) -> Iterator[api.ChangeAction]:
    """What an update says, the code first. `oldrev` is there only when the head moved."""
    if api.full_sha_or_none(change.oldrev):
        yield "updated"
    title, before = changes.title, (changes.title.previous or "") if changes.title else ""
    now = (title.current or "") if title else ""
    if changes.draft is not None and changes.draft.current is not None:
        yield "draft" if changes.draft.current else "ready"
    elif title and bool(_DRAFT.match(before)) != bool(_DRAFT.match(now)):
        yield "draft" if _DRAFT.match(now) else "ready"
    if changes.description or changes.target_branch or _DRAFT.sub("", before, 1) != _DRAFT.sub("", now, 1):
        yield "edited"
    if changes.labels:
        were = {label.title for label in changes.labels.previous or ()}
        are = {label.title for label in changes.labels.current or ()}
        if are - were:
            yield "labelled"
        if were - are:
            yield "unlabelled"
    if changes.reviewers and _against(changes.reviewers.current) - _against(changes.reviewers.previous):
        yield "rejected"


def _against(reviewers: list[shapes.Reviewer] | None) -> set[str]:
    return {one.username or "" for one in reviewers or () if one.state == "requested_changes"}


def _event(payload: shapes.MergeRequestPayload, action: api.ChangeAction, head: str) -> api.ChangeRequest:
    change = payload.object_attributes
    repository = repository_of(payload.project)
    source = repository_of(change.source) if change.source else None
    from_fork = _from_fork(change, source, repository)
    labels = change.labels if change.labels is not None else payload.labels
    return api.ChangeRequest(
        repository=repository,
        number=change.iid,
        action=action,
        title=change.title,
        source=api.ChangeSource(
            repository=repository if source is None and not from_fork else source,
            branch=change.source_branch,
            sha=head,
        ),
        target=api.ChangeTarget(branch=change.target_branch),
        author=who(
            change.author_id,
            payload.user,
            did_it=action == "opened",
            others=(*(payload.assignees or ()), *(payload.reviewers or ())),
        ),
        actor=account(payload.user),
        url=change.url,
        from_fork=from_fork,
        draft=change.draft if change.draft is not None else bool(change.work_in_progress),
        labels=tuple(label.title for label in labels or ()),
        head_ref=f"refs/merge-requests/{change.iid}/head",
    )


def _from_fork(change: shapes.MergeRequest, source: api.Repository | None, target: api.Repository) -> bool:
    """By the projects' numbers, which renaming leaves alone. A project that is gone was a fork."""
    if change.source_project_id is not None and change.target_project_id is not None:
        return change.source_project_id != change.target_project_id
    return source is None or normalise(source.path) != normalise(target.path)
