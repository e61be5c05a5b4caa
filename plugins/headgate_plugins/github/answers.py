"""GitHub's API answers, only the fields we use, and how they become values of ours; not how they are asked for.

Source of all: https://docs.github.com/en/rest. Whatever not every server sends is optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from headgate import api

Sha = Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Account(msgspec.Struct):
    """Who; deleted accounts are null, and shown as `ghost`."""

    login: str


class Repo(msgspec.Struct):
    """https://docs.github.com/en/rest/repos/repos#get-a-repository"""

    full_name: str
    id: int | None = None
    html_url: str | None = None
    default_branch: str | None = None
    description: str | None = None
    private: bool | None = None
    visibility: str | None = None
    archived: bool | None = None
    fork: bool | None = None

    def value(self, host: str) -> api.HostedRepository:
        """`host`: of the connection, for answers without links."""
        return api.HostedRepository(
            repository=self.repository(host),
            id=None if self.id is None else str(self.id),
            default_branch=self.default_branch,
            description=self.description or "",
            visibility=self._visibility(),
            archived=self.archived,
            fork=self.fork,
            url=self.html_url,
        )

    def repository(self, host: str) -> api.Repository:
        """As events name it."""
        return api.Repository(host=_host_of(self.html_url, host), path=self.full_name)

    def _visibility(self) -> api.Visibility | None:
        if self.visibility in {"public", "internal", "private"}:
            return self.visibility  # type: ignore[return-value]  # one of the three
        return None if self.private is None else "private" if self.private else "public"


class Target(msgspec.Struct):
    """What a branch, a tag or a ref points to."""

    sha: Sha
    type: str = "commit"


class Branch(msgspec.Struct):
    """https://docs.github.com/en/rest/branches/branches#list-branches"""

    name: str
    commit: Target
    protected: bool | None = None

    def value(self) -> api.Branch:
        """With its head."""
        return api.Branch(name=self.name, sha=self.commit.sha, protected=self.protected)


class Tag(msgspec.Struct):
    """https://docs.github.com/en/rest/repos/repos#list-repository-tags; the commit is peeled already."""

    name: str
    commit: Target

    def value(self) -> api.HostedTag:
        """With its commit."""
        return api.HostedTag(name=self.name, sha=self.commit.sha)


class Ref(msgspec.Struct):
    """A ref or an annotated tag. https://docs.github.com/en/rest/git/refs#get-a-reference"""

    object: Target


class Signature(msgspec.Struct):
    """Who wrote a commit, as the commit says it."""

    name: str | None = None
    email: str | None = None


class CommitText(msgspec.Struct):
    """The commit itself; around it is what GitHub knows of it."""

    message: str = ""
    author: Signature | None = None


class Commit(msgspec.Struct):
    """https://docs.github.com/en/rest/commits/commits#list-commits"""

    sha: Sha
    commit: CommitText
    html_url: str | None = None

    def value(self) -> api.Commit:
        """Without paths."""
        author = self.commit.author or Signature()
        return api.Commit(
            id=self.sha,
            message=self.commit.message,
            author=api.Person(name=author.name or "", email=author.email or ""),
            url=self.html_url,
        )


# https://docs.github.com/en/rest/commits/commits#compare-two-commits: `changed` is a file's mode or type.
FILE_STATUSES: Mapping[str, api.ChangedFileStatus] = {
    "added": "added",
    "modified": "modified",
    "changed": "modified",
    "removed": "removed",
    "renamed": "renamed",
    "copied": "copied",
}


