"""A repository's webhooks at GitHub, what they delivered, and having it delivered again; not what deliveries say.

https://docs.github.com/en/rest/repos/webhooks
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.github.answers import Moment
from headgate_plugins.github.client import PAGE
from headgate_plugins.github.names import number
from headgate_plugins.github.reading import Reads
from headgate_plugins.github.webhooks import EVENTS

_SUCCESS = range(200, 300)


class Hooks(Reads):
    """See `headgate.api.ManagesHooks`, `headgate.api.KnowsHookDeliveries` and `headgate.api.RedeliversHooks`."""

    _secrets: Sequence[api.Secret]

    def hook_events(self) -> tuple[str, ...]:
        """All that are read, but `ping`, which nobody can order."""
        return tuple(sorted(EVENTS.keys() - {"ping"}))

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """https://docs.github.com/en/rest/repos/webhooks#list-repository-webhooks; what is no webhook is left out."""
        client, path = await self._at(repository)
        async for found in client.pages(f"{path}/hooks", type=_Hook, params={"per_page": PAGE}):
            if found.name in {None, "web"}:
                yield found.value()

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """https://docs.github.com/en/rest/repos/webhooks#create-a-repository-webhook; `Conflict` for the same URL twice."""
        client, path = await self._at(repository)
        return (await client.post(f"{path}/hooks", {"name": "web", **self._body(wanted)}, type=_Hook)).value()

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """https://docs.github.com/en/rest/repos/webhooks#update-a-repository-webhook"""
        client, path = await self._at(repository)
        place = f"{path}/hooks/{number(hook, 'webhook')}"
        return (await client.patch(place, self._body(wanted), type=_Hook, idempotent=True)).value()

    async def delete_hook(self, repository: str, hook: str) -> None:
        """https://docs.github.com/en/rest/repos/webhooks#delete-a-repository-webhook"""
        client, path = await self._at(repository)
        try:
            await client.delete(f"{path}/hooks/{number(hook, 'webhook')}")
        except api.NotFound:
            await client.call("GET", path)  # it is the hook that is not there, and not the repository or the right

    async def hook_deliveries(self, repository: str, hook: str) -> AsyncIterator[api.HookDelivery]:
        """https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook, of about 30 days."""
        client, path = await self._at(repository)
        place = f"{path}/hooks/{number(hook, 'webhook')}/deliveries"
        async for found in client.pages(place, type=_Delivery, params={"per_page": PAGE}):
            yield found.value()

    async def redeliver(self, repository: str, hook: str, delivery: str) -> None:
        """https://docs.github.com/en/rest/repos/webhooks#redeliver-a-delivery-for-a-repository-webhook"""
        client, path = await self._at(repository)
        place = f"{path}/hooks/{number(hook, 'webhook')}/deliveries/{number(delivery, 'delivery')}/attempts"
        await client.call("POST", place)

    def _body(self, wanted: api.WantedHook) -> dict[str, Any]:
        """All of it: an update replaces `config` whole, so one without its secret would be unsigned."""
        secret = wanted.secret or next(iter(self._secrets), None)
        if secret is None:
            raise api.CredentialError("a webhook needs a secret, and this connection has none")
        return {
            "active": True,
            "events": list(wanted.events or self.hook_events()),
            "config": {
                "url": wanted.url,
                "content_type": "json",
                "secret": secret.reveal(),
                "insecure_ssl": "0",
            },
        }


class _Config(msgspec.Struct, frozen=True):
    url: str = ""
    secret: str | None = None
    insecure_ssl: str | int | None = None


class _Response(msgspec.Struct):
    code: int | None = None


class _Hook(msgspec.Struct):
    id: int
    name: str | None = None
    active: bool = True
    events: list[str] = []
    config: _Config = _Config()
    last_response: _Response | None = None

    def value(self) -> api.Hook:
        """GitHub shows a secret as asterisks, and `insecure_ssl` as text or number; before the first it has no answer."""
        insecure, code = self.config.insecure_ssl, self.last_response.code if self.last_response else None
        return api.Hook(
            id=str(self.id),
            url=self.config.url,
            events=tuple(self.events),
            active=self.active,
            has_secret=bool(self.config.secret),
            verifies_tls=None if insecure is None else str(insecure) == "0",
            healthy=None if code is None else code in _SUCCESS,
        )


class _Delivery(msgspec.Struct):
    id: int
    event: str
    delivered_at: Moment
    guid: str | None = None
    status_code: int | None = None
    redelivery: bool = False

    def value(self) -> api.HookDelivery:
        """GitHub counts no answer as 0."""
        return api.HookDelivery(
            id=str(self.id),
            key=self.guid,
            event=self.event,
            at=self.delivered_at,
            status=self.status_code or None,
            redelivery=self.redelivery,
        )
