"""An open connection to a Fossil server: what it checks, and what it can do; not what payloads mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from headgate import api
from headgate.api.client import Authorization, BaseUrl, Bounds, Client, Dialect
from headgate_plugins.fossil.mirrors import Mirrors
from headgate_plugins.fossil.names import normalise
from headgate_plugins.fossil.program import run_fossil
from headgate_plugins.fossil.webhooks import read_at

DIALECT = Dialect(name="Fossil", headers={"Accept": "*/*"})
BOUNDS = Bounds(most_bytes=1_048_576, attempts=2)


@asynccontextmanager
async def open_connection(options: Mapping[str, Any], host: api.Host) -> AsyncIterator[Fossil]:
    """A connection whose `options` fit the schema. Raises `CredentialError` when a webhook secret cannot be had."""
    base = BaseUrl.read(options["base_url"], configured=True)
    mirrors = Mirrors(Path(options["mirrors"]), base.url, host=host)
    try:
        yield Fossil(
            base=base,
            client=Client(host, base, dialect=DIALECT, authorize=_nobody, bounds=BOUNDS),
            mirrors=mirrors,
            home=Path(options["mirrors"]),
            secrets=await api.webhook_secrets(options, host),
            accept_unsigned=options.get("accept_unsigned") == api.ACCEPT_UNSIGNED,
        )
    finally:
        await mirrors.close()


class Fossil:
    """One connection. Its methods are the capabilities of `headgate.api.providers`."""

    def __init__(
        self,
        *,
        base: BaseUrl,
        client: Client,
        mirrors: Mirrors,
        home: Path,
        secrets: Sequence[api.Secret],
        accept_unsigned: bool = False,
    ) -> None:
        """Without `secrets` nothing is accepted, unless `accept_unsigned` says so."""
        self._host_name = api.host_of(base.url)
        self._client = client
        self._mirrors = mirrors
        self._home = home
        self._secrets = tuple(secrets)
        self._accept_unsigned = accept_unsigned and not secrets

    def authenticate(self, delivery: api.Delivery) -> api.Seal:
        """Standard Webhooks (https://www.standardwebhooks.com/), as our hook signs."""
        if self._accept_unsigned:
            return api.Seal(key=api.delivery_key(delivery, "webhook-id"))
        return api.standard_webhooks_seal(delivery, self._secrets)

    def parse(self, delivery: api.Delivery) -> api.Reading:
        """What it says, with the host of this connection."""
        return read_at(delivery, self._host_name)

    async def clone_source(self, repository: str) -> api.CloneSource:
        """Our Git mirror of it, brought up to date first."""
        try:
            path = normalise(repository)
        except ValueError as error:
            raise api.NotFound(str(error)) from None
        return api.CloneSource(url=str(await self._mirrors.fresh(path)))

    async def test_connection(self) -> api.ConnectionReport:
        """Whether `fossil` is here and the server there. Only what everybody may read is read, so there is no user."""
        self._home.mkdir(parents=True, exist_ok=True)
        version = (await run_fossil(["version"], home=self._home, what="asking for its version")).strip()
        message = version
        try:
            await self._client.call("GET", "/")
        except api.NotFound:
            message = f"{version}; nothing is at the base URL itself, as is normal where several repositories are below"
        return api.ConnectionReport(message=message)


async def _nobody(*, renew: bool) -> Authorization:  # noqa: ARG001 - the signature of `Authorize`
    return Authorization()
