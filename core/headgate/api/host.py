"""All that a plugin is given; not the database, the queue or the application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import aiohttp

    from headgate.api.credentials import Credential

T = TypeVar("T")


class Logger(Protocol):
    """A bound structured logger: an event name and key-value pairs. Secrets are masked, yet do not try it."""

    def debug(self, event: str, **values: Any) -> Any:
        """For the one who hunts a fault."""

    def info(self, event: str, **values: Any) -> Any:
        """Something an admin may want to see."""

    def warning(self, event: str, **values: Any) -> Any:
        """Something an admin should look at."""

    def error(self, event: str, **values: Any) -> Any:
        """Something an admin must look at."""


class Host(Protocol):
    """What the core does for one plugin; each plugin has its own."""

    @property
    def name(self) -> str:
        """The name under which the admin configured this: the connection, store, notifier or executor."""

    @property
    def log(self) -> Logger:
        """A logger that already names the plugin."""

    @property
    def http(self) -> aiohttp.ClientSession:
        """The shared HTTP client: pooled, time-limited, never following redirects to other hosts."""

    def now(self) -> datetime:
        """Aware UTC. Use it instead of the clock, so that tests can turn it."""

    async def secret(self, reference: str, *, for_host: str | None = None) -> Credential:
        """What `secret://store/name` stands for.

        `for_host` is the host the secret is about to travel to; `None` when it stays here (to verify a
        signature). Raises `CredentialError` when it is missing or not bound to that host.
        """

    async def blocking(self, call: Callable[[], T]) -> T:
        """Run `call` in a bounded thread pool; for libraries that know no asyncio."""
