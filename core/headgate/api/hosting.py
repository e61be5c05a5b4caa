"""What a Git host tells about repositories when it is asked; not what it sends by itself, which are events.

Every value is frozen, keyword-only and survives JSON. Shas are full lower-case hex, times aware UTC, names of branches
and tags short. A field that the host does not tell is `None`, never a guess.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from headgate.api.events import ChangeSource, ChangeTarget, Commit, Repository

Visibility: TypeAlias = Literal["public", "internal", "private"]


class HostedRepository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as its host describes it. `id` is the host's own, which stays when the repository is renamed."""

    repository: Repository
    id: str | None = None
    default_branch: str | None = None
    description: str = ""
    visibility: Visibility | None = None
    archived: bool | None = None
    fork: bool | None = None
    url: str | None = None


class RepositoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which repositories to discover; what is `None` does not narrow. `search` is in a name, letter case aside.

    `owner` is a user, organisation, group with its subgroups, workspace or project, whatever the host calls what
    stands before the name; `project` narrows within it where the host has one more level.
    """

    owner: str | None = None
    project: str | None = None
    search: str | None = None
    visibility: Visibility | None = None
    archived: bool | None = None


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A branch and its head."""

    name: str
    sha: str
    protected: bool | None = None


class HostedTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag and the commit it leads to."""

    name: str
    sha: str


ChangedFileStatus: TypeAlias = Literal["added", "modified", "removed", "renamed", "copied"]


class ChangedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One path that differs. `previous_path`: of a renamed or copied one."""

    path: str
    status: ChangedFileStatus
    previous_path: str | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What head has and base has not. `complete` is false when the host cut commits or files short."""

    commits: tuple[Commit, ...]
    files: tuple[ChangedFile, ...]
    complete: bool


ReviewState: TypeAlias = Literal["approved", "rejected", "commented", "dismissed", "pending"]


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody thinks of a change request. `vote` is the number where the host counts votes (Gerrit, Azure)."""

    author: str
    state: ReviewState
    sha: str | None = None
    body: str = ""
    label: str | None = None
    vote: int | None = None


ChangeState: TypeAlias = Literal["open", "merged", "closed"]


class HostedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change request as it stands. `reviews` are `None` in a listing, which does not ask for them.

    `head_ref` is the ref of the target repository that leads to the head (`refs/pull/7/head`), `revision` what a
    merge or an edit may be guarded with (a sha, an ETag or a version, as the host has it).
    """

    repository: Repository
    number: int
    title: str
    state: ChangeState
    source: ChangeSource
    target: ChangeTarget
    author: str
    body: str = ""
    draft: bool = False
    labels: tuple[str, ...] = ()
    reviews: tuple[Review, ...] | None = None
    mergeable: bool | None = None
    merge_sha: str | None = None
    head_ref: str | None = None
    revision: str | None = None
    url: str | None = None


Role: TypeAlias = Literal["read", "write", "admin"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Who may do what in a repository, by its host's account name."""

    account: str
    role: Role | None = None
    name: str = ""


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote commits. `account` is `None` where the host knows a name or address only."""

    account: str | None = None
    name: str = ""
    email: str = ""
    commits: int | None = None


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue or work item."""

    number: int
    title: str
    state: Literal["open", "closed"]
    author: str
    labels: tuple[str, ...] = ()
    url: str | None = None


CiState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled", "skipped", "unknown"]


class CiRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the host's own CI: a workflow run, a pipeline, an Azure build. `id` is the host's."""

    id: str
    name: str
    state: CiState
    sha: str | None = None
    branch: str | None = None
    started_at: datetime | None = None
    url: str | None = None


class CiJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job, stage or step of a run."""

    id: str
    name: str
    state: CiState
    url: str | None = None
