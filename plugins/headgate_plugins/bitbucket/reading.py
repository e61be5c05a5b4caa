"""What Bitbucket's API tells when it is asked; nothing here changes anything.

Source: https://developer.atlassian.com/cloud/bitbucket/rest/
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Literal, TypeVar

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Client, Params, segment
from headgate_plugins.bitbucket import answers
from headgate_plugins.bitbucket.client import PAGE, next_by_count
from headgate_plugins.bitbucket.converters import account, page, person
from headgate_plugins.bitbucket.files import blob_id
from headgate_plugins.bitbucket.names import below, is_full, normalise, place

T = TypeVar("T")

MOST_COMMITS = 1000
"""Of a comparison; more are not asked for."""
MOST_FILES = 5000
"""Of a comparison."""
MOST_WALKED = 2000
"""Commits by which contributors are counted, because no other answer names them."""
FILES_PAGE = 500

STATE_WORDS: dict[api.ChangeState, tuple[str, ...]] = {
    "open": ("OPEN",),
    "merged": ("MERGED",),
    "closed": ("DECLINED", "SUPERSEDED"),
}


class Reading:
    """The capabilities that read. Methods are as `headgate.api.capabilities` says."""

    def __init__(self, *, site: BaseUrl, client: Client) -> None:
        """`site`: as people open it."""
        self._site = site
        self._client = client
        self._host = api.host_of(site.url)

    # -- ReadsRepositories

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/"""
        return (await self._client.get(place(repository), type=answers.Repository)).hosted(self._host)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/"""
        path = below(repository, "refs", "branches")
        async for branch in self._client.pages(path, type=answers.Ref, params={"pagelen": PAGE}):
            yield api.Branch(name=branch.name, sha=branch.sha())

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/"""
        path = below(repository, "refs", "tags")
        async for tag in self._client.pages(path, type=answers.Ref, params={"pagelen": PAGE}):
            yield api.HostedTag(name=tag.name, sha=tag.sha())

    async def ref(self, repository: str, ref: str) -> str:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/"""
        for start, kind in (("refs/heads/", "branches"), ("refs/tags/", "tags")):
            if ref.startswith(start) and ref != start:
                return await self._named(repository, kind, ref.removeprefix(start))
        raise api.NotFound(f"Bitbucket tells of branches and tags only, not of {ref[:80]!r}")

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commits/"""
        async for commit in self._listed(repository, {"include": ref}):
            yield _commit(commit)

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """Commits that `head` has and `base` has not, and the files of the difference since they parted (`topic`)."""
        old, new = await self.commit_of(repository, base), await self.commit_of(repository, head)
        commits, all_commits = await _first(self._listed(repository, {"include": new, "exclude": old}), MOST_COMMITS)
        files, all_files = await _first(self._differences(repository, f"{new}..{old}", topic=True), MOST_FILES)
        return api.Comparison(
            commits=tuple(_commit(commit) for commit in commits),
            files=tuple(stat.file() for stat in files),
            complete=all_commits and all_files,
        )

    def _listed(self, repository: str, params: Params) -> AsyncIterator[answers.Commit]:
        path = below(repository, "commits")
        return self._client.pages(path, type=answers.Commit, params={"pagelen": PAGE, **params})

    def _differences(self, repository: str, spec: str, *, topic: bool) -> AsyncIterator[answers.DiffStat]:
        """`spec`: new..old. Not `topic`: what differs between the two, and not what a merge would bring."""
        path = below(repository, "diffstat", spec)
        return self._client.pages(path, type=answers.DiffStat, params={"pagelen": FILES_PAGE, "topic": topic})

    async def commit_of(self, repository: str, ref: str) -> str:
        """The full sha of a branch, a tag or a sha. Bitbucket cannot tell `a/b` in a path from two parts of it."""
        if is_full(ref):
            with contextlib.suppress(ValueError):
                return api.full_sha(ref)
        for kind in ("branches", "tags"):
            with contextlib.suppress(api.NotFound):
                return await self._named(repository, kind, ref)
        return answers.full((await self._client.get(below(repository, "commit", ref), type=answers.Commit)).hash)

    async def _named(self, repository: str, kind: str, name: str) -> str:
        return (await self._client.get(below(repository, "refs", kind, name), type=answers.Ref)).sha()

    # -- KnowsChangedPaths

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """What differs from before; of a new branch what its last commit changed, as our mirrors say it."""
        if push.after is None:
            raise api.NotFound("a deletion has no commits")
        spec = push.after if push.before is None else f"{push.after}..{push.before}"
        stats = self._differences(push.repository.path, spec, topic=False)
        return tuple(sorted({path async for stat in stats for path in stat.paths()}))

    # -- ReadsChanges

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/; pages hold 50 at most."""
        words = [word for known, words in STATE_WORDS.items() if state in {None, known} for word in words]
        params: Params = {"state": words, "pagelen": 50}
        path, here = below(repository, "pullrequests"), self._repository(repository)
        async for change in self._client.pages(path, type=answers.PullRequest, params=params):
            yield change.hosted(here, reviews=False)

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """With full commits, each of which is asked for: a pull request has 12 digits of them."""
        path = below(repository, "pullrequests", str(number))
        told = (await self._client.get(path, type=answers.PullRequest)).hosted(
            self._repository(repository), reviews=True
        )
        where = told.source.repository.path if told.source.repository else repository
        head = await self._whole(where, told.source.sha) if told.source.sha else None
        target = await self._whole(repository, told.target.sha) if told.target.sha else None
        return msgspec.structs.replace(
            told,
            source=msgspec.structs.replace(told.source, sha=head),
            target=msgspec.structs.replace(told.target, sha=target),
            merge_sha=await self._whole(repository, told.merge_sha) if told.merge_sha else None,
            revision=head,
        )

    async def _whole(self, repository: str, sha: str) -> str:
        """The full commit, or what is known of it when it is gone or hidden (a private fork)."""
        if is_full(sha):
            return sha
        with contextlib.suppress(api.NotFound, api.Refused):
            return answers.full((await self._client.get(below(repository, "commit", sha), type=answers.Commit)).hash)
        return sha

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/"""
        path = below(repository, "pullrequests", str(number), "diffstat")
        async for stat in self._client.pages(path, type=answers.DiffStat, params={"pagelen": FILES_PAGE}):
            yield stat.file()

    # -- KnowsPeople

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """Whose right it is, however they have it; asked by an administrator of the repository only.

        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/
        """
        workspace, _, slug = normalised(repository)
        path = f"/workspaces/{segment(workspace)}/permissions/repositories/{segment(slug)}"
        async for one in self._client.pages(path, type=answers.Permission, params={"pagelen": PAGE}):
            yield one.member()

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """Who wrote the newest 2000 commits, the busiest first: Bitbucket keeps no such list."""
        commits, _ = await _first(self._listed(repository, {}), MOST_WALKED)
        people: dict[str, api.Contributor] = {}
        count: Counter[str] = Counter()
        for commit in commits:
            who = person(commit.author)
            key = who.email.lower() or who.name
            count[key] += 1
            known = account(commit.author.user) if commit.author else None
            people.setdefault(key, api.Contributor(account=known, name=who.name, email=who.email))
        for key, number in count.most_common():
            yield msgspec.structs.replace(people[key], commits=number)

    # -- ReadsIssues

    async def issues(
        self, repository: str, state: Literal["open", "closed"] | None = "open"
    ) -> AsyncIterator[api.Issue]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-issue-tracker/; `NotFound` without a tracker."""
        params: dict[str, str | int] = {"pagelen": PAGE}
        if state is not None:
            sign, joined = ("=", " OR ") if state == "open" else ("!=", " AND ")
            params["q"] = joined.join(f'state{sign}"{word}"' for word in answers.OPEN_ISSUES)
        async for issue in self._client.pages(below(repository, "issues"), type=answers.Issue, params=params):
            yield issue.hosted()

    # -- DiscoversRepositories

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """Workspace by workspace: https://developer.atlassian.com/cloud/bitbucket/changelog/#CHANGE-2770

        Bitbucket has no archived and no internal repositories.
        """
        if query.archived or query.visibility == "internal":
            return
        filters = {
            "project.key=": query.project,
            "name~": query.search,
        }
        words = [f"{start}{_quoted(text)}" for start, text in filters.items() if text is not None]
        if query.visibility is not None:
            words.append(f"is_private={'true' if query.visibility == 'private' else 'false'}")
        params: Params = {"pagelen": PAGE} | ({"q": " AND ".join(words)} if words else {})
        async for owner in self._workspaces(query.owner):
            async for found in self._client.pages(
                f"/repositories/{segment(owner)}", type=answers.Repository, params=params
            ):
                yield found.hosted(self._host)

    async def _workspaces(self, only: str | None) -> AsyncIterator[str]:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/"""
        if only is not None:
            yield only
            return
        async for one in self._client.pages("/user/workspaces", type=answers.Membership, params={"pagelen": PAGE}):
            if one.workspace.slug:
                yield one.workspace.slug

    # -- ReadsCiRuns

    async def ci_runs(
        self, repository: str, *, sha: str | None = None, branch: str | None = None
    ) -> AsyncIterator[api.CiRun]:
        """Pipelines. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/"""
        params: dict[str, str | int] = {"sort": "-created_on", "pagelen": PAGE}
        if sha is not None:
            params["target.commit.hash"] = sha
        if branch is not None:
            params["target.branch"] = branch
        path, home = below(repository, "pipelines") + "/", self._home(repository)
        async for one in self._client.pages(path, type=answers.Pipeline, params=params, next_page=next_by_count):
            run = one.run(home)
            if sha in {None, run.sha} and branch in {None, run.branch}:  # whatever the host made of the filters
                yield run

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """The steps of a pipeline. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pipelines/"""
        path, home = below(repository, "pipelines", run, "steps") + "/", self._home(repository)
        params: Params = {"pagelen": PAGE}
        async for step in self._client.pages(path, type=answers.Step, params=params, next_page=next_by_count):
            yield step.job(home, run)

    # -- ReadsFiles

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """Its `revision` is git's own id of the content. https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/"""
        content, _ = await self.file_at(repository, path, await self.commit_of(repository, ref))
        return api.FileContent(path=path, content=content, revision=blob_id(content))

    async def file_at(self, repository: str, path: str, commit: str) -> tuple[bytes, tuple[str, ...]]:
        """A file at a full sha, and its attributes (`executable`, `link`).

        What it is is asked first: a listing of a folder and a file of JSON look alike. Raises `Conflict` for what is no file.
        """
        where = below(repository, "src", commit, *path.split("/"))
        entry = await self._client.get(where, type=answers.Entry, params={"format": "meta"})
        attributes = tuple(entry.attributes or ())
        if entry.type != "commit_file" or "subrepository" in attributes:
            raise api.Conflict(f"{path} is a folder or a submodule, not a file")
        return (await self._client.call("GET", where)).body, attributes

    # -- what they have in common

    def _repository(self, repository: str) -> api.Repository:
        return api.Repository(host=self._host, path=place(repository).removeprefix("/repositories/"))

    def _home(self, repository: str) -> str:
        return f"{self._site.url}/{self._repository(repository).path}"


def normalised(repository: str) -> tuple[str, str, str]:
    """Workspace, `/` and slug. Raises `NotFound`."""
    try:
        return normalise(repository).partition("/")
    except ValueError as error:
        raise api.NotFound(str(error)) from None


def _commit(commit: answers.Commit) -> api.Commit:
    return api.Commit(
        id=answers.full(commit.hash),
        message=commit.message or "",
        author=person(commit.author),
        url=page(commit.links),
    )


async def _first(items: AsyncIterator[T], most: int) -> tuple[list[T], bool]:
    """At most so many, and whether they are all."""
    found: list[T] = []
    async for item in items:
        if len(found) == most:
            return found, False
        found.append(item)
    return found, True


def _quoted(text: str) -> str:
    r"""As Bitbucket's query language wants it: `"` and `\` escaped.

    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
