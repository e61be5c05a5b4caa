"""What a provider may be able to do beyond its two duties, one small protocol each; not the values they give.

A provider implements those its host has. Every method takes a repository's path as a job or an event names it, may be
called concurrently on one event loop, asks the base URL of its connection only, and raises `ProviderError`
(`Refused`, `NotFound`, `Conflict`, `RateLimited`, `Unavailable`) or `CredentialError`. Listings are async iterators
that fetch pages as they are wanted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import msgspec

from headgate.api.events import Commit, Repository
from headgate.api.files import FileCommit, FileContent, MergeMethod, NewChange
from headgate.api.hooks import Hook, HookDelivery, WantedHook
from headgate.api.hosting import (
    Branch,
    ChangedFile,
    ChangeState,
    CiJob,
    CiRun,
    Comparison,
    Contributor,
    HostedChange,
    HostedRepository,
    HostedTag,
    Issue,
    Member,
    RepositoryQuery,
)
from headgate.api.providers import ClonesSource, KnowsChangedPaths, ReportsStatus, StatusState, TestsConnection


@runtime_checkable
class ReadsRepositories(Protocol):
    """Can tell what a repository is and holds without a clone."""

    async def repository(self, repository: str) -> HostedRepository:
        """What it is."""

    def branches(self, repository: str) -> AsyncIterator[Branch]:
        """Its branches."""

    def tags(self, repository: str) -> AsyncIterator[HostedTag]:
        """Its tags."""

    async def ref(self, repository: str, ref: str) -> str:
        """The commit that a full ref (`refs/heads/main`, `refs/tags/v1`) leads to; annotated tags are followed."""

    def commits(self, repository: str, ref: str) -> AsyncIterator[Commit]:
        """The commits that a branch, a tag or a sha leads to, newest first; their paths are `None`."""

    async def compare(self, repository: str, base: str, head: str) -> Comparison:
        """What is in `head` and not in `base`; each a branch, a tag or a sha."""


@runtime_checkable
class ReadsChanges(Protocol):
    """Can tell about change requests."""

    def changes(self, repository: str, state: ChangeState | None = "open") -> AsyncIterator[HostedChange]:
        """Those in a state, `None`: all; without their reviews."""

    async def change(self, repository: str, number: int) -> HostedChange:
        """One of them, with its reviews."""

    def changed_files(self, repository: str, number: int) -> AsyncIterator[ChangedFile]:
        """All files that it changes."""


@runtime_checkable
class KnowsPeople(Protocol):
    """Can tell who works on a repository."""

    def members(self, repository: str) -> AsyncIterator[Member]:
        """Who has a right to it."""

    def contributors(self, repository: str) -> AsyncIterator[Contributor]:
        """Who wrote commits."""


@runtime_checkable
class ReadsIssues(Protocol):
    """Can tell about issues."""

    def issues(self, repository: str, state: Literal["open", "closed"] | None = "open") -> AsyncIterator[Issue]:
        """Those in a state, `None`: all. Change requests are none, also where the host mixes them."""


@runtime_checkable
class DiscoversRepositories(Protocol):
    """Can list the repositories its credential sees."""

    def discover(self, query: RepositoryQuery) -> AsyncIterator[HostedRepository]:
        """Those that fit. What the host cannot filter by is filtered here."""


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """A remark beside a line of a file, lines counting from 1."""

    path: str
    line: int
    message: str
    level: Literal["notice", "warning", "failure"] = "warning"
    end_line: int | None = None
    title: str = ""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """A build as a check: a status with room. `external_id` finds it again, so that a report can be repeated."""

    name: str
    state: StatusState
    external_id: str
    title: str = ""
    summary: str = ""
    url: str | None = None
    annotations: tuple[Annotation, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None


@runtime_checkable
class ReportsChecks(Protocol):
    """Can show a build as a check with annotations."""

    async def report_check(self, repository: Repository, sha: str, check: CheckReport) -> None:
        """Make or update the check of that `external_id`; all annotations, however many the host takes at once."""


@runtime_checkable
class ReadsCiRuns(Protocol):
    """Can tell about the runs of its host's own CI."""

    def ci_runs(self, repository: str, *, sha: str | None = None, branch: str | None = None) -> AsyncIterator[CiRun]:
        """The runs, newest first; of a commit or a branch, if given."""

    def ci_jobs(self, repository: str, run: str) -> AsyncIterator[CiJob]:
        """The jobs of the run with that `id`."""


