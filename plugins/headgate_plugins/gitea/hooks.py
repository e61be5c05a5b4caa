"""The webhooks of a repository: `ManagesHooks`; not what they send.

No release has an API for what was delivered (https://github.com/go-gitea/gitea/issues/38463), so there is no history.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from headgate import api
from headgate.api.client import Client, segment
from headgate_plugins.gitea import answers
from headgate_plugins.gitea.client import Asks
from headgate_plugins.gitea.flavours import Flavour
from headgate_plugins.gitea.reading import repo_path


class Hooks(Asks):
    """https://docs.gitea.com/api/#tag/repository/operation/repoCreateHook"""

    def __init__(self, client: Client, flavour: Flavour, *, secrets: Sequence[api.Secret]) -> None:
        """`secrets`: those of the connection, the newest first."""
        super().__init__(client, flavour)
        self._secrets = tuple(secrets)

    def hook_events(self) -> tuple[str, ...]:
        """Those that every version has, so that an older server is not blamed for ever for what it cannot send."""
        return self._flavour.hook_events

    async def hooks(self, repository: str) -> AsyncIterator[api.Hook]:
        """https://docs.gitea.com/api/#tag/repository/operation/repoListHooks"""
        async for found in self._pages(f"{repo_path(repository)}/hooks", type=answers.Hook):
            yield found.hook()

    async def create_hook(self, repository: str, wanted: api.WantedHook) -> api.Hook:
        """Asks for newer events, too: a server that does not know them passes them over."""
        body = {"type": self._flavour.name, **self._wanted(wanted)}
        return (await self._client.post(f"{repo_path(repository)}/hooks", body, type=answers.Hook)).hook()

    async def update_hook(self, repository: str, hook: str, wanted: api.WantedHook) -> api.Hook:
        """https://docs.gitea.com/api/#tag/repository/operation/repoEditHook

        Gogs keeps the old secret whatever it is sent, so there a new webhook takes the place of the old one.
        """
        if not self._flavour.edits_secrets:
            made = await self.create_hook(repository, wanted)
            await self.delete_hook(repository, hook)
            return made
        path = f"{repo_path(repository)}/hooks/{segment(hook)}"
        return (await self._client.patch(path, self._wanted(wanted), type=answers.Hook, idempotent=True)).hook()

    async def delete_hook(self, repository: str, hook: str) -> None:
        """https://docs.gitea.com/api/#tag/repository/operation/repoDeleteHook"""
        with contextlib.suppress(api.NotFound):
            await self._client.delete(f"{repo_path(repository)}/hooks/{segment(hook)}")

    def _wanted(self, wanted: api.WantedHook) -> dict[str, Any]:
        secret = wanted.secret or next(iter(self._secrets), None)
        if secret is None:
            raise api.CredentialError("a webhook needs a secret, and the connection has none")
        events = wanted.events or (*self._flavour.hook_events, *self._flavour.newer_events)
        config = {"url": wanted.url, "content_type": "json", "secret": secret.reveal()}
        return {"config": config, "events": list(events), "active": True}
