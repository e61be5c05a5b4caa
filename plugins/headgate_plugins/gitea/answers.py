"""What the API of Gitea, Forgejo and Gogs answers, only the fields we use, and how it becomes ours; nothing is asked.

Source: https://docs.gitea.com/api/ and https://codeberg.org/api/swagger
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from headgate import api
from headgate_plugins.gitea.converters import is_draft_title

NEVER = frozenset({1, 1970})
"""Years of moments that never were: Go's zero, and that of Unix."""


class User(msgspec.Struct):
    """A person or an organisation."""

    id: int | None = None
    login: str | None = None
    username: str | None = None
    full_name: str | None = None

    @property
    def account(self) -> str:
        """What it is called; a deleted one is a ghost."""
        return self.login or self.username or "ghost"


class Repo(msgspec.Struct):
    """A repository."""

    full_name: str
    html_url: str
    id: int | None = None
    description: str | None = None
    default_branch: str | None = None
    private: bool | None = None
    internal: bool | None = None
    archived: bool | None = None
    fork: bool | None = None
    owner: User | None = None

    def repository(self) -> api.Repository:
        """Its name as webhooks have it."""
        return api.Repository(host=_host_of(self.html_url), path=self.full_name)

    def visibility(self) -> api.Visibility | None:
        """A public repository of an owner whom only people with an account see is internal."""
        if self.private is None:
            return None
        return "private" if self.private else "internal" if self.internal else "public"

    def hosted(self) -> api.HostedRepository:
        """As ours."""
        return api.HostedRepository(
            repository=self.repository(),
            id=None if self.id is None else str(self.id),
            default_branch=self.default_branch or None,
            description=self.description or "",
            visibility=self.visibility(),
            archived=self.archived,
            fork=self.fork,
            url=self.html_url,
        )


def fits(repo: api.HostedRepository, query: api.RepositoryQuery) -> bool:
    """Whether a repository is one of those that are looked for."""
    owner, _, name = repo.repository.path.partition("/")
    return (
        (query.owner is None or query.owner.lower() == owner.lower())
        and (query.search is None or query.search.lower() in name.lower())
        and (query.visibility is None or query.visibility == repo.visibility)
        and (query.archived is None or query.archived == bool(repo.archived))
    )


class PersonOfCommit(msgspec.Struct):
    """Who wrote a commit, as it says."""

    name: str | None = None
    email: str | None = None


class BranchCommit(msgspec.Struct):
    """The head of a branch."""

    id: str


class Branch(msgspec.Struct):
    """A branch."""

    name: str
    commit: BranchCommit
    protected: bool | None = None

    def branch(self) -> api.Branch:
        """As ours."""
        return api.Branch(name=self.name, sha=sha_of(self.commit.id), protected=self.protected)


class TagCommit(msgspec.Struct):
    """The commit that a tag leads to."""

    sha: str


class Tag(msgspec.Struct):
    """A tag."""

    name: str
    commit: TagCommit

    def tag(self) -> api.HostedTag:
        """As ours."""
        return api.HostedTag(name=self.name, sha=sha_of(self.commit.sha))


class GitObject(msgspec.Struct):
    """What a ref or an annotated tag points to: a `commit` or a `tag`."""

    sha: str
    type: str


class Reference(msgspec.Struct):
    """A ref."""

    ref: str
    object: GitObject


class AnnotatedTag(msgspec.Struct):
    """A tag that is an object of its own."""

    object: GitObject


class CommitBody(msgspec.Struct):
    """What stands in a commit."""

    message: str | None = None
    author: PersonOfCommit | None = None


class CommitFile(msgspec.Struct):
    """A path that a commit changed: `added`, `modified` or `removed`; older servers say only the path."""

    filename: str
    status: str | None = None


class Commit(msgspec.Struct):
    """A commit. `author` is the account behind the address, if there is one."""

    sha: str
    commit: CommitBody | None = None
    author: User | None = None
    html_url: str | None = None
    files: list[CommitFile] | None = None

    def written(self) -> api.Commit:
        """As ours."""
        body = self.commit or CommitBody()
        author = body.author or PersonOfCommit()
        return api.Commit(
            id=sha_of(self.sha),
            message=body.message or "",
            author=api.Person(name=author.name or "", email=author.email or ""),
            url=self.html_url or None,
        )


class Compared(msgspec.Struct):
    """The commits in one and not in the other, the newest first. Forgejo also lists the files that differ."""

    total_commits: int
    commits: list[Commit] | None = None
    files: list[CommitFile] | None = None

    def comparison(self) -> api.Comparison:
        """As ours; the files are what all the commits did together."""
        commits = self.commits or []
        complete = self.total_commits == len(commits) and not any(commit.files is None for commit in commits)
        listed = self.files if self.files is not None else [file for one in commits[::-1] for file in one.files or ()]
        return api.Comparison(
            commits=tuple(commit.written() for commit in commits),
            files=_together(listed),
            complete=complete,
        )

    def paths(self) -> set[str] | None:
        """Every path that one of the commits touched; `None` when not all are told."""
        commits = self.commits or []
        if self.total_commits != len(commits):
            return None
        paths: set[str] = set()
        for commit in commits:
            if commit.files is None:
                return None
            paths |= {file.filename for file in commit.files}
        return paths