@runtime_checkable
class ReadsFiles(Protocol):
    """Can read files without a clone."""

    async def read_file(self, repository: str, path: str, ref: str) -> FileContent:
        """A file at a branch, a tag or a sha; `Conflict` when the path is a folder."""


@runtime_checkable
class WritesFiles(Protocol):
    """Can make commits and branches without a clone."""

    async def commit_files(self, repository: str, commit: FileCommit) -> str:
        """Make one commit with all changes, or none; its sha. `Conflict` when a guard does not hold."""

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """A new branch at a commit; `Conflict` when there is one of that name."""


@runtime_checkable
class WritesChanges(Protocol):
    """Can open and merge change requests."""

    async def open_change(self, repository: str, new: NewChange) -> HostedChange:
        """Open it; `Conflict` when there is one between these branches or nothing between them."""

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: MergeMethod = "merge"
    ) -> str | None:
        """Merge it if its head is still `sha`, else `Conflict`; the merged commit where the host says it at once."""


@runtime_checkable
class ManagesHooks(Protocol):
    """Can see and set the webhooks of a repository."""

    def hook_events(self) -> tuple[str, ...]:
        """All events that `parse` can read, in the host's words, as `Hook.events` has them."""

    def hooks(self, repository: str) -> AsyncIterator[Hook]:
        """Those that it has, whoever made them."""

    async def create_hook(self, repository: str, wanted: WantedHook) -> Hook:
        """A new one, signed and active."""

    async def update_hook(self, repository: str, hook: str, wanted: WantedHook) -> Hook:
        """Make the one with that `id` as wanted, with the secret."""

    async def delete_hook(self, repository: str, hook: str) -> None:
        """Remove it; that there is none is no error."""


@runtime_checkable
class KnowsHookDeliveries(Protocol):
    """Remembers what it delivered."""

    def hook_deliveries(self, repository: str, hook: str) -> AsyncIterator[HookDelivery]:
        """What the hook sent, newest first, as far back as the host remembers."""


@runtime_checkable
class RedeliversHooks(Protocol):
    """Can deliver again what it delivered."""

    async def redeliver(self, repository: str, hook: str, delivery: str) -> None:
        """Have the delivery with that `id` sent again."""


@runtime_checkable
class KnowsSenderAddresses(Protocol):
    """Can tell from which addresses its webhooks come."""

    async def sender_addresses(self) -> tuple[str, ...]:
        """Networks in CIDR notation; they change, so ask again."""


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a stream, kept as a delivery is: `body` as it came, `key` the same whenever it is told again.

    `headers`: lower-case names, if the message has anything of that kind.
    """

    body: bytes
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class CaughtUp(msgspec.Struct, frozen=True, kw_only=True):
    """Said once by a stream that is open and has told all that was missed: whatever comes next happens now.

    `unknown`: what could not be asked for, in words for an admin; empty when nothing was missed that is not told.
    """

    unknown: str = ""


@runtime_checkable
class StreamsEvents(Protocol):
    """Tells what happens over a connection that we open and it keeps."""

    def stream(self, since: datetime | None) -> AsyncIterator[Streamed | CaughtUp] | None:
        """First what was missed, then `CaughtUp`, then what happens; `parse` reads the bodies.

        `since`: up to then nothing is missing, `None`: there was nothing before. Listen first and ask for what was
        missed then, from somewhat earlier than `since`, for clocks differ and messages travel: what is told twice is
        known by its key. Ends or raises `ProviderError` or `CredentialError` when the connection cannot be had or is
        lost, and finds out itself when the other side is silent for being gone; whoever reads it opens it again. Given
        up, it is closed (`aclose`). `None`: this connection is not configured to stream.
        """


CAPABILITIES: dict[str, type] = {
    "changed_paths": KnowsChangedPaths,
    "changes": ReadsChanges,
    "checks": ReportsChecks,
    "ci_runs": ReadsCiRuns,
    "clone": ClonesSource,
    "discover": DiscoversRepositories,
    "files": ReadsFiles,
    "hook_deliveries": KnowsHookDeliveries,
    "hooks": ManagesHooks,
    "issues": ReadsIssues,
    "people": KnowsPeople,
    "redeliver": RedeliversHooks,
    "repository": ReadsRepositories,
    "sender_addresses": KnowsSenderAddresses,
    "status": ReportsStatus,
    "stream": StreamsEvents,
    "test": TestsConnection,
    "write_changes": WritesChanges,
    "write_files": WritesFiles,
}
"""Every capability under the word that tables, the API and messages use for it."""
