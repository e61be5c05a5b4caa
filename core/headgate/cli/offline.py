"""What a plugin is given by a command that opens it without a server: a log and threads; no HTTP and no secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from headgate.api import CallMetrics, Credential, CredentialError, Logger, PluginError, Secret

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")


class OfflineHost:
    """A `headgate.api.Host` for the credential stores that `headgate credentials` opens."""

    def __init__(self, name: str) -> None:
        """`name`: as the admin configured it."""
        self._name = name

    @property
    def name(self) -> str:
        """The name of what is opened."""
        return self._name

    @property
    def log(self) -> Logger:
        """A logger that names it."""
        # Late: most commands never log.
        import structlog

        logger: Logger = structlog.get_logger().bind(plugin=self._name)
        return logger

    @property
    def http(self) -> aiohttp.ClientSession:
        """None here: a store that needs the network says so through the server."""
        raise PluginError("it needs HTTP, which a command does not give it", plugin=self._name)

    @property
    def metrics(self) -> CallMetrics:
        """None: without HTTP there is nothing to count."""
        raise PluginError("it counts calls, which a command does not let it make", plugin=self._name)

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    async def secret(self, reference: str, *, for_host: str | None = None) -> Credential:  # noqa: ARG002 - the protocol's
        """Always `CredentialError`: a store cannot be opened with a secret from a store."""
        raise CredentialError(f"{reference} cannot be looked up while the stores themselves are opened")

    async def keep_secret(self, reference: str, credential: Credential) -> None:  # noqa: ARG002 - the protocol's
        """Always `CredentialError`: nothing is renewed without a server."""
        raise CredentialError(f"{reference} cannot be kept by a command that only opens the stores")

    def mask(self, *secrets: Secret) -> None:
        """Nothing: a command that opens a store shows none of its secrets."""

    def masked(self, text: str) -> str:
        """`text`."""
        return text

    async def blocking(self, call: Callable[[], T]) -> T:
        """Run `call` in a thread."""
        return await asyncio.to_thread(call)
