"""Facts in our own language, whatever brought them; not what a provider happens to send.

Every value is frozen, keyword-only and survives JSON (`msgspec.json.encode` and back through `Event`).
Refs are full (`refs/heads/main`), shas are full lower-case hex, a missing side of a push is `None`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

ZERO_SHAS = frozenset({"0" * 40, "0" * 64})
"""What git writes for "no object": one of these in a payload becomes `None` in an event."""


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository as its provider spells it: `host` in lower case, `path` without slashes at the ends or `.git`."""

    host: str
    path: str

    def __str__(self) -> str:
        """`github.com/acme/web`."""
        return f"{self.host}/{self.path}"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a commit, as the commit says it (unverified)."""

    name: str = ""
    email: str = ""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of a push. `paths` are all paths it added, changed or removed; `None`: the sender did not say."""

    id: str
    message: str = ""
    author: Person = Person()
    url: str | None = None
    paths: tuple[str, ...] | None = None


class Push(msgspec.Struct, frozen=True, kw_only=True, tag="push"):
    """A branch head moved. `before` is `None` when it was created, `after` when it was deleted.

    `before_known=False`: the sender says only where the branch is now, and `before` is `None` without a meaning; else
    it is left out.
    `commits` may be fewer than were pushed (providers cut the list): only `commits_complete` says they are all.
    """

    repository: Repository
    ref: str
    before: str | None
    after: str | None
    actor: str | None = None
    url: str | None = None
    forced: bool = False
    commits: tuple[Commit, ...] = ()
    commits_complete: bool = False
    default_branch: str | None = None
    """The repository's default branch, where the sender says it."""
    before_known: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def branch(self) -> str:
        """The short name: `main` for `refs/heads/main`."""
        return self.ref.removeprefix("refs/heads/")


class Tag(msgspec.Struct, frozen=True, kw_only=True, tag="tag"):
    """A tag was created, moved or deleted. `tag` is the short name, `ref` the full one; `before_known` as of a push.

    `before` and `after` are what the ref holds: of an annotated tag the tag's own object. `commit` is what that leads
    to, where somebody told; a build finds it otherwise.
    """

    repository: Repository
    ref: str
    tag: str
    before: str | None
    after: str | None
    actor: str | None = None
    url: str | None = None
    forced: bool = False
    commits: tuple[Commit, ...] = ()
    before_known: bool | msgspec.UnsetType = msgspec.UNSET
    commit: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def sha(self) -> str | None:
        """The commit as far as it is known: else what the ref holds, `None` when the tag was deleted."""
        return self.commit or self.after


class ChangeSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change request comes from. `repository` is `None` when the fork was deleted.

    `sha` is abbreviated where the host says no more (Bitbucket Cloud: 12 digits), and a build finds the full one. It
    is `None` where the host names no commit (Gogs): a build takes what `head_ref` leads to when it begins.
    """

    repository: Repository | None
    branch: str
    sha: str | None


class ChangeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a change request wants to go. `sha` is the target's head when the provider says it, maybe abbreviated."""

    branch: str
    sha: str | None = None


ChangeAction: TypeAlias = Literal[
    "opened",
    "updated",
    "reopened",
    "edited",
    "labelled",
    "unlabelled",
    "draft",
    "ready",
    "approved",
    "rejected",
    "merged",
    "closed",
]


class ChangeRequest(msgspec.Struct, frozen=True, kw_only=True, tag="change_request"):
    """A pull request, merge request or Gerrit change was opened or something happened to it.

    `head_ref` is the ref under which the *target* repository offers the head (`refs/pull/7/head`), so that
    a fork never has to be fetched; `None` where the provider has no such ref.
    """

    repository: Repository
    number: int
    action: ChangeAction
    title: str
    source: ChangeSource
    target: ChangeTarget
    author: str
    actor: str | None = None
    url: str | None = None
    from_fork: bool = False
    draft: bool = False
    labels: tuple[str, ...] = ()
    head_ref: str | None = None

    def __post_init__(self) -> None:
        """`ValueError` where nobody could find the head: a build would take the default branch for it."""
        if self.source.sha is None and self.head_ref is None:
            raise ValueError(f"change request {self.number} names neither the commit of its head nor a ref to it")


class Comment(msgspec.Struct, frozen=True, kw_only=True, tag="comment"):
    """Somebody wrote. `change` is the change request's number, `None` for a comment on a commit or an issue."""

    repository: Repository
    on: Literal["change_request", "review", "commit", "issue"]
    action: Literal["created", "edited", "deleted"]
    body: str
    author: str
    change: int | None = None
    sha: str | None = None
    actor: str | None = None
    url: str | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, tag="release"):
    """A release was published or changed; `tag` is the short tag name."""

    repository: Repository
    tag: str
    name: str
    action: str
    prerelease: bool = False
    draft: bool = False
    actor: str | None = None
    url: str | None = None


class CiStatus(msgspec.Struct, frozen=True, kw_only=True, tag="ci_status"):
    """Another system reported on a commit."""

    repository: Repository
    sha: str
    context: str
    state: Literal["pending", "success", "failure", "error"]
    branches: tuple[str, ...] = ()
    actor: str | None = None
    url: str | None = None


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """The provider asks whether anybody listens. `repository` is `None` for organisation hooks."""

    repository: Repository | None = None
    actor: str | None = None
    url: str | None = None


class PollRequested(msgspec.Struct, frozen=True, kw_only=True, tag="poll_requested"):
    """Somebody says a repository moved and cannot prove it: the repository is asked, nothing else is believed."""

    repository: Repository
    actor: str | None = None
    url: str | None = None


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag="tick"):
    """A timetable came due for one job."""

    job: str
    scheduled_for: datetime


class Manual(msgspec.Struct, frozen=True, kw_only=True, tag="manual"):
    """A person or a program asked for one job. `ref` may be short; `sha` wins over `ref`; neither: the default branch.

    `parameters` are what was given, not yet validated.
    """

    job: str
    actor: str
    ref: str | None = None
    sha: str | None = None
    parameters: dict[str, str] = {}
    reason: str = ""


class BuildFinished(msgspec.Struct, frozen=True, kw_only=True, tag="build_finished"):
    """A build of ours ended; `outcome` is a word of `headgate.api.builds.Outcome`."""

    job: str
    build_id: str
    outcome: str


Event: TypeAlias = (
    Push | Tag | ChangeRequest | Comment | Release | CiStatus | Ping | PollRequested | Tick | Manual | BuildFinished
)
"""Any of the above; `msgspec.json.decode(text, type=Event)` reads one back by its `type`."""

REF_EVENTS = (Push, Tag)
"""The events that move a ref, and so pass through the ledger of ref transitions."""


def event_type(event: Event) -> str:
    """The word under which an event is stored, counted and shown: `push`, `change_request`, …"""
    return str(event.__struct_config__.tag)


def sha_or_none(sha: str | None) -> str | None:
    """A payload's sha as an event says it: git's all-zero "no object" and the empty string become `None`."""
    return None if not sha or sha in ZERO_SHAS else sha.lower()
