"""GitLab's webhook payloads as they are sent, only the fields we use; not what they mean to us.

Source of all: https://docs.gitlab.com/user/project/integrations/webhook_events/ and, for system hooks,
https://docs.gitlab.com/administration/system_hooks/. Older servers leave out much of what newer ones send.
"""

from __future__ import annotations

import msgspec


class User(msgspec.Struct):
    """Who did it. Servers before 13 send no `id`."""

    id: int | None = None
    username: str | None = None


class Reviewer(User):
    """Who was asked for a review, and how far it is."""

    state: str | None = None


class Project(msgspec.Struct):
    """Where. `path_with_namespace` says it; `repository` of jobs has URLs only."""

    id: int | None = None
    path_with_namespace: str | None = None
    web_url: str | None = None
    homepage: str | None = None
    git_http_url: str | None = None
    http_url: str | None = None
    default_branch: str | None = None


class Author(msgspec.Struct):
    """Who wrote a commit, as the commit says it."""

    name: str | None = None
    email: str | None = None


class PushedCommit(msgspec.Struct):
    """One of at most 20 commits of a push."""

    id: str
    message: str | None = None
    url: str | None = None
    author: Author | None = None
    added: list[str] | None = None
    modified: list[str] | None = None
    removed: list[str] | None = None


class PushPayload(msgspec.Struct):
    """`push` and `tag_push`, of a project, a group or the whole server.

    `checkout_sha` is the commit that the ref leads to: of an annotated tag, `after` is the tag's own object.
    """

    ref: str
    before: str
    after: str
    project: Project
    checkout_sha: str | None = None
    user_username: str | None = None
    commits: list[PushedCommit] | None = None


class Label(msgspec.Struct):
    """A project's or group's label."""

    title: str


class LastCommit(msgspec.Struct):
    """The head of a merge request."""

    id: str


class MergeRequest(msgspec.Struct):
    """`object_attributes` of a merge request, and `merge_request` of a comment on one.

    `action` is missing where nothing happened to it; `oldrev` is there only when its head moved.
    """

    iid: int
    title: str
    source_branch: str
    target_branch: str
    target: Project | None = None
    source: Project | None = None
    source_project_id: int | None = None
    target_project_id: int | None = None
    author_id: int | None = None
    last_commit: LastCommit | None = None
    url: str | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None
    labels: list[Label] | None = None
    action: str | None = None
    oldrev: str | None = None
    system: bool | None = None


class ChangedText(msgspec.Struct):
    """What a text was and is."""

    previous: str | None = None
    current: str | None = None


class ChangedFlag(msgspec.Struct):
    """What a flag was and is."""

    previous: bool | None = None
    current: bool | None = None


class ChangedLabels(msgspec.Struct):
    """Which labels there were and are."""

    previous: list[Label] | None = None
    current: list[Label] | None = None


class ChangedReviewers(msgspec.Struct):
    """Which reviewers there were and are, with their states."""

    previous: list[Reviewer] | None = None
    current: list[Reviewer] | None = None


class Changes(msgspec.Struct):
    """What an update changed, as far as a job looks at it."""

    title: ChangedText | None = None
    description: ChangedText | None = None
    target_branch: ChangedText | None = None
    draft: ChangedFlag | None = None
    labels: ChangedLabels | None = None
    reviewers: ChangedReviewers | None = None


class MergeRequestPayload(msgspec.Struct):
    """`merge_request`. `user` did it and need not be who wrote the merge request."""

    object_attributes: MergeRequest
    project: Project
    user: User | None = None
    labels: list[Label] | None = None
    changes: Changes | None = None
    assignees: list[User] | None = None
    reviewers: list[Reviewer] | None = None


class Note(msgspec.Struct):
    """A comment. `action` came with GitLab 16.11; `type` is `DiffNote` for one on a line."""

    note: str
    noteable_type: str
    author_id: int | None = None
    url: str | None = None
    commit_id: str | None = None
    action: str | None = None
    type: str | None = None
    system: bool | None = None


class NotePayload(msgspec.Struct):
    """`note`, confidential ones alike. A comment on an epic has no project."""

    object_attributes: Note
    project: Project | None = None
    user: User | None = None
    merge_request: MergeRequest | None = None
    commit: LastCommit | None = None


class ReleasePayload(msgspec.Struct):
    """`release`; it does not say who."""

    tag: str
    project: Project
    name: str | None = None
    action: str | None = None
    url: str | None = None


class Pipeline(msgspec.Struct):
    """`object_attributes` of a pipeline. `name` came with GitLab 16.1, `url` with 15."""

    id: int
    sha: str
    status: str
    ref: str | None = None
    tag: bool | None = None
    name: str | None = None
    source: str | None = None
    url: str | None = None


class PipelineChange(msgspec.Struct):
    """The merge request that a pipeline is for."""

    source_project_id: int | None = None
    target_project_id: int | None = None


class PipelinePayload(msgspec.Struct):
    """`pipeline`"""

    object_attributes: Pipeline
    project: Project
    user: User | None = None
    merge_request: PipelineChange | None = None


class JobPayload(msgspec.Struct):
    """`build`, which is a job. `project` came with GitLab 16."""

    sha: str
    build_id: int
    build_name: str
    build_status: str
    ref: str | None = None
    tag: bool | None = None
    user: User | None = None
    project: Project | None = None
    repository: Project | None = None


class Named(msgspec.Struct):
    """How a payload names its event."""

    object_kind: str | None = None
    event_name: str | None = None