class ChangedFile(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files"""

    filename: str
    status: str = "modified"
    previous_filename: str | None = None

    def value(self) -> api.ChangedFile:
        """A status that nobody knows yet is a change all the same."""
        status = FILE_STATUSES.get(self.status, "modified")
        previous = self.previous_filename if status in {"renamed", "copied"} else None
        return api.ChangedFile(path=self.filename, status=status, previous_path=previous)


def changed_paths(files: Sequence[api.ChangedFile]) -> tuple[str, ...]:
    """All paths that are not as they were, sorted: of a renamed file both."""
    moved = (file.previous_path for file in files if file.status == "renamed" and file.previous_path)
    return tuple(sorted({*(file.path for file in files), *moved}))


class Compared(msgspec.Struct):
    """https://docs.github.com/en/rest/commits/commits#compare-two-commits"""

    commits: list[Commit] = []
    total_commits: int = 0
    files: list[ChangedFile] | None = None
    merge_base_commit: Target | None = None


class Label(msgspec.Struct):
    """https://docs.github.com/en/rest/issues/labels"""

    name: str


class Side(msgspec.Struct):
    """Head or base; `repo` is null when the fork was deleted."""

    ref: str
    sha: Sha
    repo: Repo | None = None


class Review(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/reviews#list-reviews-for-a-pull-request"""

    state: str
    user: Account | None = None
    body: str | None = None
    commit_id: str | None = None

    def value(self) -> api.Review:
        """A state that nobody knows yet is read as words alone."""
        return api.Review(
            author=_login(self.user),
            state=REVIEW_STATES.get(self.state.upper(), "commented"),
            sha=self.commit_id or None,
            body=self.body or "",
        )


REVIEW_STATES: Mapping[str, api.ReviewState] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "rejected",
    "COMMENTED": "commented",
    "DISMISSED": "dismissed",
    "PENDING": "pending",
}


class Change(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request; a listing lacks `mergeable` and `merged`."""

    number: int
    title: str
    state: str
    head: Side
    base: Side
    user: Account | None = None
    body: str | None = None
    draft: bool | None = None
    labels: list[Label] | None = None
    merged: bool | None = None
    merged_at: str | None = None
    merge_commit_sha: str | None = None
    mergeable: bool | None = None
    html_url: str | None = None

    def how(self) -> api.ChangeState:
        """GitHub calls both ends `closed`."""
        if self.state == "open":
            return "open"
        return "merged" if self.merged or self.merged_at else "closed"

    def value(self, repository: api.Repository, *, reviews: tuple[api.Review, ...] | None = None) -> api.HostedChange:
        """`repository`: the one that was asked, for answers that do not name it."""
        ours = self.base.repo.repository(repository.host) if self.base.repo else repository
        source = self.head.repo.repository(repository.host) if self.head.repo else None
        state = self.how()
        return api.HostedChange(
            repository=ours,
            number=self.number,
            title=self.title,
            state=state,
            source=api.ChangeSource(repository=source, branch=self.head.ref, sha=self.head.sha),
            target=api.ChangeTarget(branch=self.base.ref, sha=self.base.sha),
            author=_login(self.user),
            body=self.body or "",
            draft=bool(self.draft),
            labels=tuple(label.name for label in self.labels or ()),
            reviews=reviews,
            mergeable=self.mergeable,
            # Of an open one it is the commit of a trial, not of a merge.
            merge_sha=(self.merge_commit_sha or None) if state == "merged" else None,
            head_ref=f"refs/pull/{self.number}/head",
            revision=self.head.sha,
            url=self.html_url,
        )


class Merged(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request"""

    sha: Sha | None = None
    merged: bool = False
    message: str = ""


class Collaborator(msgspec.Struct):
    """https://docs.github.com/en/rest/collaborators/collaborators#list-repository-collaborators"""

    login: str
    permissions: dict[str, bool] | None = None

    def value(self) -> api.Member:
        """GitHub's five rights are three here: triage reads, maintain writes."""
        has = {name for name, given in (self.permissions or {}).items() if given}
        role: api.Role | None = None
        if has:
            role = "admin" if "admin" in has else "write" if has & {"push", "maintain"} else "read"
        return api.Member(account=self.login, role=role)


class Contributor(msgspec.Struct):
    """https://docs.github.com/en/rest/repos/repos#list-repository-contributors; `Anonymous` has no account."""

    login: str | None = None
    name: str | None = None
    email: str | None = None
    contributions: int | None = None

    def value(self) -> api.Contributor:
        """By account, or by name and address."""
        return api.Contributor(
            account=self.login, name=self.name or "", email=self.email or "", commits=self.contributions
        )


class Issue(msgspec.Struct):
    """https://docs.github.com/en/rest/issues/issues#list-repository-issues; one with `pull_request` is none."""

    number: int
    title: str
    state: str
    user: Account | None = None
    labels: list[Label | str] | None = None
    html_url: str | None = None
    pull_request: dict[str, object] | None = None

    def value(self) -> api.Issue:
        """Labels of old servers are plain names."""
        return api.Issue(
            number=self.number,
            title=self.title,
            state="open" if self.state == "open" else "closed",
            author=_login(self.user),
            labels=tuple(label if isinstance(label, str) else label.name for label in self.labels or ()),
            url=self.html_url,
        )


# https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
CI_STATES: Mapping[str, api.CiState] = {
    "queued": "queued",
    "requested": "queued",
    "waiting": "queued",
    "pending": "queued",
    "in_progress": "running",
    "success": "succeeded",
    "neutral": "succeeded",
    "failure": "failed",
    "timed_out": "failed",
    "startup_failure": "failed",
    "action_required": "failed",
    "cancelled": "cancelled",
    "stale": "cancelled",
    "skipped": "skipped",
}


def _ci_state(status: str | None, conclusion: str | None) -> api.CiState:
    return CI_STATES.get(conclusion or status or "", "unknown")


class WorkflowRun(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run"""

    id: int
    name: str | None = None
    display_title: str | None = None
    status: str | None = None
    conclusion: str | None = None
    head_sha: Sha | None = None
    head_branch: str | None = None
    run_started_at: Moment | None = None
    html_url: str | None = None

    def value(self) -> api.CiRun:
        """Named for its workflow."""
        return api.CiRun(
            id=str(self.id),
            name=self.name or self.display_title or "",
            state=_ci_state(self.status, self.conclusion),
            sha=self.head_sha,
            branch=self.head_branch,
            started_at=self.run_started_at,
            url=self.html_url,
        )


class WorkflowJob(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run"""

    id: int
    name: str
    status: str | None = None
    conclusion: str | None = None
    html_url: str | None = None

    def value(self) -> api.CiJob:
        """One job."""
        state = _ci_state(self.status, self.conclusion)
        return api.CiJob(id=str(self.id), name=self.name, state=state, url=self.html_url)


def _login(user: Account | None) -> str:
    return user.login if user else "ghost"


def _host_of(url: str | None, otherwise: str) -> str:
    try:
        return api.host_of(url) if url else otherwise
    except ValueError:
        return otherwise
