"""All that a plugin is given; not the database, the queue or the application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import aiohttp

    from headgate.api.credentials import Credential, Secret

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


class CallMetrics(Protocol):
    """Counts requests to a provider's API; whose they are is known already. Methods are cheap and never raise."""

    def observe_call(self, seconds: float, *, status: str) -> None:
        """One request. `status`: `2xx` to `5xx`, or `none` when no usable answer came."""

    def call_retried(self) -> None:
        """A request is made again."""

    def rate_limit_waited(self, seconds: float) -> None:
        """A request waits so long for a rate limit to end."""


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
        """The shared HTTP client: pooled, time-limited, never connecting to metadata services.

        Providers do not use it by hand: `headgate.api.client` is built on it, and keeps credentials where they belong.
        """

    @property
    def metrics(self) -> CallMetrics:
        """Where calls of this plugin object are counted; `headgate.api.client` does it."""

    def now(self) -> datetime:
        """Aware UTC. Use it instead of the clock, so that tests can turn it."""

    async def secret(self, reference: str, *, for_host: str | None = None) -> Credential:
        """What `secret://store/name` stands for.

        `for_host` is the host the secret is about to travel to; `None` when it stays here (to verify a
        signature). Raises `CredentialError` when it is missing or not bound to that host.
        """

    async def keep_secret(self, reference: str, credential: Credential) -> None:
        """Durably keep what `reference` has become, because it was renewed (a rotated refresh token); masked.

        `credential` replaces the one of the same type, hosts and `version`, as `secret` gave it. Raises
        `CredentialError` when there is another meanwhile (somebody's newer one wins), or the store cannot be written.
        """

    def mask(self, *secrets: Secret) -> None:
        """From now on mask these wherever they turn up. What `secret` gave is masked already; derived tokens are not."""

    def masked(self, text: str) -> str:
        """`text` with `***` for every secret known so far, for messages that repeat what another side said."""

    async def blocking(self, call: Callable[[], T]) -> T:
        """Run `call` in a bounded thread pool; for libraries that know no asyncio."""
