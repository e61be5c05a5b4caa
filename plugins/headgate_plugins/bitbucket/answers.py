"""Bitbucket's answers as they are sent, and what they are for us; not which request they answer.

Source of all: https://developer.atlassian.com/cloud/bitbucket/rest/
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from headgate import api
from headgate.api.client import segment
from headgate_plugins.bitbucket.converters import NOBODY, account, page
from headgate_plugins.bitbucket.names import sha
from headgate_plugins.bitbucket.shapes import Author, Branch, Head, Links, Repo, User, Workspace


class Parent(msgspec.Struct):
    """What a repository was forked from; null for those that were not."""

    full_name: str | None = None


class Repository(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""

    full_name: str
    uuid: str | None = None
    description: str | None = None
    is_private: bool | None = None
    mainbranch: Branch | None = None
    parent: Parent | msgspec.UnsetType | None = msgspec.UNSET
    links: Links | None = None

    def hosted(self, host: str) -> api.HostedRepository:
        """Bitbucket knows no archived repositories, and so says nothing about that."""
        return api.HostedRepository(
            repository=api.Repository(host=host, path=self.full_name),
            id=self.uuid,
            default_branch=self.mainbranch.name if self.mainbranch else None,
            description=self.description or "",
            visibility=None if self.is_private is None else "private" if self.is_private else "public",
            fork=None if self.parent is msgspec.UNSET else self.parent is not None,
            url=page(self.links),
        )


class Ref(msgspec.Struct):
    """A branch or a tag; of an annotated tag `target` is the commit.

    https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/
    """

    name: str
    target: Head

    def sha(self) -> str:
        """The commit it leads to. Raises `ProviderError`."""
        return full(self.target.hash)


class Commit(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commits/"""

    hash: str
    message: str | None = None
    author: Author | None = None
    links: Links | None = None
    parents: list[Head] | None = None


class DiffSide(msgspec.Struct):
    """A file before or after; where there is none it is null, or its path is empty."""

    path: str = ""


class DiffStat(msgspec.Struct):
    """One path that differs. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commits/"""

    status: str | None = None
    old: DiffSide | None = None
    new: DiffSide | None = None

    def file(self) -> api.ChangedFile:
        """Conflicts, of which a listing of a pull request may tell, are files that both sides changed."""
        new, old = (side.path if side else "" for side in (self.new, self.old))
        if not new and not old:
            raise api.ProviderError("a difference names no file")
        status = STATUSES.get(self.status or "", "modified")
        moved = status == "renamed" and old != new
        return api.ChangedFile(path=new or old, status=status, previous_path=(old or None) if moved else None)

    def paths(self) -> set[str]:
        """Both names of a renamed file."""
        return {side.path for side in (self.old, self.new) if side is not None and side.path}


STATUSES: dict[str, api.ChangedFileStatus] = {
    "added": "added",
    "removed": "removed",
    "modified": "modified",
    "renamed": "renamed",
}


class Side(msgspec.Struct):
    """Source or destination of a pull request."""

    branch: Branch
    commit: Head | None = None
    repository: Repo | None = None


class Participant(msgspec.Struct):
    """Somebody who takes part in a pull request, and what they think. `state` is null for those who only watch."""

    user: User | None = None
    state: str | None = None
    approved: bool = False
    role: str | None = None

    def review(self) -> api.Review | None:
        """`None` for who has not said anything and was not asked."""
        if self.state == "changes_requested":
            state: api.ReviewState = "rejected"
        elif self.approved or self.state == "approved":
            state = "approved"
        elif self.role == "REVIEWER":
            state = "pending"
        else:
            return None
        return api.Review(author=account(self.user) or NOBODY, state=state)


CHANGE_STATES: dict[str, api.ChangeState] = {
    "OPEN": "open",
    "DRAFT": "open",
    "QUEUED": "open",
    "MERGED": "merged",
    "DECLINED": "closed",
    "SUPERSEDED": "closed",
}


