"""Azure DevOps' answers as they are sent, only the fields we use, and how they become values of `headgate.api`.

Not what is asked for. Pull requests, repositories and people are as in payloads (`shapes.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from headgate import api
from headgate_plugins.azure_devops import shapes, spelling


def sha(text: str) -> str:
    """A full commit id; `ProviderError` for anything else."""
    try:
        return api.full_sha(text)
    except ValueError as error:
        raise api.ProviderError(f"the answer of Azure DevOps cannot be meant: {error}") from None


def sha_or_none(commit: shapes.CommitRef | None) -> str | None:
    """As `sha`, where nothing and git's all-zero id are none."""
    text = commit.commit_id if commit is not None else None
    return sha(text) if text and text.strip("0") else None


class Project(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/core/projects/list"""

    id: str | None = None
    name: str | None = None
    visibility: str | None = None


class Repo(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/repositories/get-repository"""

    id: str
    name: str
    project: Project
    default_branch: str | None = None
    is_disabled: bool | None = None
    is_fork: bool | None = None
    web_url: str | None = None
    remote_url: str | None = None


VISIBILITIES: Mapping[str, api.Visibility] = {"private": "private", "public": "public", "organization": "internal"}


def hosted_repository(repo: Repo, *, host: str) -> api.HostedRepository:
    """A repository's visibility is its project's; one that is switched off counts as archived."""
    spelled = shapes.Repo(
        name=repo.name, project=shapes.Project(name=repo.project.name), web_url=repo.web_url, remote_url=repo.remote_url
    )
    return api.HostedRepository(
        repository=_repository(spelled, host),
        id=repo.id,
        default_branch=spelling.branch(repo.default_branch),
        visibility=VISIBILITIES.get(repo.project.visibility or ""),
        archived=bool(repo.is_disabled),
        fork=bool(repo.is_fork),  # left out where it is none
        url=spelling.page(spelled),
    )


class Ref(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/list; `peeled_object_id` of annotated tags."""

    name: str
    object_id: str
    peeled_object_id: str | None = None

    def sha(self) -> str:
        """The commit it leads to."""
        return sha(self.peeled_object_id or self.object_id)


class Commit(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/commits/get-commits; long comments are cut."""

    commit_id: str
    comment: str | None = None
    author: shapes.Author | None = None
    remote_url: str | None = None
    url: str | None = None

    def value(self) -> api.Commit:
        """Without its paths, which listings do not have."""
        author = self.author or shapes.Author()
        return api.Commit(
            id=sha(self.commit_id),
            message=self.comment or "",
            author=api.Person(name=author.name or "", email=author.email or ""),
            url=self.remote_url or self.url,
        )


class Pushed(msgspec.Struct):
    """When a commit came."""

    date: datetime | None = None


class OneCommit(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/commits/get"""

    push: Pushed | None = None


class Item(msgspec.Struct, rename="camel"):
    """A file, a folder or a submodule. https://learn.microsoft.com/en-us/rest/api/azure/devops/git/items/get"""

    path: str | None = None
    object_id: str | None = None
    git_object_type: str | None = None
    is_folder: bool | None = None


class ItemChange(msgspec.Struct, rename="camel"):
    """One entry of a comparison or of an iteration; `change_type` may be several: `edit, rename`."""

    item: Item
    change_type: str = ""
    source_server_item: str | None = None
    original_path: str | None = None


def changed_file(change: ItemChange) -> api.ChangedFile | None:
    """`None` for folders, which change with what is in them."""
    if change.item.is_folder or change.item.git_object_type == "tree":
        return None
    kinds = {kind.strip() for kind in change.change_type.lower().split(",")}
    before = change.source_server_item or change.original_path
    path = change.item.path or before
    if not path:
        raise api.ProviderError("the answer of Azure DevOps names a change without its path")
    status: api.ChangedFileStatus = "modified"
    if "delete" in kinds:
        status = "removed"
    elif "rename" in kinds:
        status = "renamed"
    elif kinds & {"add", "branch", "undelete"}:
        status = "added"
    previous = before.lstrip("/") if before and status == "renamed" else None
    return api.ChangedFile(path=path.lstrip("/"), status=status, previous_path=previous)


def changed_files(changes: Iterable[ItemChange]) -> tuple[api.ChangedFile, ...]:
    """Those that are files; the path that a rename left behind is told beside the new one, not for itself."""
    found = [one for one in map(changed_file, changes) if one is not None]
    left = {one.previous_path for one in found if one.previous_path is not None}
    return tuple(one for one in found if not (one.status == "removed" and one.path in left))


class Differences(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/diffs/get"""

    changes: list[ItemChange] = []
    all_changes_included: bool = False
    ahead_count: int | None = None


class Change(shapes.PullRequest, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/get-pull-request"""

    description: str | None = None
    merge_status: str | None = None
    last_merge_commit: shapes.CommitRef | None = None


CHANGE_STATES: Mapping[str, api.ChangeState] = {"active": "open", "completed": "merged", "abandoned": "closed"}
MERGEABLE: Mapping[str, bool] = {"succeeded": True, "conflicts": False, "failure": False, "rejectedByPolicy": False}


def hosted_change(change: Change, *, host: str, reviews: bool) -> api.HostedChange:
    """`reviews`: whether the answer is about this one alone. Raises `ProviderError` for what is not all there."""
    source_branch, target_branch = spelling.branch(change.source_ref_name), spelling.branch(change.target_ref_name)
    state, head = CHANGE_STATES.get(change.status), change.last_merge_source_commit
    revision = sha_or_none(head)
    number, repo = change.pull_request_id, change.repository
    if (
        number is None
        or repo is None
        or state is None
        or revision is None
        or source_branch is None
        or target_branch is None
    ):
        raise api.ProviderError(f"Azure DevOps does not say all of pull request {number}: it may have no head yet")
    repository = _repository(repo, host)
    fork = change.fork_source
    source = repository if fork is None else _repository(fork.repository, host) if fork.repository else None
    return api.HostedChange(
        repository=repository,
        number=number,
        title=change.title,
        state=state,
        source=api.ChangeSource(repository=source, branch=source_branch, sha=revision),
        target=api.ChangeTarget(branch=target_branch, sha=sha_or_none(change.last_merge_target_commit)),
        author=spelling.account(change.created_by) or "",
        body=change.description or "",
        draft=bool(change.is_draft),
        labels=spelling.labels(change),
        reviews=tuple(map(review, change.reviewers or ())) if reviews else None,
        mergeable=MERGEABLE.get(change.merge_status or "") if state == "open" else None,
        merge_sha=sha_or_none(change.last_merge_commit) if state == "merged" else None,
        head_ref=None,
        revision=revision,
        url=spelling.change_page(change),
    )


def review(reviewer: shapes.Reviewer) -> api.Review:
    """A vote. https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-reviewers"""
    vote = reviewer.vote or 0
    state: api.ReviewState = "approved" if vote > 0 else "rejected" if vote < 0 else "pending"
    return api.Review(author=spelling.account(reviewer) or "", state=state, vote=vote)


class Iteration(msgspec.Struct):
    """One push to a pull request, counting from 1."""

    id: int


class Iterations(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-iterations/list"""

    value: list[Iteration]


class EntriesPage(msgspec.Struct, rename="camel"):
    """How a listing of changes goes on; 0 where it does not.

    https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-iteration-changes/get
    """

    next_skip: int | None = None
    next_top: int | None = None


class TeamMember(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/core/teams/get-team-members-with-extended-properties"""

    identity: shapes.Identity


class Team(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/core/teams/get-teams"""

    id: str


class Build(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/build/builds/list"""

    id: int
    build_number: str | None = None
    status: str | None = None
    result: str | None = None
    source_branch: str | None = None
    source_version: str | None = None
    start_time: datetime | None = None
    definition: shapes.Definition | None = None
    trigger_info: dict[str, str] | None = None
    links: shapes.Links | None = msgspec.field(default=None, name="_links")

    def head(self) -> str | None:
        """What it built: of a pull request its head, not the merge that was tried."""
        return (self.trigger_info or {}).get("pr.sourceSha") or self.source_version

    def value(self) -> api.CiRun:
        """As our own."""
        try:
            built = api.full_sha_or_none(self.head())
        except ValueError:
            built = None  # a changeset, a label
        info = (self.trigger_info or {}).get("pr.sourceBranch")
        return api.CiRun(
            id=str(self.id),
            name=(self.definition.name if self.definition else None) or self.build_number or str(self.id),
            state=ci_state(self.status, self.result),
            sha=built,
            branch=spelling.branch(self.source_branch) or spelling.branch(info),
            started_at=self.start_time,
            url=spelling.web_link(self.links),
        )


class Record(msgspec.Struct, rename="camel"):
    """A stage, phase, job or task. https://learn.microsoft.com/en-us/rest/api/azure/devops/build/timeline/get"""

    id: str
    type: str = ""
    name: str = ""
    state: str | None = None
    result: str | None = None
    order: int | None = None


class Timeline(msgspec.Struct):
    """All of a build, in no order."""

    records: list[Record] | None = None


def ci_state(status: str | None, result: str | None) -> api.CiState:
    """Builds and records of a timeline have words of their own for the same."""
    if status in {"notStarted", "postponed", "pending"}:
        return "queued"
    if status in {"inProgress", "cancelling"}:
        return "running"
    return CI_RESULTS.get(result or "", "unknown") if status == "completed" else "unknown"


CI_RESULTS: Mapping[str, api.CiState] = {
    "succeeded": "succeeded",
    "partiallySucceeded": "succeeded",
    "succeededWithIssues": "succeeded",
    "failed": "failed",
    "canceled": "cancelled",
    "abandoned": "cancelled",
    "skipped": "skipped",
}


class RefResult(msgspec.Struct, rename="camel"):
    """What became of one ref, with status 200 either way.

    https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/update-refs#gitrefupdatestatus
    """

    success: bool = False
    update_status: str = ""
    custom_message: str | None = None


class RefResults(msgspec.Struct):
    """One for each that was asked for."""

    value: list[RefResult]


class PushResult(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pushes/create"""

    ref_updates: list[shapes.RefUpdate]


class _Property(msgspec.Struct):
    value: str | None = msgspec.field(default=None, name="$value")


class _Properties(msgspec.Struct):
    account: _Property | None = msgspec.field(default=None, name="Account")


class User(msgspec.Struct, rename="camel"):
    """Who asks."""

    id: str | None = None
    provider_display_name: str | None = None
    properties: _Properties | None = None


class ConnectionData(msgspec.Struct, rename="camel"):
    """What an organisation says to whoever opens it, its sign-in included."""

    authenticated_user: User

    def user(self) -> str | None:
        """Its account, `None` for nobody in particular."""
        user = self.authenticated_user
        if user.id == ANONYMOUS:
            return None
        said = user.properties.account.value if user.properties and user.properties.account else None
        return said or user.provider_display_name


ANONYMOUS = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
"""The identity of whoever did not sign in."""


def _repository(repo: shapes.Repo, host: str) -> api.Repository:
    try:
        return spelling.repository(repo, fallback=host)
    except ValueError as error:
        raise api.ProviderError(f"the answer of Azure DevOps cannot be meant: {error}") from None
