"""News about a build for one target, kept until told; not when it is tried again, which is the host's."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from headgate.api.builds import Build
from headgate.api.providers import Provider

Phase: TypeAlias = Literal["queued", "running", "finished"]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news. `id` is the same on every try, so that a receiver can tell a repetition.

    `sequence` grows with every change of the build: a target never gets an older one after a newer one.
    `options` is the job's block under `notify:`; `url` is where a person sees the build.
    """

    id: str
    build: Build
    phase: Phase
    options: dict[str, Any]
    sequence: int
    attempt: int
    url: str


@runtime_checkable
class Notifier(Protocol):
    """One way of telling. `tell` may be called again with the same notification after a failure or a crash."""

    def wants(self, phase: Phase, build: Build, options: dict[str, Any]) -> bool:
        """Whether this block asks for this news at all; pure, called when the news is made."""

    def order_key(self, build: Build, options: dict[str, Any]) -> str:
        """News with equal keys overwrite each other (a commit status line): only the newest is told; pure."""

    async def tell(self, notification: Notification, provider: Provider | None) -> None:
        """Tell it. `provider` is the build's connection, `None` when it is gone from the configuration.

        Raises `RateLimited` or `Unavailable` to be called again later; any other `HeadgateError` is final.
        """
