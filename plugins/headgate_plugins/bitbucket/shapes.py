"""Bitbucket Cloud's webhook payloads as they are sent, only the fields we use; not what they mean to us.

Source of all: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
"""

from __future__ import annotations

import msgspec


class Link(msgspec.Struct):
    """Where something is shown, or found in the API. Never fetched."""

    href: str | None = None


class Links(msgspec.Struct):
    """Of the many, the page for people."""

    html: Link | None = None


class User(msgspec.Struct):
    """An account. Names are not unique, and `username` is only sent for teams and by older payloads.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Account
    """

    username: str | None = None
    nickname: str | None = None
    display_name: str | None = None


class Workspace(msgspec.Struct):
    """Whose repository it is."""

    slug: str | None = None


class Branch(msgspec.Struct):
    """As much of a branch as its name."""

    name: str


class Repo(msgspec.Struct):
    """Where. https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Repository"""

    full_name: str | None = None
    name: str | None = None
    workspace: Workspace | None = None
    links: Links | None = None
    mainbranch: Branch | None = None


class Author(User):
    """Who wrote a commit: `raw` is `Name <address>`, as git has it. The documentation's samples have an account here.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push
    """

    raw: str | None = None
    user: User | None = None


class PushedCommit(msgspec.Struct):
    """One of at most five of a change."""

    hash: str
    message: str | None = None
    author: Author | None = None
    links: Links | None = None


class Head(msgspec.Struct):
    """The commit a ref leads to."""

    hash: str


class Ref(msgspec.Struct):
    """A branch or a tag on one side of a change."""

    type: str
    name: str
    target: Head


class RefChange(msgspec.Struct):
    """One ref that moved: `old` is null when it is new, `new` when it was deleted.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push
    """

    new: Ref | None = None
    old: Ref | None = None
    forced: bool = False
    truncated: bool | None = None
    commits: list[PushedCommit] | None = None
    links: Links | None = None


class Changes(msgspec.Struct):
    """All refs that one push moved."""

    changes: list[RefChange]


class PushPayload(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push"""

    push: Changes
    repository: Repo
    actor: User | None = None


class Side(msgspec.Struct):
    """Source or destination of a pull request; `repository` is null when the fork was deleted."""

    branch: Branch
    commit: Head | None = None
    repository: Repo | None = None


class PullRequest(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request"""

    id: int
    title: str
    source: Side
    destination: Side
    author: User | None = None
    draft: bool | None = None
    links: Links | None = None


class PullRequestPayload(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request-events"""

    pullrequest: PullRequest
    repository: Repo
    actor: User | None = None


class Content(msgspec.Struct):
    """A text as it was typed."""

    raw: str | None = None


class Inline(msgspec.Struct):
    """The place of a comment beside a file."""

    path: str | None = None


class WrittenComment(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Comment"""

    content: Content | None = None
    user: User | None = None
    inline: Inline | None = None
    links: Links | None = None


class NumberedPullRequest(msgspec.Struct):
    """As much of a pull request as a comment on it needs."""

    id: int


class ChangeCommentPayload(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Comment-created"""

    comment: WrittenComment
    pullrequest: NumberedPullRequest
    repository: Repo
    actor: User | None = None


class CommitCommentPayload(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Commit-comment-created"""

    comment: WrittenComment
    commit: Head
    repository: Repo
    actor: User | None = None


class StatusLinks(msgspec.Struct):
    """How the documented payload names the commit, which newer ones carry beside it."""

    commit: Link | None = None


class BuildStatus(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Build-status-created"""

    key: str
    state: str
    url: str | None = None
    refname: str | None = None
    commit: Head | None = None
    links: StatusLinks | None = None


class StatusPayload(msgspec.Struct):
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Build-status-updated"""

    commit_status: BuildStatus
    repository: Repo
    actor: User | None = None
