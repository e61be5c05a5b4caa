"""What is read through the API of Gitea, Forgejo and Gogs: one class for what all three have, one for the two; no writes.

Source: https://docs.gitea.com/api/, https://codeberg.org/api/swagger and https://github.com/gogs/docs-api
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any, Final, Literal
from urllib.parse import quote

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitea import answers, discussions
from headgate_plugins.gitea.client import Asks
from headgate_plugins.gitea.names import repository_path

MOST_TAGS: Final = 5
"""How many tags may point to one another before a commit comes."""

QUIET: Final = {"stat": False, "verification": False, "files": False}
"""Of commits: what is not used and takes the server long. Older servers send it anyway."""


class Reads(Asks):
    """What all three have: `ReadsFiles` and `ReadsIssues`."""

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """https://docs.gitea.com/api/#tag/repository/operation/repoGetContents"""
        at = repo_path(repository)
        answer = await self._client.call("GET", f"{at}/contents/{file_path(path)}", params={"ref": ref})
        if isinstance(answer.plain(), list):
            raise api.Conflict(f"{path!r} is a folder")
        found = answer.read(answers.Content)
        if found.type != "file":
            raise api.Conflict(f"{path!r} is no file but a {found.type}")
        if found.content is None or found.encoding != "base64":  # larger than the server tells this way
            raw = await self._client.call("GET", f"{at}/raw/{file_path(path)}", params={"ref": ref})
            return api.FileContent(path=path, content=raw.body, revision=found.sha)
        try:
            content = base64.b64decode("".join(found.content.split()), validate=True)
        except (binascii.Error, ValueError):
            raise api.ProviderError(f"the content of {path!r} is not base64") from None
        return api.FileContent(path=path, content=content, revision=found.sha)

    async def issues(
        self, repository: str, state: Literal["open", "closed"] | None = "open"
    ) -> AsyncIterator[api.Issue]:
        """https://docs.gitea.com/api/#tag/issue/operation/issueListIssues"""
        params = {"state": state or "all", "type": "issues"}
        async for found in self._pages(f"{repo_path(repository)}/issues", type=discussions.Issue, params=params):
            # Gogs knows neither `type` nor the state `all`, and lists no pull requests.
            if found.pull_request is None:
                yield found.issue()


