"""GitHub's webhook payloads as they are sent, only the fields we use; not what they mean to us.

Source of all: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

import msgspec


class User(msgspec.Struct):
    """Who did it. https://docs.github.com/en/rest/users/users#get-a-user"""

    login: str


class Owner(msgspec.Struct):
    """Whose it is; pushes of older servers say only `name`."""

    login: str | None = None
    name: str | None = None


class Repo(msgspec.Struct):
    """Where; some payloads leave `full_name` to be made of owner and name.

    https://docs.github.com/en/rest/repos/repos#get-a-repository
    """

    full_name: str | None = None
    name: str | None = None
    owner: Owner | None = None
    html_url: str | None = None
    default_branch: str | None = None


class Author(msgspec.Struct):
    """Who wrote a commit; null for unknown mail addresses."""

    name: str | None = None
    email: str | None = None


class PushedCommit(msgspec.Struct):
    """One of at most 2048 commits. https://docs.github.com/en/webhooks/webhook-events-and-payloads#push"""

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
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#push"""

    ref: str
    before: str
    after: str
    repository: Repo
    created: bool = False
    deleted: bool = False
    forced: bool = False
    compare: str | None = None
    commits: list[PushedCommit] | None = None
    head_commit: HeadCommit | None = None
    sender: User | None = None
    pusher: Author | None = None


class Label(msgspec.Struct):
    """https://docs.github.com/en/rest/issues/labels"""

    name: str


class Side(msgspec.Struct):
    """Head or base of a pull request; `repo` is null when the fork was deleted."""

    ref: str
    sha: str
    repo: Repo | None = None


class PullRequest(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request"""

    number: int
    title: str
    head: Side
    base: Side
    user: User | None = None
    html_url: str | None = None
    draft: bool | None = None
    merged: bool | None = None
    labels: list[Label] | None = None


class PullRequestPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request"""

    action: str
    pull_request: PullRequest
    repository: Repo
    sender: User | None = None


class Review(msgspec.Struct):
    """https://docs.github.com/en/rest/pulls/reviews"""

    state: str
    body: str | None = None
    user: User | None = None
    html_url: str | None = None
    commit_id: str | None = None


class ReviewPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review"""

    action: str
    review: Review
    pull_request: PullRequest
    repository: Repo
    sender: User | None = None


class WrittenComment(msgspec.Struct):
    """A comment on an issue, a pull request, a review's line or a commit."""

    body: str
    user: User | None = None
    html_url: str | None = None
    commit_id: str | None = None


class Issue(msgspec.Struct):
    """An issue; a pull request is one that has `pull_request`."""

    number: int
    pull_request: dict[str, object] | None = None


class IssueCommentPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment"""

    action: str
    issue: Issue
    comment: WrittenComment
    repository: Repo
    sender: User | None = None


class NumberedPullRequest(msgspec.Struct):
    """As much of a pull request as a comment on it needs."""

    number: int


class ReviewCommentPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review_comment"""

    action: str
    comment: WrittenComment
    pull_request: NumberedPullRequest
    repository: Repo
    sender: User | None = None


class CommitCommentPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#commit_comment"""

    action: str
    comment: WrittenComment
    repository: Repo
    sender: User | None = None


class ReleaseBody(msgspec.Struct):
    """https://docs.github.com/en/rest/releases/releases"""

    tag_name: str
    name: str | None = None
    draft: bool = False
    prerelease: bool = False
    html_url: str | None = None


class ReleasePayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#release"""

    action: str
    release: ReleaseBody
    repository: Repo
    sender: User | None = None


class PingPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping"""

    repository: Repo | None = None
    sender: User | None = None


class Branch(msgspec.Struct):
    """A branch that contains a commit with a status."""

    name: str


class StatusPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#status"""

    sha: str
    context: str
    state: str
    repository: Repo
    target_url: str | None = None
    branches: list[Branch] | None = None
    sender: User | None = None


class App(msgspec.Struct):
    """https://docs.github.com/en/rest/apps/apps"""

    name: str


class CheckSuite(msgspec.Struct):
    """https://docs.github.com/en/rest/checks/suites"""

    head_sha: str
    head_branch: str | None = None
    status: str | None = None
    conclusion: str | None = None
    app: App | None = None


class CheckSuitePayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_suite"""

    action: str
    check_suite: CheckSuite
    repository: Repo
    sender: User | None = None


class SuiteOfRun(msgspec.Struct):
    """As much of a check suite as one of its runs needs."""

    head_branch: str | None = None


class CheckRun(msgspec.Struct):
    """https://docs.github.com/en/rest/checks/runs"""

    head_sha: str
    name: str
    status: str | None = None
    conclusion: str | None = None
    details_url: str | None = None
    check_suite: SuiteOfRun | None = None


class CheckRunPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_run"""

    action: str
    check_run: CheckRun
    repository: Repo
    sender: User | None = None


class Workflow(msgspec.Struct):
    """https://docs.github.com/en/rest/actions/workflows"""

    name: str | None = None


class WorkflowRun(msgspec.Struct):
    """`head_branch` is of `head_repository`, which is a fork at times, and null when that is gone.

    https://docs.github.com/en/rest/actions/workflow-runs
    """

    head_sha: str
    name: str | None = None
    head_branch: str | None = None
    head_repository: Repo | msgspec.UnsetType | None = msgspec.UNSET
    status: str | None = None
    conclusion: str | None = None
    html_url: str | None = None


class WorkflowRunPayload(msgspec.Struct):
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run"""

    action: str
    workflow_run: WorkflowRun
    repository: Repo
    workflow: Workflow | None = None
    sender: User | None = None
