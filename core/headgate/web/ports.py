"""What the routes ask of the rooms beside and below them, as small protocols; not how it is done.

`web` may not import `builds`, `scheduling` or `notifications`: the composition root hands in what fits these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from headgate.api import Build, HeadgateError, HookDelivery, Job, Problem, Provider, Reading
from headgate.plugins.guard import Guard, lone_guard
from headgate.storage.deliveries import NewDelivery
from headgate.web.senders import Senders


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One configured connection. `provider` is `None` while it is not open, and `problem` says why.

    `kind` is the provider's name (`github`), `event_header` the lower-case header that names a delivery's event.
    """

    name: str
    kind: str
    provider: Provider | None
    problem: str = ""
    event_header: str | None = None
    guard: Guard = field(default_factory=lone_guard, compare=False)
    """Stands at every call of the provider."""
    senders: Senders = field(default_factory=Senders, compare=False)
    """From where it takes deliveries, and how many."""
    recovers: bool = False
    """Whether its host is asked to send again what it could not deliver."""


class Received(Protocol):
    """Told after a delivery is on disk, to wake whoever routes it. Must not block or raise.

    `reading` is what it says where that was read already, so that nobody has to read it twice.
    """

    def __call__(self, delivery: NewDelivery, reading: Reading | None, /) -> None:
        """Wake up."""


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs in force, sorted by name, and what is wrong with job files right now."""

    jobs: Mapping[str, Job]
    problems: tuple[Problem, ...] = ()


class ReadJobs(Protocol):
    """The current snapshot; another one after a reload."""

    def __call__(self) -> JobList:
        """Cheap: no copy."""


class RunJob(Protocol):
    """Ask for one build of one job."""

    async def __call__(
        self,
        job: str,
        *,
        ref: str | None,
        sha: str | None,
        parameters: Mapping[str, str],
        reason: str,
        actor: str,
        idempotency_key: str | None,
    ) -> Build:
        """The queued build; the same one for the same `idempotency_key`, also after a restart.

        Raises `NotFound` for an unknown job, `QueueError` for parameters or a state that forbid it.
        """


class CancelBuild(Protocol):
    """Ask for a build's end."""

    async def __call__(self, build_id: str, *, actor: str, reason: str) -> Build:
        """The build as it is then; a running one ends soon after. Idempotent. Raises `NotFound`, `QueueError`."""


class Replay(Protocol):
    """Route a kept delivery once more, as a new one."""

    async def __call__(self, delivery_id: str, *, actor: str, idempotency_key: str | None) -> str:
        """The new delivery's id; the same one for the same `idempotency_key`. Raises `NotFound`, `QueueError`."""


class FoundMissed(Protocol):
    """What a look at one repository's history found."""

    @property
    def hook(self) -> str:
        """The webhook that leads here, by its host's id."""

    @property
    def deliveries(self) -> Sequence[HookDelivery]:
        """One entry of each delivery that failed and was not recorded, oldest first."""

    @property
    def unknown(self) -> str:
        """What could not be seen, empty when all was."""


class GivenMissed(Protocol):
    """What came of asking a host to send deliveries again."""

    @property
    def asked(self) -> Sequence[HookDelivery]:
        """Those that it sends again."""

    @property
    def refused(self) -> Sequence[tuple[HookDelivery, str]]:
        """Those that it does not, each with the reason."""

    @property
    def stopped(self) -> HeadgateError | None:
        """Why not all were asked for."""


class Missed(Protocol):
    """Looks for what a connection's host could not deliver."""

    async def find(self, asked: Connection, repository: str, *, since: datetime) -> FoundMissed:
        """What failed since then and was not recorded. Raises `HeadgateError`."""

    async def ask(self, asked: Connection, repository: str, hook: str, wanted: Sequence[HookDelivery]) -> GivenMissed:
        """Have these sent again."""


class LogLine(Protocol):
    """One line of a build's log."""

    @property
    def number(self) -> int:
        """From 0."""

    @property
    def milliseconds(self) -> int:
        """Since the build started."""

    @property
    def step(self) -> int:
        """Which step wrote it, from 1; 0 is Headgate itself."""

    @property
    def text(self) -> str:
        """Without the line end, masked."""


class LogPage(Protocol):
    """Some lines in a row."""

    @property
    def lines(self) -> Sequence[LogLine]:
        """The lines."""

    @property
    def next(self) -> int:
        """The number after the last one."""

    @property
    def more(self) -> bool:
        """Whether there are further lines now."""


class LogReader(Protocol):
    """What one build wrote so far."""

    def page(self, first: int, limit: int) -> LogPage:
        """At most `limit` lines from number `first` on. Reads a file: called in a thread."""


class Logs(Protocol):
    """What builds wrote. Nothing, for a build that wrote nothing."""

    def reader(self, build_id: str) -> LogReader:
        """One build's log."""

    def follow(
        self, build_id: str, *, first: int, done: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Sequence[LogLine]]:
        """Lines from number `first` on as they are written, until `done` says that the build is finished."""
