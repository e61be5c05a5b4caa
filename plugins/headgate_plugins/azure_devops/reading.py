"""What an organisation tells when asked: repositories, their refs, commits and files, and people; it changes nothing.

Pull requests are in `changes.py`, builds in `builds.py`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import segment
from headgate_plugins.azure_devops import answers, spelling
from headgate_plugins.azure_devops.client import Rest, names, path_to

_SHA = re.compile(r"[0-9a-fA-F]{40}")
_ALL_COMMITS = 1000
_ALL_CHANGES = 2000

_ITEM_KINDS = {"tree": "a folder", "commit": "a submodule"}


class Reading:
    """The reading half of a connection."""

    _rest: Rest
    _host_name: str

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/repositories/get-repository"""
        return answers.hosted_repository(await self._repository(repository), host=self._host_name)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/list; policies, which protect, are elsewhere."""
        async for ref in self._refs(repository, "heads/"):
            if (name := spelling.branch(ref.name)) is not None:
                yield api.Branch(name=name, sha=ref.sha())

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/list#refs-tags"""
        async for ref in self._refs(repository, "tags/"):
            if ref.name.startswith("refs/tags/"):
                yield api.HostedTag(name=ref.name.removeprefix("refs/tags/"), sha=ref.sha())

    async def ref(self, repository: str, ref: str) -> str:
        """The filter finds what begins so; only the whole name counts."""
        found = await self._ref(repository, ref)
        if found is None:
            raise api.NotFound(f"{repository} has no {ref}")
        return found

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/commits/get-commits, of the commit it led to."""
        async for commit in self._commits(repository, await self._commit(repository, ref)):
            yield commit

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """Files as in a pull request, from where the two parted.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/diffs/get
        """
        before, after = await self._commit(repository, base), await self._commit(repository, head)
        files, ahead, whole = await self._differences(repository, before, after, common=True)
        commits: list[api.Commit] = []
        if ahead != 0:
            commits = [commit async for commit in self._commits(repository, after, base=before)]
        # What `compareVersion` leaves out is documented in half a sentence: the numbers say whether it was that.
        listed = len(commits) == ahead and (not commits or commits[0].id == after)
        return api.Comparison(commits=tuple(commits), files=files, complete=whole and listed)

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """All that differs between before and after, whether or not one follows from the other."""
        if push.before is None or push.after is None:
            raise api.ProviderError("a branch that is new or gone has nothing to be compared with")
        path = push.repository.path
        files, _, whole = await self._differences(path, push.before, push.after, common=False)
        if not whole:
            raise api.ProviderError(f"Azure DevOps does not list all that changed up to {push.after}")
        return tuple(sorted({name for one in files for name in (one.path, one.previous_path) if name}))

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """What the path names, then the bytes of that very blob.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/items/get and
        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/blobs/get-blob
        """
        blob = await self._blob(repository, path, await self._commit(repository, ref))
        if blob is None:
            raise api.NotFound(f"{repository} has no file {path} at {ref}")
        where = path_to(repository, f"/blobs/{segment(blob)}")
        raw = {"Accept": "application/octet-stream"}
        answer = await self._rest.call("GET", where, params={"$format": "octetStream"}, headers=raw)
        return api.FileContent(path=path, content=answer.body, revision=blob)

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """Who is in a team of the project; what each may do in the repository is not told.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/core/teams/get-team-members-with-extended-properties
        """
        project, _ = names(repository)
        teams, seen = f"/_apis/projects/{segment(project)}/teams", set[str]()
        async for team in self._rest.skipping(teams, type=answers.Team):
            listing = self._rest.skipping(f"{teams}/{segment(team.id)}/members", type=answers.TeamMember)
            async for member in listing:
                account = spelling.account(member.identity)
                if account and account not in seen:
                    seen.add(account)
                    yield api.Member(account=account, name=member.identity.display_name or "")

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """Counted from the commits of the default branch, all of which are listed for it: nothing tells it at once."""
        found = await self._repository(repository)
        if found.default_branch is None:
            return
        counts: dict[tuple[str, str], int] = {}
        async for commit in self._commits(repository, await self.ref(repository, found.default_branch)):
            author = commit.author.name, commit.author.email
            counts[author] = counts.get(author, 0) + 1
        for (name, email), count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            yield api.Contributor(name=name, email=email, commits=count)

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """The owner is the organisation, which the base URL names, or a project.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/repositories/list
        """
        organisation = self._rest.base.url.rstrip("/").rpartition("/")[2]
        wanted = {query.project.lower()} if query.project else set[str]()
        if query.owner is not None and query.owner.lower() != organisation.lower():
            wanted.add(query.owner.lower())
        if len(wanted) > 1:
            return
        where = f"/{segment(next(iter(wanted)))}/_apis/git/repositories" if wanted else "/_apis/git/repositories"
        async for repo in self._rest.pages(where, type=answers.Repo):
            found = answers.hosted_repository(repo, host=self._host_name)
            if (
                (query.search is None or query.search.lower() in found.repository.path.lower())
                and (query.visibility is None or query.visibility == found.visibility)
                and (query.archived is None or query.archived == found.archived)
            ):
                yield found

    async def _repository(self, repository: str) -> answers.Repo:
        return await self._rest.get(path_to(repository), type=answers.Repo)

    def _refs(self, repository: str, start: str) -> AsyncIterator[answers.Ref]:
        params: dict[str, str | int | bool] = {"filter": start, "peelTags": True, "$top": 1000}
        return self._rest.pages(path_to(repository, "/refs"), type=answers.Ref, params=params)

    async def _ref(self, repository: str, ref: str) -> str | None:
        if not ref.startswith("refs/"):
            return None
        async for one in self._refs(repository, ref.removeprefix("refs/")):
            if one.name == ref:
                return one.sha()
        return None

    async def _commit(self, repository: str, name: str) -> str:
        """The commit of a branch, a tag or a sha, so that all that follows is about one and the same."""
        if _SHA.fullmatch(name):
            return name.lower()
        full = (name,) if name.startswith("refs/") else (f"refs/heads/{name}", f"refs/tags/{name}")
        for ref in full:
            if (found := await self._ref(repository, ref)) is not None:
                return found
        raise api.NotFound(f"{repository} has no branch or tag {name}")

    async def _commits(self, repository: str, head: str, *, base: str | None = None) -> AsyncIterator[api.Commit]:
        """Newest first. `base`: without what it has.

        "compareVersion: start walking history starting at this commit", itemVersion being the one to search:
        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/commits/get-commits
        """
        sides = {"itemVersion": base or head} | ({"compareVersion": head} if base else {})
        params: dict[str, str] = {}
        for side, sha in sides.items():
            params |= {f"searchCriteria.{side}.version": sha, f"searchCriteria.{side}.versionType": "commit"}
        where = path_to(repository, "/commits")
        pages = self._rest.skipping(
            where, type=answers.Commit, params=params, size=_ALL_COMMITS, prefix="searchCriteria."
        )
        async for commit in pages:
            yield commit.value()

    async def _differences(
        self, repository: str, before: str, after: str, *, common: bool
    ) -> tuple[tuple[api.ChangedFile, ...], int | None, bool]:
        """The files, how many commits `after` is ahead, and whether those are all files."""
        params: dict[str, str | int | bool] = {
            "baseVersion": before,
            "baseVersionType": "commit",
            "targetVersion": after,
            "targetVersionType": "commit",
            "diffCommonCommit": common,
            "$top": _ALL_CHANGES,
        }
        changes: list[answers.ItemChange] = []
        while True:
            asked = {**params, "$skip": len(changes)}
            page = await self._rest.get(path_to(repository, "/diffs/commits"), type=answers.Differences, params=asked)
            changes += page.changes
            if page.all_changes_included or not page.changes:
                return answers.changed_files(changes), page.ahead_count, page.all_changes_included

    async def _blob(self, repository: str, path: str, sha: str) -> str | None:
        """The id of the file there, `None` when there is nothing; `Conflict` when it is no file."""
        params = {
            "path": "/" + path.lstrip("/"),
            "versionDescriptor.version": sha,
            "versionDescriptor.versionType": "commit",
            "$format": "json",
        }
        try:
            item = await self._rest.get(path_to(repository, "/items"), type=answers.Item, params=params)
        except api.NotFound:
            return None
        kind = "tree" if item.is_folder else item.git_object_type
        if kind in _ITEM_KINDS or not item.object_id:
            raise api.Conflict(f"{path} is {_ITEM_KINDS.get(kind or '', 'no file')} in {repository}")
        return answers.sha(item.object_id)
