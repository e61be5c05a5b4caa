"""What the code for one kind of Git hosting must do, and what a build needs of it; `capabilities` has the rest.

The host asks `isinstance(provider, Capability)`; nobody raises "not supported". All methods are called on one
event loop, possibly concurrently. URLs come from the connection's configuration, never from a payload.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from headgate.api.credentials import Credential
from headgate.api.deliveries import Delivery, Reading, Seal
from headgate.api.events import Push, Repository


@runtime_checkable
class Provider(Protocol):
    """One open connection. Both methods are pure: no I/O, no clock but the delivery's `received_at`."""

    def authenticate(self, delivery: Delivery) -> Seal:
        """The seal, checked over the raw body; raises `Unauthenticated`, and nothing else, for all others.

        `CannotCheckYet` is for a seal whose certificate the connection is fetching, in a task of its own.
        """

    def parse(self, delivery: Delivery) -> Reading:
        """What a sealed delivery says; raises `Unreadable`, and nothing else, when it is not what its type promises."""


class CloneSource(msgspec.Struct, frozen=True, kw_only=True):
    """From where git fetches. `url` carries no user or password; they travel beside it as `credential`.

    `credential` is of type `token` or `user_password` for https, `ssh_key` for ssh, `None` for none.
    """

    url: str
    credential: Credential | None = None
    username: str = "x-access-token"
    """The user name a `token` credential goes with: GitHub takes any, GitLab wants `oauth2`."""


@runtime_checkable
class ClonesSource(Protocol):
    """Can say from where git fetches a repository; with it, polling and checkout work."""

    async def clone_source(self, repository: str) -> CloneSource:
        """`repository`: a path as a job or an event names it. Raises `CredentialError` or `ProviderError`."""


StatusState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "errored", "cancelled"]


class CommitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What to show beside a commit. `context` names the line that a newer status replaces."""

    context: str
    state: StatusState
    description: str
    url: str | None = None


@runtime_checkable
class ReportsStatus(Protocol):
    """Can show a build's state beside its commit."""

    async def report_status(self, repository: Repository, sha: str, status: CommitStatus) -> None:
        """Set it. Idempotent. Raises `ProviderError`: `RateLimited` and `Unavailable` are retried, others are not."""


@runtime_checkable
class KnowsChangedPaths(Protocol):
    """Can tell the paths a push changed when its payload does not, cheaper than a fetch."""

    async def changed_paths(self, push: Push) -> tuple[str, ...]:
        """All of them, sorted. Raises `ProviderError` when they cannot all be learned."""


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection's credential is and may do. `missing` names permissions that its features need.

    `scopes` and `permissions` are in the host's own words; a host that tells neither leaves them empty.
    """

    user: str | None = None
    scopes: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    expires_at: datetime | None = None
    message: str = ""


@runtime_checkable
class TestsConnection(Protocol):
    """Can try its own credential."""

    async def test_connection(self) -> ConnectionReport:
        """One cheap authenticated request. Raises `ProviderError` or `CredentialError`."""
