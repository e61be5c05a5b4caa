"""What Bitbucket Data Center tells when asked: repositories, changes, people, files; nothing here changes anything.

Source of all: https://developer.atlassian.com/server/bitbucket/rest/
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import ParamSpec, TypeVar

from headgate import api
from headgate.api.client import BaseUrl, Client, segment
from headgate_plugins.bitbucket_server import answers, shapes
from headgate_plugins.bitbucket_server.client import LARGEST_PAGE, PAGE, REST, Unpaged, repository_path
from headgate_plugins.bitbucket_server.converters import commit
from headgate_plugins.bitbucket_server.names import account

CONTRIBUTORS_IN = 1000
"""The newest commits whose authors are the contributors; Bitbucket counts none."""

P = ParamSpec("P")
T = TypeVar("T")


class Reads:
    """The calls that change nothing: see `headgate.api.capabilities` for each."""

    _client: Client
    _site: BaseUrl

    # -- repositories

    async def repository(self, repository: str) -> api.HostedRepository:
        """It takes a second question to learn the default branch."""
        path = repository_path(repository)
        repo = await self._client.get(path, type=shapes.Repo)
        default = repo.default_branch or await self._default_branch(path)
        return meant(answers.repository, repo, self._site.url, default_branch=default)

    async def _default_branch(self, path: str) -> str | None:
        """Versions before 7.5 have it elsewhere; an empty repository has none (204, or 404)."""
        for place in ("default-branch", "branches/default"):
            try:
                answer = await self._client.call("GET", f"{path}/{place}")
            except api.NotFound:
                continue
            return answer.read(answers.ListedRef).id if answer.body else None
        return None

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """Whether one is protected is another add-on's question."""
        async for ref in self._refs(f"{repository_path(repository)}/branches"):
            yield api.Branch(name=ref.display_id, sha=meant(api.full_sha, ref.latest_commit or ""))

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """With the commits that annotated ones lead to."""
        async for ref in self._refs(f"{repository_path(repository)}/tags"):
            yield api.HostedTag(name=ref.display_id, sha=meant(api.full_sha, ref.latest_commit or ""))

    def _refs(self, path: str) -> AsyncIterator[answers.ListedRef]:
        return self._client.pages(path, type=answers.ListedRef, params={"limit": LARGEST_PAGE})

    async def ref(self, repository: str, ref: str) -> str:
        """The newest commit that leads up to it: the resource for single commits takes no refs."""
        path = f"{repository_path(repository)}/commits"
        page = await self._client.get(path, type=answers.FirstCommit, params={"until": ref, "limit": 1})
        if not page.values:
            raise api.NotFound(f"{repository} has no commit at {ref}")
        return meant(api.full_sha, page.values[0].id)

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """Newest first."""
        async for found in self._commits(repository, "commits", {"until": ref}):
            yield found

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """Bitbucket counts from the other end: `from` is the head."""
        ends = {"from": head, "to": base}
        found = [one async for one in self._commits(repository, "compare/commits", ends)]
        files, cut = await self._changes(f"{repository_path(repository)}/compare/changes", ends)
        return api.Comparison(commits=tuple(found), files=files, complete=not cut)

    async def _commits(self, repository: str, resource: str, params: dict[str, str]) -> AsyncIterator[api.Commit]:
        path = repository_path(repository)
        home = self._site.url + path.removeprefix(REST)
        listing = self._client.pages(f"{path}/{resource}", type=shapes.ListedCommit, params={**params, "limit": PAGE})
        async for found in listing:
            yield meant(commit, found, home)

    async def _changes(self, path: str, params: dict[str, str]) -> tuple[tuple[api.ChangedFile, ...], bool]:
        """All that the host lists, and whether it cut the list."""
        paging = Unpaged()
        listing = self._client.pages(
            path, type=answers.Change, params={**params, "limit": LARGEST_PAGE}, next_page=paging
        )
        return tuple([answers.changed_file(found) async for found in listing]), paging.cut

    async def _all_changes(self, path: str, params: dict[str, str]) -> tuple[api.ChangedFile, ...]:
        files, cut = await self._changes(path, params)
        if cut:
            raise api.ProviderError(
                f"Bitbucket lists no more than {len(files)} changed files (page.max.changes in its bitbucket.properties)"
            )
        return files

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """Between the two commits as they are, whatever leads from one to the other; a new branch: its last commit."""
        if push.after is None:
            raise api.NotFound("a deletion changes no paths")
        ends = {"until": push.after} if push.before is None else {"until": push.after, "since": push.before}
        return answers.paths(await self._all_changes(f"{repository_path(push.repository.path)}/changes", ends))

    # -- change requests

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """Newest first."""
        words = {"open": "OPEN", "merged": "MERGED", "closed": "DECLINED", None: "ALL"}
        params: dict[str, str | int] = {"state": words[state], "order": "NEWEST", "limit": PAGE}
        path = f"{repository_path(repository)}/pull-requests"
        async for found in self._client.pages(path, type=shapes.PullRequest, params=params):
            yield meant(answers.change, found, self._site.url)

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """Of an open one, whether it can be merged takes a second question."""
        path = f"{repository_path(repository)}/pull-requests/{number}"
        found = await self._client.get(path, type=shapes.PullRequest)
        mergeable = await self._mergeable(path) if found.state == "OPEN" else None
        return meant(answers.change, found, self._site.url, with_reviews=True, mergeable=mergeable)

    async def _mergeable(self, path: str) -> bool | None:
        try:
            return (await self._client.get(f"{path}/merge", type=answers.Mergeable)).can_merge
        except (api.NotFound, api.Conflict):  # it was closed meanwhile
            return None

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """Raises `ProviderError` when the host cuts the list, before it gives any."""
        path = f"{repository_path(repository)}/pull-requests/{number}/changes"
        for found in await self._all_changes(path, {}):
            yield found

    # -- people

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """Who was given a right to the repository, or to its project if the credential may see those; no groups."""
        path = repository_path(repository)
        granted = [one async for one in self._granted(f"{path}/permissions/users")]
        # A repository's admin need not be its project's, and a personal project may have no such list.
        with contextlib.suppress(api.Refused, api.NotFound):
            granted += [one async for one in self._granted(f"{path.partition('/repos/')[0]}/permissions/users")]
        best: dict[str, api.Member] = {}
        for one in granted:
            name = account(one.user)
            if name is None:
                continue
            member = api.Member(account=name, role=answers.role(one.permission), name=one.user.display_name or "")
            if name not in best or _ORDER.index(best[name].role) < _ORDER.index(member.role):
                best[name] = member
        for member in best.values():
            yield member

    def _granted(self, path: str) -> AsyncIterator[answers.Granted]:
        return self._client.pages(path, type=answers.Granted, params={"limit": LARGEST_PAGE})

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """Who wrote the newest commits of the default branch; counted only if those were all there are."""
        path, everything, seen = f"{repository_path(repository)}/commits", True, 0
        found: dict[str, tuple[shapes.User, int]] = {}
        async for one in self._client.pages(path, type=shapes.ListedCommit, params={"limit": PAGE}):
            if seen == CONTRIBUTORS_IN:
                everything = False
                break
            seen += 1
            author = one.author or shapes.User()
            key = author.email_address or author.name or ""
            first, count = found.get(key, (author, 0))
            found[key] = first, count + 1
        for author, count in found.values():
            yield api.Contributor(
                account=author.slug,
                name=author.display_name or author.name or "",
                email=author.email_address or "",
                commits=count if everything else None,
            )

    # -- discovery

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """The host narrows by project and archive since 8.0; all is looked at here, so older ones differ in time only.

        `owner` and `project` both mean a project's key.
        """
        archived = {None: "ALL", True: "ARCHIVED", False: "ACTIVE"}[query.archived]
        params: dict[str, str | int] = {"limit": PAGE, "archived": archived}
        if key := query.owner or query.project:
            params["projectkey"] = key
        async for repo in self._client.pages(f"{REST}/repos", type=shapes.Repo, params=params):
            found = meant(answers.repository, repo, self._site.url)
            if _fits(repo, found, query):
                yield found

    # -- files

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """As it is in the commit that `ref` leads to now, which is its revision."""
        sha = await self.ref(repository, ref)
        root, at = repository_path(repository), {"at": sha}
        place = "/".join(segment(part) for part in path.split("/"))
        kind = await self._client.get(f"{root}/browse/{place}", type=answers.FileKind, params={**at, "type": True})
        if kind.type != "FILE":
            raise api.Conflict(f"{path} is no file in {repository} but a {kind.type.lower()}")
        answer = await self._client.call("GET", f"{root}/raw/{place}", params=at, headers={"Accept": "*/*"})
        return api.FileContent(path=path, content=answer.body, revision=sha)


_ORDER: tuple[api.Role | None, ...] = (None, "read", "write", "admin")


def _fits(repo: shapes.Repo, found: api.HostedRepository, query: api.RepositoryQuery) -> bool:
    owners = [key.lower() for key in (query.owner, query.project) if key is not None]
    names = [repo.slug.lower(), (repo.name or "").lower()]
    return (
        all(key == repo.project.key.lower() for key in owners)
        and (query.search is None or any(query.search.lower() in name for name in names))
        and (query.visibility is None or query.visibility == found.visibility)
        and (query.archived is None or query.archived == bool(found.archived))
    )


def meant(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `make` makes of an answer; `ProviderError` when the answer cannot be meant."""
    try:
        return make(*args, **kwargs)
    except ValueError as error:
        raise api.ProviderError(f"Bitbucket's answer cannot be meant: {error}") from None
