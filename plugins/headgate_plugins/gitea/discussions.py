"""What the API answers about pull requests, their reviews and files, and issues, and how it becomes ours; nothing is asked.

Source: https://docs.gitea.com/api/ and https://codeberg.org/api/swagger
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from headgate import api
from headgate_plugins.gitea.answers import FILE_STATUSES, Repo, User, sha_of, sha_or_none
from headgate_plugins.gitea.pull_requests import is_draft_title


class ChangedFile(msgspec.Struct):
    """A file of a pull request: `added`, `changed`, `deleted`, `renamed`, `copied`, `unchanged` (its mode)."""

    filename: str
    status: str | None = None
    previous_filename: str | None = None

    def changed(self) -> api.ChangedFile:
        """As ours."""
        status = FILE_STATUSES.get(self.status or "") or "modified"
        previous = self.previous_filename or None
        return api.ChangedFile(
            path=self.filename, status=status, previous_path=previous if status in {"renamed", "copied"} else None
        )


class Label(msgspec.Struct):
    """A label of an issue or a pull request."""

    name: str


class Side(msgspec.Struct):
    """Head or base of a pull request; `repo` is null when the fork was deleted."""

    ref: str
    sha: str
    repo: Repo | None = None
    repo_id: int | None = None


class PullRequest(msgspec.Struct):
    """A pull request."""

    number: int
    title: str
    state: Literal["open", "closed"]
    head: Side
    base: Side
    user: User | None = None
    body: str | None = None
    draft: bool | None = None
    merged: bool | None = None
    labels: list[Label] | None = None
    mergeable: bool | None = None
    merge_commit_sha: str | None = None
    html_url: str | None = None

    def change(self, repository: api.Repository, reviews: tuple[api.Review, ...] | None = None) -> api.HostedChange:
        """As ours."""
        sha = sha_of(self.head.sha)
        source = self.head.repo.repository() if self.head.repo else None
        if source is None and self.head.repo_id is not None and self.head.repo_id == self.base.repo_id:
            source = repository
        return api.HostedChange(
            repository=repository,
            number=self.number,
            title=self.title,
            state="merged" if self.merged else self.state,
            source=api.ChangeSource(repository=source, branch=self.head.ref, sha=sha),
            target=api.ChangeTarget(branch=self.base.ref, sha=sha_or_none(self.base.sha)),
            author=(self.user or User()).account,
            body=self.body or "",
            draft=self.draft if self.draft is not None else is_draft_title(self.title),
            labels=tuple(label.name for label in self.labels or ()),
            reviews=reviews,
            mergeable=self.mergeable if self.state == "open" else None,
            merge_sha=sha_or_none(self.merge_commit_sha) if self.merged else None,
            head_ref=f"refs/pull/{self.number}/head",
            revision=sha,
            url=self.html_url or None,
        )

    def target(self) -> api.Repository | None:
        """The repository it is in, where it says it."""
        return self.base.repo.repository() if self.base.repo else None


class Review(msgspec.Struct):
    """A review, and also the wish for one: `REQUEST_REVIEW`, which has no verdict yet."""

    state: str
    user: User | None = None
    body: str | None = None
    commit_id: str | None = None
    dismissed: bool | None = None

    def review(self) -> api.Review | None:
        """As ours; `None` for a wish."""
        state = REVIEW_STATES.get(self.state)
        if state is None:
            return None
        return api.Review(
            author=(self.user or User()).account,
            state="dismissed" if self.dismissed else state,
            sha=sha_or_none(self.commit_id),
            body=self.body or "",
        )


REVIEW_STATES: Mapping[str, api.ReviewState] = {
    "APPROVED": "approved",
    "REQUEST_CHANGES": "rejected",
    "COMMENT": "commented",
    "PENDING": "pending",
}


class Issue(msgspec.Struct):
    """An issue, or a pull request where `pull_request` is not null."""

    number: int
    title: str
    state: Literal["open", "closed"]
    user: User | None = None
    labels: list[Label] | None = None
    html_url: str | None = None
    pull_request: dict[str, object] | None = None

    def issue(self) -> api.Issue:
        """As ours."""
        return api.Issue(
            number=self.number,
            title=self.title,
            state=self.state,
            author=(self.user or User()).account,
            labels=tuple(label.name for label in self.labels or ()),
            url=self.html_url or None,
        )
