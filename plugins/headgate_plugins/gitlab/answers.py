"""GitLab's answers as its API gives them, only the fields we use, and the values they become; not how they are asked.

Source of all: https://docs.gitlab.com/api/api_resources/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Literal

import msgspec

from headgate import api


class Forked(msgspec.Struct):
    """From which project another was forked."""

    id: int | None = None


class Project(msgspec.Struct):
    """https://docs.gitlab.com/api/projects/; what a stranger sees of one leaves out most."""

    id: int
    path_with_namespace: str
    name: str = ""
    default_branch: str | None = None
    description: str | None = None
    visibility: api.Visibility | None = None
    archived: bool | None = None
    forked_from_project: Forked | None = None
    web_url: str | None = None
    merge_method: str | None = None


def hosted_repository(project: Project, host: str) -> api.HostedRepository:
    """`fork` is told only to who may see from where."""
    return api.HostedRepository(
        repository=api.Repository(host=host, path=project.path_with_namespace),
        id=str(project.id),
        default_branch=project.default_branch,
        description=project.description or "",
        visibility=project.visibility,
        archived=project.archived,
        fork=project.forked_from_project is not None,
        url=project.web_url,
    )


class Commit(msgspec.Struct):
    """https://docs.gitlab.com/api/commits/"""

    id: str
    message: str | None = None
    author_name: str | None = None
    author_email: str | None = None
    web_url: str | None = None


def commit_of(commit: Commit) -> api.Commit:
    """Without its paths, which GitLab gives for one commit at a time."""
    return api.Commit(
        id=sha(commit.id),
        message=commit.message or "",
        author=api.Person(name=commit.author_name or "", email=commit.author_email or ""),
        url=commit.web_url,
    )


class Branch(msgspec.Struct):
    """https://docs.gitlab.com/api/branches/"""

    name: str
    commit: Commit
    protected: bool | None = None


class Tag(msgspec.Struct):
    """https://docs.gitlab.com/api/tags/; `target` is an annotated tag's own id, `commit` where it leads."""

    name: str
    commit: Commit


class Diff(msgspec.Struct):
    """One path that differs. https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits"""

    old_path: str
    new_path: str
    new_file: bool = False
    renamed_file: bool = False
    deleted_file: bool = False


def changed_file(diff: Diff) -> api.ChangedFile:
    """GitLab knows no copies."""
    if diff.renamed_file:
        return api.ChangedFile(path=diff.new_path, status="renamed", previous_path=diff.old_path)
    status: api.ChangedFileStatus = "added" if diff.new_file else "removed" if diff.deleted_file else "modified"
    return api.ChangedFile(path=diff.new_path, status=status)


def paths_of(diffs: Iterable[Diff]) -> tuple[str, ...]:
    """All of them, sorted; of a rename both."""
    return tuple(sorted({path for diff in diffs for path in (diff.old_path, diff.new_path)}))


class Compared(msgspec.Struct):
    """`compare_timeout`: there are more diffs than are listed."""

    commits: list[Commit]
    diffs: list[Diff] | None = None
    compare_timeout: bool = False


class User(msgspec.Struct):
    """https://docs.gitlab.com/api/users/"""

    username: str


class Member(msgspec.Struct):
    """https://docs.gitlab.com/api/project_members/"""

    username: str
    access_level: int
    name: str = ""
    state: str = "active"


_WRITE, _ADMIN = 30, 40
"""Developer and Maintainer. https://docs.gitlab.com/api/access_requests/#valid-access-levels"""


def member_of(member: Member) -> api.Member:
    """A developer may write, a maintainer and an owner may do all, others read."""
    level = member.access_level
    role: api.Role = "admin" if level >= _ADMIN else "write" if level >= _WRITE else "read"
    return api.Member(account=member.username, role=role, name=member.name)


class Contributor(msgspec.Struct):
    """https://docs.gitlab.com/api/repositories/#retrieve-repository-contributors; without an account."""

    name: str = ""
    email: str = ""
    commits: int | None = None


class Issue(msgspec.Struct):
    """https://docs.gitlab.com/api/issues/"""

    iid: int
    title: str
    state: Literal["opened", "closed", "locked"]
    author: User | None = None
    labels: list[str] = []
    web_url: str | None = None


def issue_of(issue: Issue) -> api.Issue:
    """Deleted accounts are `ghost` at GitLab, too."""
    return api.Issue(
        number=issue.iid,
        title=issue.title,
        state="closed" if issue.state == "closed" else "open",
        author=issue.author.username if issue.author else "ghost",
        labels=tuple(issue.labels),
        url=issue.web_url,
    )


class Pipeline(msgspec.Struct):
    """https://docs.gitlab.com/api/pipelines/"""

    id: int
    status: str
    sha: str | None = None
    ref: str | None = None
    name: str | None = None
    source: str | None = None
    started_at: datetime | None = None
    web_url: str | None = None


class Job(msgspec.Struct):
    """https://docs.gitlab.com/api/jobs/"""

    id: int
    name: str
    status: str
    web_url: str | None = None


CI_STATES: Mapping[str, api.CiState] = {
    "created": "queued",
    "waiting_for_resource": "queued",
    "waiting_for_callback": "queued",
    "preparing": "queued",
    "pending": "queued",
    "scheduled": "queued",
    "manual": "queued",
    "running": "running",
    "canceling": "running",
    "success": "succeeded",
    "failed": "failed",
    "canceled": "cancelled",
    "skipped": "skipped",
}


def ci_run(pipeline: Pipeline) -> api.CiRun:
    """`branch` is the pipeline's ref, which a listing does not tell from a tag."""
    return api.CiRun(
        id=str(pipeline.id),
        name=pipeline.name or pipeline.source or "pipeline",
        state=CI_STATES.get(pipeline.status, "unknown"),
        sha=api.full_sha_or_none(pipeline.sha),
        branch=None if not pipeline.ref or pipeline.ref.startswith("refs/") else pipeline.ref,
        started_at=pipeline.started_at.astimezone(UTC) if pipeline.started_at else None,
        url=pipeline.web_url,
    )


def ci_job(job: Job) -> api.CiJob:
    """One of the latest attempt of each."""
    return api.CiJob(id=str(job.id), name=job.name, state=CI_STATES.get(job.status, "unknown"), url=job.web_url)


class File(msgspec.Struct):
    """https://docs.gitlab.com/api/repository_files/; `last_commit_id` changed it last."""

    file_path: str
    content: str
    encoding: str
    last_commit_id: str


class TokenOfOurs(msgspec.Struct):
    """https://docs.gitlab.com/api/personal_access_tokens/#self-inform; group and project tokens alike."""

    scopes: list[str] = []
    expires_at: date | None = None
    active: bool = True


def sha(text: str | None) -> str:
    """A full commit id of an answer; `ProviderError` for anything else."""
    try:
        return api.full_sha(text or "")
    except ValueError as error:
        raise api.ProviderError(f"GitLab gave no full commit id: {error}") from None
