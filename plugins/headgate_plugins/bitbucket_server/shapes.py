"""Bitbucket Data Center's entities as webhooks and the API send them, only the fields we use; not what they mean to us.

The same entities travel both ways. Older versions and re-typed samples leave out links, dates and more.
Source of all: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

import msgspec


class Link(msgspec.Struct):
    """A page of an entity, or an address to clone from, which has a `name` (`http`, `ssh`)."""

    href: str | None = None
    name: str | None = None


class Links(msgspec.Struct):
    """Samples have `[null]` where links were taken out."""

    own: list[Link | None] | None = msgspec.field(name="self", default=None)
    clone: list[Link | None] | None = None


class User(msgspec.Struct, rename="camel"):
    """An account; or, of a commit whose address belongs to none, only `name` and `email_address`."""

    name: str | None = None
    slug: str | None = None
    display_name: str | None = None
    email_address: str | None = None


class Project(msgspec.Struct):
    """What holds repositories; `~ada` is ada's own."""

    key: str
    public: bool | None = None


class Origin(msgspec.Struct):
    """What a fork was made of."""

    slug: str | None = None


class Repo(msgspec.Struct, rename="camel"):
    """A repository; `archived` since 8.0."""

    slug: str
    project: Project
    id: int | None = None
    name: str | None = None
    description: str | None = None
    public: bool | None = None
    archived: bool | None = None
    default_branch: str | None = None
    origin: Origin | None = None
    links: Links | None = None


class Parent(msgspec.Struct):
    """As much of a parent as a commit needs."""

    id: str


class ListedCommit(msgspec.Struct):
    """A commit in a push or a listing."""

    id: str
    message: str | None = None
    author: User | None = None
    parents: list[Parent] | None = None


class ChangedRef(msgspec.Struct):
    """The ref of a move. `type`: `BRANCH` or `TAG`."""

    id: str
    type: str | None = None


class RefChange(msgspec.Struct, rename="camel"):
    """One ref that moved. `type`: `ADD`, `UPDATE` or `DELETE`."""

    ref: ChangedRef
    from_hash: str
    to_hash: str
    type: str | None = None


class PushPayload(msgspec.Struct):
    """`repo:refs_changed`. Versions from 8.17 on list the newest commits, five unless the admin says otherwise."""

    repository: Repo
    changes: list[RefChange]
    actor: User | None = None
    commits: list[ListedCommit] | None = None


class Ref(msgspec.Struct, rename="camel"):
    """Either end of a pull request."""

    id: str
    display_id: str | None = None
    latest_commit: str | None = None
    repository: Repo | None = None


class Participant(msgspec.Struct, rename="camel"):
    """Somebody at a pull request. `status`: `APPROVED`, `NEEDS_WORK` or `UNAPPROVED`."""

    user: User
    status: str | None = None
    last_reviewed_commit: str | None = None


class MergeCommit(msgspec.Struct):
    """What a merge made."""

    id: str | None = None


class Properties(msgspec.Struct, rename="camel"):
    """Beside a merged pull request."""

    merge_commit: MergeCommit | None = None


class PullRequest(msgspec.Struct, rename="camel"):
    """`state`: `OPEN`, `MERGED` or `DECLINED`; `draft` since 8.18."""

    id: int
    title: str
    from_ref: Ref
    to_ref: Ref
    author: Participant | None = None
    description: str | None = None
    state: str | None = None
    version: int | None = None
    draft: bool | None = None
    reviewers: list[Participant] | None = None
    properties: Properties | None = None
    links: Links | None = None


class ChangePayload(msgspec.Struct, rename="camel"):
    """`pr:…`; the previous values belong to `pr:modified` and may be what they are now."""

    pull_request: PullRequest
    actor: User | None = None
    previous_target: Ref | None = None
    previous_draft: bool | None = None


class WrittenComment(msgspec.Struct):
    """A comment; `anchor` where it is on a line."""

    text: str
    id: int | None = None
    author: User | None = None
    anchor: dict[str, object] | None = None


class ChangeCommentPayload(msgspec.Struct, rename="camel"):
    """`pr:comment:…`"""

    pull_request: PullRequest
    comment: WrittenComment
    actor: User | None = None


class CommitCommentPayload(msgspec.Struct):
    """`repo:comment:…`; `commit` is its full id."""

    repository: Repo
    comment: WrittenComment
    commit: str | None = None
    actor: User | None = None


class PingPayload(msgspec.Struct):
    """`diagnostics:ping`, of the button "Test connection"."""

    test: bool | None = None
