"""What Gerrit's REST API answers, only the fields we use, and how it becomes values of `headgate.api`; not what is asked.

https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html and rest-api-changes.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from headgate import api

_STATES: dict[str, api.ChangeState] = {"NEW": "open", "DRAFT": "open", "MERGED": "merged", "ABANDONED": "closed"}
_FILE_STATES: dict[str, api.ChangedFileStatus] = {"A": "added", "D": "removed", "R": "renamed", "C": "copied"}
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d{1,9})?")

NOT_FILES = frozenset({"/COMMIT_MSG", "/MERGE_LIST", "/PATCHSET_LEVEL"})
"""Listed as if they were files. https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#list-files"""


class Project(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#project-info"""

    id: str
    name: str | None = None
    description: str | None = None
    state: str | None = None
    more: bool = msgspec.field(default=False, name="_more_projects")


class Ref(msgspec.Struct):
    """A branch or a tag; `object` is what an annotated tag leads to.

    https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#tag-info
    """

    ref: str
    revision: str
    object: str | None = None


class GitPerson(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#git-person-info"""

    name: str | None = None
    email: str | None = None


class Parent(msgspec.Struct):
    """Only its id."""

    commit: str


class CommitInfo(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#commit-info"""

    commit: str | None = None
    message: str | None = None
    parents: list[Parent] | None = None


class Account(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-accounts.html#account-info"""

    id: int | None = msgspec.field(default=None, name="_account_id")
    name: str | None = None
    email: str | None = None
    username: str | None = None

    def shown(self) -> str:
        """As events call it: the user name, else the address, the name or the number."""
        return self.username or self.email or self.name or (str(self.id) if self.id is not None else "")


class Approval(Account):
    """A vote of a label; 0 or nothing is none.

    https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#approval-info
    """

    value: int | None = None


class Label(msgspec.Struct):
    """`values` are those that may be voted, as text (` 0`, `+1`), with their meaning.

    https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#label-info
    """

    all: list[Approval] | None = None
    values: dict[str, str] | None = None


class Revision(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#revision-info"""

    number: int | str = msgspec.field(name="_number")  # `edit` for an edit that is not published
    ref: str | None = None
    created: str | None = None
    kind: str | None = None
    uploader: Account | None = None
    commit: CommitInfo | None = None


class Message(msgspec.Struct):
    """What was said on a change. https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#change-message-info"""

    message: str
    date: str
    author: Account | None = None
    tag: str | None = None
    revision: int | None = msgspec.field(default=None, name="_revision_number")


class Change(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#change-info"""

    project: str
    branch: str
    subject: str
    status: str
    number: int = msgspec.field(name="_number")
    owner: Account = msgspec.field(default_factory=Account)
    current_revision: str | None = None
    revisions: dict[str, Revision] | None = None
    labels: dict[str, Label] | None = None
    messages: list[Message] | None = None
    hashtags: list[str] | None = None
    mergeable: bool | None = None
    work_in_progress: bool = False
    is_private: bool = False
    updated: str | None = None
    submitted: str | None = None
    submitter: Account | None = None
    more: bool = msgspec.field(default=False, name="_more_changes")

    def current(self) -> tuple[str, Revision]:
        """The newest patch set and its sha. Raises `ProviderError` when the answer has none."""
        sha = self.current_revision
        revision = (self.revisions or {}).get(sha or "")
        if sha is None or revision is None:
            raise api.ProviderError(f"Gerrit did not say which commit change {self.number} is at")
        return sha, revision


class FileInfo(msgspec.Struct):
    """No status: it was modified. https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#file-info"""

    status: str | None = None
    old_path: str | None = None


class LoggedCommit(msgspec.Struct):
    """A commit as Gitiles logs it, with what it changed when asked for. https://gerrit.googlesource.com/gitiles"""

    commit: str
    message: str = ""
    author: GitPerson = msgspec.field(default_factory=GitPerson)
    parents: list[str] = msgspec.field(default_factory=list)
    tree_diff: list[TreeDiff] | None = None


class TreeDiff(msgspec.Struct):
    """One path that a commit changed; the side that is not there is `/dev/null`."""

    type: str
    old_path: str
    new_path: str


def hosted_repository(host: str, site: str, name: str, project: Project, head: str | None) -> api.HostedRepository:
    """`head`: the full ref of its default branch. Gerrit knows no forks and tells nobody who else may see a project."""
    return api.HostedRepository(
        repository=api.Repository(host=host, path=name),
        id=project.id,
        default_branch=head.removeprefix("refs/heads/") if head else None,
        description=project.description or "",
        archived=None if project.state is None else project.state != "ACTIVE",
        url=f"{site}/admin/repos/{quote(name)}",
    )


def hosted_change(host: str, site: str, change: Change, *, detailed: bool = False) -> api.HostedChange:
    """`detailed`: with reviews and its message. Raises `ProviderError` when it does not say its commit."""
    sha, revision = change.current()
    repository = api.Repository(host=host, path=change.project)
    ref = revision.ref or f"refs/changes/{change.number % 100:02d}/{change.number}/{revision.number}"
    message = (revision.commit.message if revision.commit else None) or ""
    state = _STATES.get(change.status)
    if state is None:
        raise api.ProviderError(f"Gerrit says that change {change.number} is {change.status[:40]!r}")
    return api.HostedChange(
        repository=repository,
        number=change.number,
        title=change.subject,
        state=state,
        source=api.ChangeSource(repository=repository, branch=ref.removeprefix("refs/"), sha=_sha(sha)),
        target=api.ChangeTarget(branch=change.branch.removeprefix("refs/heads/")),
        author=change.owner.shown(),
        body=message.partition("\n")[2].strip() if detailed else "",
        draft=change.work_in_progress or change.is_private or change.status == "DRAFT",
        labels=tuple(change.hashtags or ()),
        reviews=reviews(change, _sha(sha)) if detailed else None,
        mergeable=change.mergeable,
        head_ref=ref,
        revision=_sha(sha),
        url=change_url(site, change),
    )


def reviews(change: Change, sha: str) -> tuple[api.Review, ...]:
    """Every vote on the current patch set, by label and person; the outermost votes of a label decide."""
    found = []
    for name, label in sorted((change.labels or {}).items()):
        values = [int(text) for text in label.values or () if re.fullmatch(r"[ +-]?\d{1,3}", text)]
        for vote in label.all or ():
            if not vote.value:
                continue
            state: api.ReviewState = "commented"
            if vote.value == max(values, default=None) or (not values and vote.value > 0):
                state = "approved"
            elif vote.value == min(values, default=None) or (not values and vote.value < 0):
                state = "rejected"
            found.append(api.Review(author=vote.shown(), state=state, sha=sha, label=name, vote=vote.value))
    return tuple(found)


def change_url(site: str, change: Change) -> str:
    """Where people look at it."""
    return f"{site}/c/{quote(change.project)}/+/{change.number}"


def changed_file(path: str, info: FileInfo) -> api.ChangedFile:
    """One of a change's files."""
    status = _FILE_STATES.get(info.status or "M", "modified")
    return api.ChangedFile(path=path, status=status, previous_path=info.old_path)


def commit(logged: LoggedCommit) -> api.Commit:
    """One of a log."""
    return api.Commit(
        id=_sha(logged.commit),
        message=logged.message,
        author=api.Person(name=logged.author.name or "", email=logged.author.email or ""),
    )


def moment(text: str) -> datetime:
    """`2026-01-05 12:00:00.000000000`, which is UTC; to the second. Raises `ProviderError`."""
    found = _MOMENT.fullmatch(text)
    try:
        return datetime.strptime(found[1] if found else text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise api.ProviderError("Gerrit gave a time of another form than it documents") from None


def sha_of(ref: Ref) -> str:
    """The commit that a branch or tag leads to. Raises `ProviderError`."""
    return _sha(ref.object or ref.revision)


def _sha(text: str) -> str:
    try:
        return api.full_sha(text)
    except ValueError as error:
        raise api.ProviderError(f"Gerrit gave another commit id than a full one: {error}") from None
