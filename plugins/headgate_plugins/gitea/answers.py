"""What the API of Gitea, Forgejo and Gogs answers, only the fields we use, and how it becomes ours; nothing is asked.

Source: https://docs.gitea.com/api/ and https://codeberg.org/api/swagger
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from headgate import api


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
        status = FILE_STATUSES.get(file.status or "", "modified")
        if file.filename in found:
            new = found[file.filename] in {"added", None}
            status = (None if new else "removed") if status == "removed" else ("added" if new else "modified")
        found[file.filename] = status
    return tuple(api.ChangedFile(path=path, status=status) for path, status in sorted(found.items()) if status)


FILE_STATUSES: Mapping[str, api.ChangedFileStatus | None] = {
    "added": "added",
    "removed": "removed",
    "deleted": "removed",
    "renamed": "renamed",
    "copied": "copied",
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
