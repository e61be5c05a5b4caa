"""The webhooks of a repository of Bitbucket Data Center; not those of its project, nor what they delivered.

Bitbucket keeps the latest delivery of a webhook and some counts, which is no history, and sends none again.
Source of all: https://developer.atlassian.com/server/bitbucket/rest/v819/api-group-repository/
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from headgate import api
from headgate.api.client import Client, segment
from headgate_plugins.bitbucket_server import answers
from headgate_plugins.bitbucket_server.client import PAGE, repository_path
from headgate_plugins.bitbucket_server.webhooks import SUBSCRIBED

NAME = "Headgate"
"""Every webhook must have one."""


class Hooks:
    """`headgate.api.capabilities.ManagesHooks`; all of it needs `REPO_ADMIN`."""

    _client: Client
    _secrets: tuple[api.Secret, ...]

    def hook_events(self) -> tuple[str, ...]:
        """Those that are documented."""
        return SUBSCRIBED

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """With how their requests went."""
        params = {"statistics": True, "limit": PAGE}
        path = f"{repository_path(repository)}/webhooks"
        async for found in self._client.pages(path, type=answers.Webhook, params=params):
            yield answers.hook(found)

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """A version that does not know one of the events refuses all of them."""
        path = f"{repository_path(repository)}/webhooks"
        return answers.hook(await self._client.post(path, self._body(wanted), type=answers.Webhook))

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """All of it is replaced."""
        path = f"{repository_path(repository)}/webhooks/{segment(hook)}"
        return answers.hook(await self._client.put(path, self._body(wanted), type=answers.Webhook))

    async def delete_hook(self, repository: str, hook: str) -> None:
        """None there is fine."""
        with contextlib.suppress(api.NotFound):
            await self._client.delete(f"{repository_path(repository)}/webhooks/{segment(hook)}")

    def _body(self, wanted: api.WantedHook) -> dict[str, Any]:
        """Without any secret only where the connection takes what is not signed."""
        secret = wanted.secret or next(iter(self._secrets), None)
        return {
            "name": NAME,
            "url": wanted.url,
            "events": list(wanted.events or SUBSCRIBED),
            "active": True,
            "configuration": {"secret": secret.reveal()} if secret else {},
            "sslVerificationRequired": True,
        }
