"""Bitbucket Data Center's answers as `headgate.api` values; the entities that webhooks bring, too, are in `shapes`.

Source of all: https://developer.atlassian.com/server/bitbucket/rest/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.bitbucket_server import shapes
from headgate_plugins.bitbucket_server.converters import branch, change_page, head_ref, source
from headgate_plugins.bitbucket_server.names import account, identity, page


class ListedRef(msgspec.Struct, rename="camel"):
    """A branch or a tag; of an annotated tag `latest_commit` is the commit it leads to. A new default has none yet."""

    id: str
    display_id: str
    latest_commit: str | None = None


class FirstCommit(msgspec.Struct):
    """As much of a listing of commits as leads to the newest."""

    values: list[shapes.ListedCommit]


class SomeRepositories(msgspec.Struct):
    """As much of a listing of repositories as tells whether there is any."""

    values: list[shapes.Repo]


class Path(msgspec.Struct):
    """A path; its parts stand beside the whole."""

    whole: str = msgspec.field(name="toString")


class Change(msgspec.Struct, rename="camel"):
    """A changed file. `type`: `ADD`, `MODIFY`, `DELETE`, `MOVE`, `COPY` or `UNKNOWN`."""

    path: Path
    type: str
    src_path: Path | None = None


class Granted(msgspec.Struct):
    """A right that was given to one user: `REPO_READ`, `PROJECT_WRITE`, …"""

    user: shapes.User
    permission: str


class FileKind(msgspec.Struct):
    """`FILE`, `DIRECTORY` or `SUBMODULE`."""

    type: str


class Mergeable(msgspec.Struct, rename="camel"):
    """https://developer.atlassian.com/server/bitbucket/rest/v819/api-group-pull-requests/"""

    can_merge: bool


class Counts(msgspec.Struct):
    """How a webhook's requests of late went."""

    errors: int = 0
    failures: int = 0
    successes: int = 0


class Statistics(msgspec.Struct):
    """Of a webhook."""

    counts: Counts | None = None


class Webhook(msgspec.Struct, rename="camel"):
    """https://developer.atlassian.com/server/bitbucket/rest/v819/api-group-repository/"""

    id: int
    url: str
    events: list[str] = []
    active: bool = True
    configuration: dict[str, Any] | None = None
    ssl_verification_required: bool | None = None
    statistics: Statistics | None = None


class Server(msgspec.Struct):
    """https://developer.atlassian.com/server/bitbucket/rest/v819/api-group-system-maintenance/"""

    version: str = ""


def repository(repo: shapes.Repo, site: str, *, default_branch: str | None = None) -> api.HostedRepository:
    """A public project shows its private repositories to everybody."""
    known = [public for public in (repo.public, repo.project.public) if public is not None]
    return api.HostedRepository(
        repository=identity(repo, site),
        id=None if repo.id is None else str(repo.id),
        default_branch=(default_branch or repo.default_branch or "").removeprefix("refs/heads/") or None,
        description=repo.description or "",
        visibility=("public" if any(known) else "private") if known else None,
        archived=repo.archived,
        fork=repo.origin is not None,
        url=page(repo, site),
    )


# Of a change whose type is unknown only the path is; that it was modified is what a filter of paths needs.
_STATUSES: dict[str, api.ChangedFileStatus] = {
    "ADD": "added",
    "MODIFY": "modified",
    "DELETE": "removed",
    "MOVE": "renamed",
    "COPY": "copied",
}


def changed_file(change: Change) -> api.ChangedFile:
    """Of a moved or copied file with its path before."""
    status = _STATUSES.get(change.type, "modified")
    previous = change.src_path.whole if change.src_path and status in {"renamed", "copied"} else None
    return api.ChangedFile(path=change.path.whole, status=status, previous_path=previous)


def paths(changes: Iterable[api.ChangedFile]) -> tuple[str, ...]:
    """All paths that differ, sorted: a renamed file's old one, too."""
    found = {change.path for change in changes}
    found |= {change.previous_path for change in changes if change.status == "renamed" and change.previous_path}
    return tuple(sorted(found))


_STATES: dict[str, api.ChangeState] = {"OPEN": "open", "MERGED": "merged", "DECLINED": "closed"}
_VOTES: dict[str, api.ReviewState] = {"APPROVED": "approved", "NEEDS_WORK": "rejected", "UNAPPROVED": "pending"}


def change(
    found: shapes.PullRequest, site: str, *, with_reviews: bool = False, mergeable: bool | None = None
) -> api.HostedChange:
    """A pull request. Raises `ValueError` for one that names no repository, state or commit."""
    if found.to_ref.repository is None or found.state not in _STATES:
        raise ValueError(f"pull request {found.id} says no repository or no known state")
    merge_commit = found.properties.merge_commit if found.properties else None
    return api.HostedChange(
        repository=identity(found.to_ref.repository, site),
        number=found.id,
        title=found.title,
        state=_STATES[found.state],
        source=source(found, site),
        target=api.ChangeTarget(branch=branch(found.to_ref), sha=api.full_sha_or_none(found.to_ref.latest_commit)),
        author=account(found.author.user if found.author else None) or "",
        body=found.description or "",
        draft=bool(found.draft),
        reviews=tuple(map(_review, found.reviewers or ())) if with_reviews else None,
        mergeable=mergeable,
        merge_sha=api.full_sha_or_none(merge_commit.id if merge_commit else None),
        head_ref=head_ref(found.id),
        revision=None if found.version is None else str(found.version),
        url=change_page(found, site),
    )


def _review(reviewer: shapes.Participant) -> api.Review:
    return api.Review(
        author=account(reviewer.user) or "",
        state=_VOTES.get(reviewer.status or "", "pending"),
        sha=api.full_sha_or_none(reviewer.last_reviewed_commit),
    )


_ROLES: dict[str, api.Role] = {"READ": "read", "WRITE": "write", "ADMIN": "admin"}


def role(permission: str) -> api.Role | None:
    """Of `REPO_WRITE` or `PROJECT_WRITE`: `write`."""
    return _ROLES.get(permission.rpartition("_")[2])


def hook(found: Webhook) -> api.Hook:
    """A webhook. `healthy`: whether any of its requests of late arrived."""
    counts = found.statistics.counts if found.statistics else None
    tried = counts is not None and counts.errors + counts.failures + counts.successes > 0
    return api.Hook(
        id=str(found.id),
        url=found.url,
        events=tuple(found.events),
        active=found.active,
        has_secret=None if found.configuration is None else bool(found.configuration.get("secret")),
        verifies_tls=found.ssl_verification_required,
        healthy=counts.successes > 0 if counts is not None and tried else None,
    )
