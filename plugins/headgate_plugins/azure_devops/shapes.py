"""Azure DevOps' service hook payloads as they are sent, only the fields we use; not what they mean to us.

Source of all: https://learn.microsoft.com/en-us/azure/devops/service-hooks/events
"""

from __future__ import annotations

from typing import Any

import msgspec


class Message(msgspec.Struct):
    """What happened, in the words people read."""

    text: str | None = None


class Envelope(msgspec.Struct, rename="camel"):
    """Around every event. `resource` is all, minimal or nothing, as the subscription says."""

    event_type: str
    message: Message | None = None
    resource: dict[str, Any] | None = None


class Identity(msgspec.Struct, rename="camel"):
    """Who. `unique_name` is an address, or domain and user on a server."""

    id: str | None = None
    unique_name: str | None = None
    display_name: str | None = None


class Project(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/core/projects/get"""

    name: str | None = None


class Repo(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/repositories/get-repository"""

    name: str | None = None
    project: Project | None = None
    web_url: str | None = None
    remote_url: str | None = None
    default_branch: str | None = None


class Author(msgspec.Struct):
    """Who wrote a commit."""

    name: str | None = None
    email: str | None = None


class PushedCommit(msgspec.Struct, rename="camel"):
    """One commit of a push; which paths it changed is not said."""

    commit_id: str
    comment: str | None = None
    author: Author | None = None
    url: str | None = None


class RefUpdate(msgspec.Struct, rename="camel"):
    """One ref that moved."""

    name: str
    old_object_id: str
    new_object_id: str


class Push(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.push; one push may move several refs."""

    ref_updates: list[RefUpdate] | None = None
    commits: list[PushedCommit] | None = None
    repository: Repo | None = None
    pushed_by: Identity | None = None


class Link(msgspec.Struct):
    """One of `_links`."""

    href: str | None = None


class Links(msgspec.Struct):
    """Where people open it."""

    web: Link | None = None


class CommitRef(msgspec.Struct, rename="camel"):
    """A commit by its id."""

    commit_id: str | None = None


class Reviewer(Identity, rename="camel"):
    """10 approved, 5 approved with suggestions, 0 none, -5 waiting for the author, -10 rejected."""

    vote: int | None = None


class ForkSource(msgspec.Struct):
    """Where the source branch of a fork is; missing in one repository."""

    repository: Repo | None = None


class Label(msgspec.Struct):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-labels"""

    name: str | None = None
    active: bool = True


class PullRequest(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/get-pull-request"""

    pull_request_id: int | None = None
    repository: Repo | None = None
    status: str = ""
    title: str = ""
    source_ref_name: str = ""
    target_ref_name: str = ""
    created_by: Identity | None = None
    closed_by: Identity | None = None
    is_draft: bool | None = None
    last_merge_source_commit: CommitRef | None = None
    last_merge_target_commit: CommitRef | None = None
    reviewers: list[Reviewer] | None = None
    fork_source: ForkSource | None = None
    labels: list[Label] | None = None
    links: Links | None = msgspec.field(default=None, name="_links")


class Remark(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-thread-comments"""

    content: str | None = None
    comment_type: str | None = None
    is_deleted: bool | None = None
    published_date: str | None = None
    last_content_updated_date: str | None = None
    author: Identity | None = None


class Commented(msgspec.Struct, rename="camel"):
    """`ms.vss-code.git-pullrequest-comment-event`, version 2.0; 1.0 has the comment alone."""

    comment: Remark | None = None
    pull_request: PullRequest | None = None


class Definition(msgspec.Struct):
    """A pipeline."""

    name: str | None = None


class BuiltRepository(msgspec.Struct):
    """What was built: `TfsGit` is a repository of this organisation."""

    name: str | None = None
    type: str | None = None
    url: str | None = None


class Build(msgspec.Struct, rename="camel"):
    """https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#build.complete, version 2.0."""

    build_number: str | None = None
    result: str | None = None
    source_branch: str | None = None
    source_version: str | None = None
    definition: Definition | None = None
    project: Project | None = None
    repository: BuiltRepository | None = None
    requested_for: Identity | None = None
    links: Links | None = msgspec.field(default=None, name="_links")
