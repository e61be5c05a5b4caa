"""Who works on a repository, as Gitea and Forgejo tell it: `KnowsPeople`; not what they may do elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitea import answers
from headgate_plugins.gitea.client import Asks
from headgate_plugins.gitea.reading import QUIET, repo_path


class KnowsWho(Asks):
    """Members are collaborators, the owner, and the teams of an organisation; contributors are counted in commits."""

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """Who has several rights is told once, as a collaborator first.

        https://docs.gitea.com/api/#tag/repository/operation/repoListCollaborators, …/repoGetRepoPermissions and
        …/repoListTeams
        """
        told: set[str] = set()
        at = repo_path(repository)
        async for user in self._pages(f"{at}/collaborators", type=answers.User):
            told.add(user.account)
            yield _member(user, await self._role(at, user.account))
        async for member in self._by_ownership(at):
            if member.account not in told:
                told.add(member.account)
                yield member

    async def _role(self, at: str, account: str) -> api.Role | None:
        """Old servers do not tell it; nor does any to those who are no administrator of the repository."""
        try:
            path = f"{at}/collaborators/{segment(account)}/permission"
            return (await self._client.get(path, type=answers.Permission)).role()
        except (api.NotFound, api.Refused):
            return None

    async def _by_ownership(self, at: str) -> AsyncIterator[api.Member]:
        try:
            teams = [team async for team in self._client.pages(f"{at}/teams", type=answers.Team)]
        except api.Conflict:  # 405: it belongs to a person, not to an organisation
            owner = (await self._client.get(at, type=answers.Repo)).owner
            if owner is not None:
                yield _member(owner, "admin")
            return
        for team in sorted(teams, key=lambda team: _ORDER.get(team.role() or "", len(_ORDER))):
            async for user in self._pages(f"/teams/{team.id}/members", type=answers.User):
                yield _member(user, team.role())

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """Counted in all commits of the default branch, because no part of the API tells it; the busiest first."""
        counts: dict[tuple[str | None, str], tuple[str, int]] = {}
        async for commit in self._pages(f"{repo_path(repository)}/commits", type=answers.Commit, params=QUIET):
            author = commit.written().author
            account = commit.author.account if commit.author else None
            key = (account, "" if account else author.email.lower())
            name, count = counts.get(key, (author.name, 0))
            counts[key] = name, count + 1
        for (account, email), (name, count) in sorted(counts.items(), key=lambda item: -item[1][1]):
            yield api.Contributor(account=account, name=name, email=email, commits=count)


_ORDER = {"admin": 0, "write": 1, "read": 2}
"""Who is in several teams has the rights of the strongest."""


def _member(user: answers.User, role: api.Role | None) -> api.Member:
    return api.Member(account=user.account, role=role, name=user.full_name or "")
