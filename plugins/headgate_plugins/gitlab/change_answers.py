"""GitLab's answers about merge requests, only the fields we use, and the values they become; not how they are asked.

Source of all: https://docs.gitlab.com/api/merge_requests/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from headgate import api
from headgate_plugins.gitlab import answers


class References(msgspec.Struct):
    """`full` is `group/name!7`."""

    full: str | None = None


class MergeRequest(msgspec.Struct):
    """https://docs.gitlab.com/api/merge_requests/"""

    iid: int
    title: str
    state: str
    source_branch: str
    target_branch: str
    author: answers.User | None = None
    sha: str | None = None
    source_project_id: int | None = None
    target_project_id: int | None = None
    description: str | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None
    labels: list[str] = []
    detailed_merge_status: str | None = None
    merge_status: str | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    references: References | None = None
    web_url: str | None = None


CHANGE_STATES: Mapping[str, api.ChangeState] = {
    "opened": "open",
    "locked": "open",  # while it is being merged
    "closed": "closed",
    "merged": "merged",
}
ASKED_STATES: Mapping[str | None, str] = {"open": "opened", "closed": "closed", "merged": "merged", None: "all"}

UNDECIDED = frozenset({"unchecked", "checking", "preparing", "approvals_syncing", "cannot_be_merged_recheck"})
"""https://docs.gitlab.com/api/merge_requests/#merge-status"""


def is_from_fork(change: MergeRequest) -> bool:
    """A project that is gone was a fork: a branch of the project itself cannot lose its project."""
    return change.source_project_id != change.target_project_id


def hosted_change(
    change: MergeRequest,
    target: api.Repository,
    source: api.Repository | None,
    reviews: tuple[api.Review, ...] | None = None,
) -> api.HostedChange:
    """`target` as it was asked for: the answer's own spelling of it wins."""
    full = (change.references.full if change.references else None) or ""
    path = full.partition("!")[0] or target.path
    repository = api.Repository(host=target.host, path=path)
    return api.HostedChange(
        repository=repository,
        number=change.iid,
        title=change.title,
        state=_state(change.state),
        source=api.ChangeSource(
            repository=source if is_from_fork(change) else repository,
            branch=change.source_branch,
            sha=answers.sha(change.sha),
        ),
        target=api.ChangeTarget(branch=change.target_branch),
        author=change.author.username if change.author else "ghost",
        body=change.description or "",
        draft=change.draft if change.draft is not None else bool(change.work_in_progress),
        labels=tuple(change.labels),
        reviews=reviews,
        mergeable=_mergeable(change),
        merge_sha=merge_sha(change),
        head_ref=f"refs/merge-requests/{change.iid}/head",
        revision=answers.sha(change.sha),
        url=change.web_url,
    )


def merge_sha(change: MergeRequest) -> str | None:
    """Of one that is merged: the merge commit, else the squashed one, else (fast-forward) the head itself."""
    if change.state != "merged":
        return None
    return api.full_sha_or_none(change.merge_commit_sha or change.squash_commit_sha or change.sha)


def _mergeable(change: MergeRequest) -> bool | None:
    status = change.detailed_merge_status or change.merge_status
    return None if status is None or status in UNDECIDED else status in {"mergeable", "can_be_merged"}


class Approver(msgspec.Struct):
    """One who approved."""

    user: answers.User


class Approvals(msgspec.Struct):
    """https://docs.gitlab.com/api/merge_request_approvals/#single-merge-request-approval-state"""

    approved_by: list[Approver] = []


class Reviewer(msgspec.Struct):
    """https://docs.gitlab.com/api/merge_requests/#retrieve-merge-request-reviewers"""

    user: answers.User
    state: str = ""


REVIEW_STATES: Mapping[str, api.ReviewState] = {
    "unreviewed": "pending",
    "review_started": "pending",
    "reviewed": "commented",
    "requested_changes": "rejected",
    "approved": "approved",
    "unapproved": "dismissed",
}


def reviews_of(approvals: Approvals, reviewers: Iterable[Reviewer]) -> tuple[api.Review, ...]:
    """Who approved, and what those think who were asked and did not."""
    states: dict[str, api.ReviewState] = {
        one.user.username: REVIEW_STATES[one.state] for one in reviewers if one.state in REVIEW_STATES
    }
    states |= {one.user.username: "approved" for one in approvals.approved_by}
    return tuple(api.Review(author=name, state=state) for name, state in states.items())


def _state(word: str) -> api.ChangeState:
    if word not in CHANGE_STATES:
        raise api.ProviderError(f"GitLab says `{word[:80]}`, an unknown state of a merge request")
    return CHANGE_STATES[word]
