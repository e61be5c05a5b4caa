"""The repositories that a credential sees, listed and filtered; not what is in them.

GitHub's search knows words and the first thousand hits, so it is not used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import Client
from headgate_plugins.github.answers import Repo
from headgate_plugins.github.app import App
from headgate_plugins.github.client import PAGE
from headgate_plugins.github.names import owner as owner_name
from headgate_plugins.github.reading import Reads


class Discovers(Reads):
    """See `headgate.api.DiscoversRepositories`."""

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """An organisation's, a user's or all that the credential sees; everything else is filtered here.

        GitHub has no level between owner and repository, so `project` does not narrow.
        """
        seen = set()
        async for repo in self._all(query.owner):
            found = repo.value(self._site.host)
            if found.repository.path.lower() not in seen and _fits(found, query):
                seen.add(found.repository.path.lower())
                yield found

    async def _all(self, owner: str | None) -> AsyncIterator[Repo]:
        """Perhaps more than wanted, and some twice."""
        if (app := await self._access.app()) is not None:
            repos = _installed(app, owner)
        elif owner is not None:
            repos = _owned(await self._access.anybody(), owner_name(owner), ours=self._access.has_credential)
        elif self._access.has_credential:
            repos = _listed(await self._access.anybody(), "/user/repos")
        else:
            raise api.Refused("without a credential name an owner: GitHub lists nothing else", missing=("credential",))
        async for repo in repos:
            yield repo


async def _installed(app: App, owner: str | None) -> AsyncIterator[Repo]:
    """https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation"""
    async for installation, login in app.logins():
        if owner is None or installation.account is None or installation.account.login.lower() == owner.lower():
            async for repo in _listed(login.client, "/installation/repositories", items="repositories"):
                yield repo


async def _owned(client: Client, owner: str, *, ours: bool) -> AsyncIterator[Repo]:
    """An organisation's (https://docs.github.com/en/rest/repos/repos#list-organization-repositories), or a user's."""
    try:
        async for repo in _listed(client, f"/orgs/{owner}/repos"):
            yield repo
    except api.NotFound:
        pass  # a user, then
    else:
        return
    if ours:  # a user's private ones are listed nowhere else
        async for repo in _listed(client, "/user/repos"):
            yield repo
    async for repo in _listed(client, f"/users/{owner}/repos"):
        yield repo


async def _listed(client: Client, path: str, *, items: str | None = None) -> AsyncIterator[Repo]:
    """One listing; what is being deleted may stand in it as null."""
    shape: type[Repo | None] = Repo | None  # type: ignore[assignment]  # msgspec reads a union, too
    async for repo in client.pages(path, type=shape, params={"per_page": PAGE}, items=items):
        if repo is not None:
            yield repo


def _fits(found: api.HostedRepository, query: api.RepositoryQuery) -> bool:
    owner, _, name = found.repository.path.lower().partition("/")
    return (
        (query.owner is None or owner == query.owner.lower())
        and (query.search is None or query.search.lower() in name)
        and (query.visibility is None or found.visibility == query.visibility)
        and (query.archived is None or bool(found.archived) is query.archived)
    )
