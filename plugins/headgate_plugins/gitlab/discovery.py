"""Which projects a GitLab connection can find; not what is in them.

Source: https://docs.gitlab.com/api/projects/ and https://docs.gitlab.com/api/groups/
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitlab import answers
from headgate_plugins.gitlab.client import KEYSET, PER_PAGE, Asks

SHORTEST_SEARCH = 3
"""Characters; GitLab finds fewer only where they are the whole name. https://docs.gitlab.com/api/projects/"""


class Discovery(Asks):
    """The listing of projects."""

    _has_credential: bool

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """A group's with its subgroups', or a user's, or all that the credential is a member of.

        `project` is the subgroup below `owner`. Without a credential and an owner: all that are public.
        """
        params: dict[str, str | int | bool] = {"per_page": PER_PAGE}
        if query.visibility is not None:
            params["visibility"] = query.visibility
        if query.archived is not None:
            params["archived"] = query.archived
        if query.search and len(query.search) >= SHORTEST_SEARCH:
            params["search"] = query.search
        listing = self._everywhere(params) if query.owner is None else self._owned(query.owner, query.project, params)
        async for project in listing:
            if _fits(project, query):
                yield answers.hosted_repository(project, self._host_name)

    async def _everywhere(self, params: dict[str, str | int | bool]) -> AsyncIterator[answers.Project]:
        params |= KEYSET
        if self._has_credential:
            params["membership"] = True
        async for project in self._client.pages("/projects", type=answers.Project, params=params):
            yield project

    async def _owned(
        self, owner: str, subgroup: str | None, params: dict[str, str | int | bool]
    ) -> AsyncIterator[answers.Project]:
        """A name is a group's or a user's, never both."""
        group = f"{owner}/{subgroup}" if subgroup else owner
        of_group = {**params, "include_subgroups": True, "with_shared": False}
        path = f"/groups/{segment(group)}/projects"
        try:
            async for project in self._client.pages(path, type=answers.Project, params=of_group):
                yield project
        except api.NotFound:
            if subgroup or "/" in owner:
                raise
            path = f"/users/{segment(owner)}/projects"
            async for project in self._client.pages(path, type=answers.Project, params=params):
                yield project


def _fits(project: answers.Project, query: api.RepositoryQuery) -> bool:
    """What GitLab did not filter by, or only in part."""
    *above, name = project.path_with_namespace.split("/")
    words = (query.search or "").lower()
    if words not in name.lower() and words not in project.name.lower():
        return False
    return query.owner is not None or query.project is None or query.project.lower() in map(str.lower, above)