class ReadsAll(Reads):
    """What Gitea and Forgejo have beside it; people and runs are in `people.py` and `runs.py`."""

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://docs.gitea.com/api/#tag/repository/operation/repoGet"""
        return (await self._client.get(repo_path(repository), type=answers.Repo)).hosted()

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://docs.gitea.com/api/#tag/repository/operation/repoListBranches"""
        async for found in self._pages(f"{repo_path(repository)}/branches", type=answers.Branch):
            yield found.branch()

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://docs.gitea.com/api/#tag/repository/operation/repoListTags"""
        async for found in self._pages(f"{repo_path(repository)}/tags", type=answers.Tag):
            yield found.tag()

    async def ref(self, repository: str, ref: str) -> str:
        """The one of all that begin so; https://docs.gitea.com/api/#tag/repository/operation/repoListGitRefs"""
        at = repo_path(repository)
        answer = await self._client.call("GET", f"{at}/git/{_quoted(ref)}")
        several = isinstance(answer.plain(), list)
        found = answer.read(list[answers.Reference]) if several else [answer.read(answers.Reference)]
        target = next((one.object for one in found if one.ref == ref), None)
        if target is None:
            raise api.NotFound(f"{repository} has no {ref}")
        for _ in range(MOST_TAGS):
            if target.type != "tag":
                return answers.sha_of(target.sha)
            tag = await self._client.get(f"{at}/git/tags/{segment(target.sha)}", type=answers.AnnotatedTag)
            target = tag.object
        raise api.ProviderError(f"{ref} of {repository} leads from tag to tag")

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """https://docs.gitea.com/api/#tag/repository/operation/repoGetAllCommits"""
        async for found in self._commits(repository, {"sha": ref}):
            yield found.written()

    def _commits(self, repository: str, params: dict[str, Any]) -> AsyncIterator[answers.Commit]:
        return self._pages(f"{repo_path(repository)}/commits", type=answers.Commit, params={**QUIET, **params})

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """Not in servers before Gitea 1.22; https://docs.gitea.com/api/#tag/repository/operation/repoCompareDiff"""
        return (await self._compared(repository, base, head)).comparison()

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """What the commits touched that came, and of a forced push those that went: more than differs at times.

        The mirror knows it exactly, so what cannot be learned here is no loss.
        """
        if push.before is None or push.after is None:
            raise api.NotFound("only a move from a commit to another can be compared")
        came = (await self._compared(push.repository.path, push.before, push.after)).paths()
        went = (await self._compared(push.repository.path, push.after, push.before)).paths()
        if came is None or went is None:
            raise api.ProviderError(f"{self._flavour.title} did not tell all files of all commits")
        return tuple(sorted(came | went))

    async def _compared(self, repository: str, base: str, head: str) -> answers.Compared:
        between = f"{_quoted(base)}...{_quoted(head)}"
        return await self._client.get(f"{repo_path(repository)}/compare/{between}", type=answers.Compared)

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://docs.gitea.com/api/#tag/repository/operation/repoListPullRequests"""
        params = {"state": "all" if state is None else "open" if state == "open" else "closed"}
        async for found in self._pages(f"{repo_path(repository)}/pulls", type=discussions.PullRequest, params=params):
            change = found.change(self._target(found, repository))
            if state in {None, change.state}:
                yield change

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """https://docs.gitea.com/api/#tag/repository/operation/repoGetPullRequest and …/repoListPullReviews"""
        found = await self._pull_request(repository, number)
        path = f"{repo_path(repository)}/pulls/{number}/reviews"
        reviews = [one.review() async for one in self._pages(path, type=discussions.Review)]
        return found.change(self._target(found, repository), tuple(one for one in reviews if one is not None))

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """Not in the oldest servers; https://docs.gitea.com/api/#tag/repository/operation/repoGetPullRequestFiles"""
        async for found in self._pages(f"{repo_path(repository)}/pulls/{number}/files", type=discussions.ChangedFile):
            yield found.changed()

    async def _pull_request(self, repository: str, number: int) -> discussions.PullRequest:
        return await self._client.get(f"{repo_path(repository)}/pulls/{number}", type=discussions.PullRequest)

    def _target(self, found: discussions.PullRequest, repository: str) -> api.Repository:
        return found.target() or api.Repository(
            host=api.host_of(self._client.base.url), path=repository_path(repository)
        )

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """All that the credential sees; https://docs.gitea.com/api/#tag/repository/operation/repoSearch"""
        params: dict[str, Any] = {"sort": "id"}  # what does not move between two pages
        if query.owner is not None:
            owner = await self._client.get(f"/users/{segment(query.owner)}", type=answers.User)
            if owner.id is None:
                raise api.ProviderError(f"{self._flavour.title} does not say who {query.owner} is")
            params |= {"uid": owner.id, "exclusive": True}
        if query.search is not None:
            params["q"] = query.search
        if query.archived is not None:
            params["archived"] = query.archived
        if query.visibility is not None:
            params["is_private"] = query.visibility == "private"
        async for found in self._pages("/repos/search", type=answers.Repo, params=params, items="data"):
            hosted = found.hosted()
            if answers.fits(hosted, query):
                yield hosted


def repo_path(repository: str) -> str:
    """Where the API has a repository. Raises `NotFound` for what names none."""
    return f"/repos/{repository_path(repository)}"


def file_path(path: str) -> str:
    """A file's path within a URL: its slashes stay. Raises `NotFound` for one that names no file."""
    if not path.strip("/") or path != path.strip("/"):
        raise api.NotFound(f"{path!r} names no file")
    return _quoted(path)


def _quoted(text: str) -> str:
    try:
        return quote(text, safe="/")
    except UnicodeEncodeError:
        raise api.NotFound(f"{text!r} is no name that could be asked for") from None
