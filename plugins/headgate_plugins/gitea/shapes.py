"""Webhook payloads as Gitea, Forgejo and Gogs send them, only the fields we use; not what they mean to us.

Sources: https://docs.gitea.com/usage/repository/webhooks, https://forgejo.org/docs/latest/user/webhooks/ and
https://gogs.io/advancing/webhooks. Older servers leave out much of what newer ones send.
"""

from __future__ import annotations

import msgspec


class User(msgspec.Struct):
    """Who did it. `username` is what Gogs called `login` first."""

    login: str | None = None
    username: str | None = None


class Repo(msgspec.Struct):
    """Where."""

    full_name: str | None = None
    name: str | None = None
    owner: User | None = None
    html_url: str | None = None
    clone_url: str | None = None
    url: str | None = None
    default_branch: str | None = None


class Author(msgspec.Struct):
    """Who wrote a commit, as the commit says it."""

    name: str | None = None
    email: str | None = None


class PushedCommit(msgspec.Struct):
    """One of the commits of a push, five of them unless the server's admin says otherwise, the newest first."""

    id: str
    message: str | None = None
    url: str | None = None
    author: Author | None = None
    added: list[str] | None = None
    removed: list[str] | None = None
    modified: list[str] | None = None


class HeadCommit(msgspec.Struct):
    """The commit that a pushed ref leads to: of an annotated tag, `after` is the tag's own object."""

    id: str | None = None


class PushPayload(msgspec.Struct):
    """`push`: a branch or a tag moved; a branch that was deleted is not told this way."""

    ref: str
    before: str
    after: str
    repository: Repo
    compare_url: str | None = None
    commits: list[PushedCommit] | None = None
    head_commit: HeadCommit | None = None
    pusher: User | None = None
    sender: User | None = None


class RefPayload(msgspec.Struct):
    """`create` and `delete`: `ref` is short, `sha` only of what was created."""

    ref: str
    ref_type: str
    repository: Repo
    sha: str | None = None
    sender: User | None = None


class Label(msgspec.Struct):
    """A label of an issue or a pull request."""

    name: str


class Side(msgspec.Struct):
    """Head or base of a pull request; `repo` is null when the fork was deleted.

    Where the head's branch is gone, `ref` is `refs/pull/7/head` and `label` the branch that was. An AGit pull request
    never had one: its `label` is empty.
    """

    ref: str
    label: str | None = None
    sha: str | None = None
    repo: Repo | None = None
    repo_id: int | None = None


class PullRequest(msgspec.Struct):
    """A pull request. Gogs has no `head` and `base`: it names branches and repositories, and no commit.

    `flow`, of Forgejo only: 1 for AGit.
    """

    title: str
    number: int | None = None
    head: Side | None = None
    base: Side | None = None
    head_branch: str | None = None
    head_repo: Repo | None = None
    base_branch: str | None = None
    base_repo: Repo | None = None
    user: User | None = None
    html_url: str | None = None
    draft: bool | None = None
    merged: bool | None = None
    labels: list[Label] | None = None
    flow: int | None = None


class Before(msgspec.Struct):
    """What a text was."""

    from_: str | None = msgspec.field(name="from", default=None)


class Changes(msgspec.Struct):
    """What an edit changed; newer versions of Gitea tell which labels came and went, too."""

    title: Before | None = None
    added_labels: list[Label] | None = None
    removed_labels: list[Label] | None = None


class Review(msgspec.Struct):
    """A verdict or words; `type` is `pull_request_review_approved`, `…_rejected` or `…_comment`."""

    type: str | None = None
    content: str | None = None


class PullRequestPayload(msgspec.Struct):
    """`pull_request`, and with `review` the three events of reviews."""

    action: str
    pull_request: PullRequest
    repository: Repo
    number: int | None = None
    changes: Changes | None = None
    review: Review | None = None
    sender: User | None = None


class WrittenComment(msgspec.Struct):
    """What somebody wrote."""

    body: str
    user: User | None = None
    html_url: str | None = None


class Issue(msgspec.Struct):
    """An issue; a pull request is one that has `pull_request`."""

    number: int
    pull_request: dict[str, object] | None = None


class Head(msgspec.Struct):
    """Where the head of a pull request is."""

    sha: str | None = None


class CommentedPullRequest(msgspec.Struct):
    """As much of a pull request as a comment on it needs."""

    head: Head | None = None


class CommentPayload(msgspec.Struct):
    """`issue_comment`: on an issue or on a pull request, which newer versions of Gitea add."""

    action: str
    issue: Issue
    comment: WrittenComment
    repository: Repo
    pull_request: CommentedPullRequest | None = None
    is_pull: bool | None = None
    sender: User | None = None


class ReleaseBody(msgspec.Struct):
    """A release."""

    tag_name: str
    name: str | None = None
    draft: bool = False
    prerelease: bool = False
    html_url: str | None = None


class ReleasePayload(msgspec.Struct):
    """`release`."""

    release: ReleaseBody
    repository: Repo
    action: str | None = None
    sender: User | None = None


class StatusPayload(msgspec.Struct):
    """`status`: somebody set a commit's status. https://docs.gitea.com/usage/repository/webhooks"""

    sha: str
    context: str
    state: str
    repository: Repo
    target_url: str | None = None
    sender: User | None = None


class Workflow(msgspec.Struct):
    """The file a run is of."""

    name: str | None = None


class WorkflowRun(msgspec.Struct):
    """A run of Gitea's Actions, and one of its jobs, which has a `name`."""

    head_sha: str
    status: str | None = None
    conclusion: str | None = None
    head_branch: str | None = None
    html_url: str | None = None
    name: str | None = None
    path: str | None = None
    display_title: str | None = None


class WorkflowRunPayload(msgspec.Struct):
    """`workflow_run`."""

    action: str
    workflow_run: WorkflowRun
    repository: Repo
    workflow: Workflow | None = None
    sender: User | None = None


class WorkflowJobPayload(msgspec.Struct):
    """`workflow_job`."""

    action: str
    workflow_job: WorkflowRun
    repository: Repo
    sender: User | None = None


class ActionRun(msgspec.Struct):
    """A run of Forgejo's Actions. https://forgejo.org/docs/latest/user/webhooks/"""

    commit_sha: str
    status: str
    repository: Repo | None = None
    workflow_id: str | None = None
    prettyref: str | None = None
    title: str | None = None
    html_url: str | None = None
    trigger_user: User | None = None


class ActionRunPayload(msgspec.Struct):
    """`action_run_success`, `action_run_failure` and `action_run_recover`; the repository stands in the run."""

    run: ActionRun
    action: str | None = None