def _together(files: Iterable[CommitFile]) -> tuple[api.ChangedFile, ...]:
    """What changes one after the other come to; what was added and removed again is none."""
    found: dict[str, api.ChangedFileStatus | None] = {}
    for file in files:
        status = _FILE_STATUSES.get(file.status or "", "modified")
        if file.filename in found:
            new = found[file.filename] in {"added", None}
            status = (None if new else "removed") if status == "removed" else ("added" if new else "modified")
        found[file.filename] = status
    return tuple(api.ChangedFile(path=path, status=status) for path, status in sorted(found.items()) if status)


_FILE_STATUSES: Mapping[str, api.ChangedFileStatus | None] = {
    "added": "added",
    "removed": "removed",
    "deleted": "removed",
    "renamed": "renamed",
    "copied": "copied",
}


class ChangedFile(msgspec.Struct):
    """A file of a pull request: `added`, `changed`, `deleted`, `renamed`, `copied`, `unchanged` (its mode)."""

    filename: str
    status: str | None = None
    previous_filename: str | None = None

    def changed(self) -> api.ChangedFile:
        """As ours."""
        status = _FILE_STATUSES.get(self.status or "") or "modified"
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


class Permission(msgspec.Struct):
    """What a person or a team may do: `read`, `write`, `admin`, `owner` or `none`."""

    permission: str | None = None

    def role(self) -> api.Role | None:
        """As ours."""
        return ROLES.get(self.permission or "")


ROLES: Mapping[str, api.Role] = {"read": "read", "write": "write", "admin": "admin", "owner": "admin"}


class Team(Permission):
    """A team of an organisation, with its right to the repository."""

    id: int = 0


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


class Run(msgspec.Struct):
    """A run or a job of Actions: first what Gitea says, then what Forgejo says in other words."""

    id: int
    name: str | None = None
    status: str | None = None
    html_url: str | None = None
    path: str | None = None
    display_title: str | None = None
    head_sha: str | None = None
    head_branch: str | None = None
    conclusion: str | None = None
    started_at: datetime | None = None
    workflow_id: str | None = None
    title: str | None = None
    commit_sha: str | None = None
    prettyref: str | None = None
    started: datetime | None = None

    def run(self) -> api.CiRun:
        """As ours."""
        name = self.name or self.workflow_id or (self.path or "").partition("@")[0] or self.display_title
        return api.CiRun(
            id=str(self.id),
            name=name or "workflow",
            state=self._state(),
            sha=sha_or_none(self.head_sha or self.commit_sha),
            branch=self.head_branch or self.prettyref or None,
            started_at=_moment(self.started_at or self.started),
            url=self.html_url or None,
        )

    def job(self) -> api.CiJob:
        """As ours."""
        return api.CiJob(id=str(self.id), name=self.name or "job", state=self._state(), url=self.html_url or None)

    def _state(self) -> api.CiState:
        """Gitea says how one ended beside its status, Forgejo in it."""
        return RUN_STATES.get(self.conclusion or self.status or "", "unknown")


RUN_STATES: Mapping[str, api.CiState] = {
    "queued": "queued",
    "requested": "queued",
    "waiting": "queued",
    "pending": "queued",
    "blocked": "queued",
    "in_progress": "running",
    "running": "running",
    "success": "succeeded",
    "failure": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
}


def _moment(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None or moment.year in NEVER:
        return None
    return moment.astimezone(UTC)


class Content(msgspec.Struct):
    """A file of a repository; `content` is left out of one that is too large."""

    type: str
    sha: str
    encoding: str | None = None
    content: str | None = None


class CommitMade(msgspec.Struct):
    """The commit that a change of files made."""

    commit: TagCommit


class Hook(msgspec.Struct):
    """A webhook. Servers tell no secret."""

    id: int
    type: str
    config: dict[str, str] = {}
    events: list[str] | None = None
    active: bool = False

    def hook(self) -> api.Hook:
        """As ours."""
        return api.Hook(
            id=str(self.id), url=self.config.get("url", ""), events=tuple(self.events or ()), active=self.active
        )


def sha_of(text: str) -> str:
    """A full commit id, or `ProviderError`."""
    try:
        return api.full_sha(text)
    except ValueError:
        raise api.ProviderError("the answer has something else where a full commit id was expected") from None


def sha_or_none(text: str | None) -> str | None:
    """As `sha_of`; nothing and an empty string are `None`."""
    return sha_of(text) if text else None


def _host_of(url: str) -> str:
    try:
        return api.host_of(url)
    except ValueError:
        raise api.ProviderError("the answer has something else where an address was expected") from None