class PullRequest(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/"""

    id: int
    title: str
    state: str
    source: Side
    destination: Side
    author: User | None = None
    description: str | None = None
    draft: bool = False
    participants: list[Participant] | None = None
    merge_commit: Head | None = None
    links: Links | None = None

    def hosted(self, repository: api.Repository, *, reviews: bool) -> api.HostedChange:
        """Its commits are abbreviated as they come; `revision` is the head a merge may be guarded with."""
        state = CHANGE_STATES.get(self.state)
        if state is None:
            raise api.ProviderError(f"pull request {self.id} has the unknown state {self.state[:40]!r}")
        if self.source.commit is None:
            raise api.ProviderError(f"pull request {self.id} names no commit")
        head = short(self.source.commit.hash)
        fork = self.source.repository.full_name if self.source.repository else None
        return api.HostedChange(
            repository=repository,
            number=self.id,
            title=self.title,
            state=state,
            source=api.ChangeSource(
                repository=api.Repository(host=repository.host, path=fork) if fork else None,
                branch=self.source.branch.name,
                sha=head,
            ),
            target=api.ChangeTarget(
                branch=self.destination.branch.name,
                sha=short(self.destination.commit.hash) if self.destination.commit else None,
            ),
            author=account(self.author) or NOBODY,
            body=self.description or "",
            draft=self.draft,
            reviews=self._reviews() if reviews else None,
            merge_sha=short(self.merge_commit.hash) if self.merge_commit else None,
            revision=head,
            url=page(self.links),
        )

    def _reviews(self) -> tuple[api.Review, ...]:
        told = (one.review() for one in self.participants or ())
        return tuple(review for review in told if review is not None)


ROLES: dict[str, api.Role] = {"read": "read", "write": "write", "admin": "admin"}


class Permission(msgspec.Struct):
    """What a user may do in a repository.

    https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/
    """

    permission: str
    user: User | None = None

    def member(self) -> api.Member:
        """Somebody of the workspace."""
        name = (self.user.display_name if self.user else None) or ""
        return api.Member(account=account(self.user) or NOBODY, role=ROLES.get(self.permission), name=name)


class Component(msgspec.Struct):
    """A part of the product that an issue is about."""

    name: str


OPEN_ISSUES = ("submitted", "new", "open", "on hold")
"""https://support.atlassian.com/bitbucket-cloud/docs/understand-bitbucket-issues/; the other states are ends."""


class Issue(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-issue-tracker/"""

    id: int
    title: str
    state: str | None = None
    kind: str | None = None
    component: Component | None = None
    reporter: User | None = None
    links: Links | None = None

    def hosted(self) -> api.Issue:
        """Its kind and its component are what other hosts have as labels."""
        labels = (self.kind, self.component.name if self.component else None)
        return api.Issue(
            number=self.id,
            title=self.title,
            state="open" if self.state in OPEN_ISSUES else "closed",
            author=account(self.reporter) or NOBODY,
            labels=tuple(label for label in labels if label),
            url=page(self.links),
        )


class Membership(msgspec.Struct):
    """A workspace that the credential sees."""

    workspace: Workspace


class Named(msgspec.Struct):
    """A state, a stage or a result, all of which are objects with a name."""

    name: str


class RunState(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/"""

    name: str
    result: Named | None = None

    def ci(self) -> api.CiState:
        """In our words."""
        return RESULTS.get(self.result.name, "unknown") if self.result else STATES.get(self.name, "unknown")


STATES: dict[str, api.CiState] = {
    "PENDING": "queued",
    "READY": "queued",
    "PARSING": "queued",
    "IN_PROGRESS": "running",
    "RUNNING": "running",
}
RESULTS: dict[str, api.CiState] = {
    "SUCCESSFUL": "succeeded",
    "FAILED": "failed",
    "ERROR": "failed",
    "STOPPED": "cancelled",
    "EXPIRED": "cancelled",
    "NOT_RUN": "skipped",
}


class Target(msgspec.Struct):
    """What a pipeline runs on: a branch or a tag, a commit alone, or a pull request, which names its `source`."""

    ref_type: str | None = None
    ref_name: str | None = None
    source: str | None = None
    commit: Head | None = None

    def branch(self) -> str | None:
        """Its name, if it is one."""
        return self.source or (self.ref_name if self.ref_type in {"branch", "named_branch"} else None)


class Pipeline(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/"""

    uuid: str
    build_number: int
    state: RunState
    target: Target | None = None
    created_on: datetime | None = None

    def run(self, home: str) -> api.CiRun:
        """`home`: where its repository is shown."""
        target = self.target or Target()
        return api.CiRun(
            id=self.uuid,
            name=f"Pipeline #{self.build_number}",
            state=self.state.ci(),
            sha=full(target.commit.hash) if target.commit else None,
            branch=target.branch(),
            started_at=_utc(self.created_on),
            url=f"{home}/pipelines/results/{self.build_number}",
        )


class Step(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/"""

    uuid: str
    name: str | None = None
    state: RunState | None = None

    def job(self, home: str, run: str) -> api.CiJob:
        """`home`: where its repository is shown; `run`: the pipeline."""
        return api.CiJob(
            id=self.uuid,
            name=self.name or "step",
            state=self.state.ci() if self.state else "unknown",
            url=f"{home}/pipelines/results/{segment(run)}/steps/{segment(self.uuid)}",
        )


class Entry(msgspec.Struct):
    """A file or a folder at a commit. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/"""

    type: str
    attributes: list[str] | None = None


class Webhook(msgspec.Struct):
    """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""

    uuid: str
    url: str
    events: list[str] = []
    active: bool = True
    secret_set: bool | None = None
    skip_cert_verification: bool | None = None

    def hook(self) -> api.Hook:
        """Bitbucket does not say whether it gave one up."""
        skips = self.skip_cert_verification
        return api.Hook(
            id=self.uuid,
            url=self.url,
            events=tuple(self.events),
            active=self.active,
            has_secret=self.secret_set,
            verifies_tls=None if skips is None else not skips,
        )


def full(text: str) -> str:
    """A full commit id of an answer. Raises `ProviderError`."""
    try:
        return api.full_sha(text)
    except ValueError as error:
        raise api.ProviderError(f"an answer of Bitbucket cannot be meant: {error}") from None


def short(text: str) -> str:
    """A commit id of an answer, maybe abbreviated. Raises `ProviderError`."""
    try:
        return sha(text)
    except ValueError as error:
        raise api.ProviderError(f"an answer of Bitbucket cannot be meant: {error}") from None


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
