"""The webhooks of a repository at Bitbucket; not the deliveries they send.

Source: https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from headgate import api
from headgate.api.client import Client
from headgate_plugins.bitbucket import answers
from headgate_plugins.bitbucket.client import PAGE
from headgate_plugins.bitbucket.names import below
from headgate_plugins.bitbucket.webhooks import EVENTS

DESCRIPTION = "Headgate"


class Hooks:
    """`ManagesHooks`. Ids are Bitbucket's, braces included."""

    _client: Client
    _secrets: tuple[api.Secret, ...]

    def hook_events(self) -> tuple[str, ...]:
        """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/"""
        return tuple(EVENTS)

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""
        path = below(repository, "hooks")
        async for hook in self._client.pages(path, type=answers.Webhook, params={"pagelen": PAGE}):
            yield hook.hook()

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""
        body = self._wanted(wanted)
        return (await self._client.post(below(repository, "hooks"), body, type=answers.Webhook)).hook()

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """The secret is kept by a request without one, so ours is always sent."""
        body = self._wanted(wanted)
        return (await self._client.put(below(repository, "hooks", hook), body, type=answers.Webhook)).hook()

    async def delete_hook(self, repository: str, hook: str) -> None:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""
        with contextlib.suppress(api.NotFound):
            await self._client.delete(below(repository, "hooks", hook))

    def _wanted(self, wanted: api.WantedHook) -> dict[str, Any]:
        """https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/ has the secret and what is signed."""
        body: dict[str, Any] = {
            "description": DESCRIPTION,
            "url": wanted.url,
            "active": True,
            "skip_cert_verification": False,
            "events": list(wanted.events or self.hook_events()),
        }
        secret = wanted.secret or (self._secrets[0] if self._secrets else None)
        if secret is not None:
            body["secret"] = secret.reveal()
        return body
