"""What CodeCommit's API answers, naming only what we use, and what it is in our own words; not how it is asked.

Shapes: https://docs.aws.amazon.com/codecommit/latest/APIReference/API_Types.html
"""

from __future__ import annotations

import msgspec

from headgate import api
from headgate_plugins.codecommit.names import page


class Metadata(msgspec.Struct, rename="camel"):
    """A repository."""

    repository_name: str
    repository_id: str | None = None
    repository_description: str = ""
    default_branch: str | None = None
    account_id: str | None = None


class RepositoryAnswer(msgspec.Struct, rename="camel"):
    """Of GetRepository."""

    repository_metadata: Metadata


class RepositoryName(msgspec.Struct, rename="camel"):
    """One line of ListRepositories."""

    repository_name: str


class RepositoryList(msgspec.Struct):
    """Of ListRepositories."""

    repositories: list[RepositoryName] = []


class RepositoryBatch(msgspec.Struct):
    """Of BatchGetRepositories."""

    repositories: list[Metadata] = []


class BranchList(msgspec.Struct):
    """Of ListBranches: names."""

    branches: list[str] = []


class BranchTip(msgspec.Struct, rename="camel"):
    """A branch and where it is."""

    commit_id: str


class BranchAnswer(msgspec.Struct):
    """Of GetBranch."""

    branch: BranchTip


class Who(msgspec.Struct):
    """An author or committer. `date` is seconds since 1970 and a zone: `1484167798 -0800`."""

    name: str = ""
    email: str = ""
    date: str = ""


class CommitAnswer(msgspec.Struct, rename="camel"):
    """A commit."""

    commit_id: str
    parents: list[str] = []
    message: str = ""
    author: Who = msgspec.field(default_factory=Who)
    committer: Who = msgspec.field(default_factory=Who)

    @property
    def at(self) -> int:
        """Seconds since 1970 at which it was committed; 0 when it does not say."""
        seconds = self.committer.date.partition(" ")[0]
        return int(seconds) if seconds.isascii() and seconds.isdecimal() and len(seconds) <= 12 else 0  # noqa: PLR2004 - no date needs more


class CommitBatch(msgspec.Struct):
    """Of BatchGetCommits."""

    commits: list[CommitAnswer] = []


class Blob(msgspec.Struct):
    """One side of a difference."""

    path: str = ""


class Difference(msgspec.Struct, rename="camel"):
    """One path that differs."""

    change_type: str
    before_blob: Blob | None = None
    after_blob: Blob | None = None


class DifferenceList(msgspec.Struct):
    """Of GetDifferences."""

    differences: list[Difference] = []


class FileAnswer(msgspec.Struct, rename="camel"):
    """Of GetFile; the content in base64."""

    blob_id: str
    file_content: bytes


class FolderFile(msgspec.Struct, rename="camel"):
    """A file of a folder."""

    absolute_path: str
    blob_id: str
    file_mode: str = "NORMAL"


class FolderAnswer(msgspec.Struct, rename="camel"):
    """Of GetFolder. `commit_id`: where the asked ref leads."""

    commit_id: str
    files: list[FolderFile] = []


class Merge(msgspec.Struct, rename="camel"):
    """Whether and how a pull request was merged."""

    is_merged: bool = False
    merge_commit_id: str | None = None


class PullRequestTarget(msgspec.Struct, rename="camel"):
    """From where to where, in which repository."""

    repository_name: str
    source_reference: str
    destination_reference: str
    source_commit: str
    destination_commit: str | None = None
    merge_base: str | None = None
    merge_metadata: Merge = msgspec.field(default_factory=Merge)


class PullRequest(msgspec.Struct, rename="camel"):
    """A pull request."""

    pull_request_id: str
    pull_request_status: str
    title: str = ""
    description: str = ""
    author_arn: str = ""
    revision_id: str | None = None
    pull_request_targets: list[PullRequestTarget] = []


class PullRequestAnswer(msgspec.Struct, rename="camel"):
    """Of everything that gives one."""

    pull_request: PullRequest


class PullRequestList(msgspec.Struct, rename="camel"):
    """Of ListPullRequests: ids."""

    pull_request_ids: list[str] = []


class Approval(msgspec.Struct, rename="camel"):
    """What somebody thinks of a pull request."""

    user_arn: str
    approval_state: str


class ApprovalList(msgspec.Struct):
    """Of GetPullRequestApprovalStates."""

    approvals: list[Approval] = []


class Created(msgspec.Struct, rename="camel"):
    """Of CreateCommit."""

    commit_id: str


FILE_STATES: dict[str, api.ChangedFileStatus] = {"A": "added", "M": "modified", "D": "removed"}
APPROVAL_STATES: dict[str, api.ReviewState] = {"APPROVE": "approved", "REVOKE": "dismissed"}


def hosted_repository(one: Metadata, *, host: str, region: str) -> api.HostedRepository:
    """Every repository is private to its account; none can be archived or forked."""
    return api.HostedRepository(
        repository=api.Repository(host=host, path=one.repository_name),
        id=one.repository_id,
        default_branch=one.default_branch,
        description=one.repository_description,
        visibility="private",
        fork=False,
        url=page(region, one.repository_name),
    )


def commit(one: CommitAnswer) -> api.Commit:
    """Its paths are not told."""
    return api.Commit(
        id=one.commit_id,
        message=one.message.rstrip("\n"),
        author=api.Person(name=one.author.name, email=one.author.email),
    )


def changed_file(one: Difference) -> api.ChangedFile:
    """A rename comes as one path removed and one added."""
    blob = one.after_blob or one.before_blob or Blob()
    return api.ChangedFile(path=blob.path, status=FILE_STATES.get(one.change_type, "modified"))


def hosted_change(
    one: PullRequest, target: PullRequestTarget, *, host: str, region: str, reviews: tuple[api.Review, ...] | None
) -> api.HostedChange:
    """A closed one that was merged is merged."""
    repository = api.Repository(host=host, path=target.repository_name)
    closed: api.ChangeState = "merged" if target.merge_metadata.is_merged else "closed"
    return api.HostedChange(
        repository=repository,
        number=int(one.pull_request_id),
        title=one.title,
        state="open" if one.pull_request_status == "OPEN" else closed,
        source=api.ChangeSource(
            repository=repository,
            branch=target.source_reference.removeprefix("refs/heads/"),
            sha=target.source_commit,
        ),
        target=api.ChangeTarget(
            branch=target.destination_reference.removeprefix("refs/heads/"), sha=target.destination_commit
        ),
        author=one.author_arn,
        body=one.description,
        reviews=reviews,
        merge_sha=target.merge_metadata.merge_commit_id,
        revision=one.revision_id,
        url=page(region, target.repository_name, "pull-requests", one.pull_request_id),
    )


def review(one: Approval, *, sha: str) -> api.Review:
    """Approvals are of a revision; they say nothing else."""
    return api.Review(author=one.user_arn, state=APPROVAL_STATES.get(one.approval_state, "pending"), sha=sha)
