"""What GitHub tells when it is asked: repositories, changes, people, issues, CI runs and files; nothing is changed here.

Source of all: https://docs.github.com/en/rest
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from headgate import api
from headgate.api.client import BaseUrl, Client, segment
from headgate_plugins.github import answers, trees
from headgate_plugins.github.access import Access
from headgate_plugins.github.client import PAGE
from headgate_plugins.github.names import number, repository_path

MOST_COMPARED_FILES = 300
"""https://docs.github.com/en/rest/commits/commits#compare-two-commits lists no more."""

MOST_COMPARED_PAGES = 20
"""Of commits; a comparison of more is not complete."""

MOST_CHANGED_FILES = 3000
"""https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files lists no more."""

RAW = {"Accept": "application/vnd.github.raw+json"}
"""A file's bytes as they are."""

_DEEPEST_TAG = 8


class Reads:
    """The calls that change nothing: see `headgate.api.capabilities` for each."""

    _access: Access
    _site: BaseUrl

    async def _at(self, repository: str) -> tuple[Client, str]:
        """Who asks, and where the repository is in the API."""
        path = repository_path(repository)
        return await self._access.of(path), f"/repos/{path}"

    # -- repositories

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://docs.github.com/en/rest/repos/repos#get-a-repository"""
        client, path = await self._at(repository)
        return (await client.get(path, type=answers.Repo)).value(self._site.host)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://docs.github.com/en/rest/branches/branches#list-branches"""
        client, path = await self._at(repository)
        async for found in client.pages(f"{path}/branches", type=answers.Branch, params={"per_page": PAGE}):
            yield found.value()

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://docs.github.com/en/rest/repos/repos#list-repository-tags"""
        client, path = await self._at(repository)
        async for found in client.pages(f"{path}/tags", type=answers.Tag, params={"per_page": PAGE}):
            yield found.value()

    async def ref(self, repository: str, ref: str) -> str:
        """https://docs.github.com/en/rest/git/refs#get-a-reference; annotated tags are followed to the commit."""
        client, path = await self._at(repository)
        if not ref.startswith("refs/"):
            raise api.NotFound(f"{ref[:80]!r} is no full ref; write refs/heads/… or refs/tags/…")
        found = await client.get(f"{path}/git/ref/{_segments(ref.removeprefix('refs/'))}", type=answers.Ref)
        for _ in range(_DEEPEST_TAG):
            if found.object.type != "tag":
                break
            found = await client.get(f"{path}/git/tags/{found.object.sha}", type=answers.Ref)
        if found.object.type != "commit":
            raise api.NotFound(f"{ref} of {repository} leads to no commit")
        return found.object.sha

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """https://docs.github.com/en/rest/commits/commits#list-commits"""
        client, path = await self._at(repository)
        params = {"sha": ref, "per_page": PAGE}
        async for found in client.pages(f"{path}/commits", type=answers.Commit, params=params):
            yield found.value()

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """https://docs.github.com/en/rest/commits/commits#compare-two-commits, from where the two parted."""
        client, path = await self._at(repository)
        place = f"{path}/compare/{segment(base)}...{segment(head)}"
        first = await client.get(place, type=answers.Compared, params={"per_page": PAGE, "page": "1"})
        commits = list(first.commits)
        for page in range(2, MOST_COMPARED_PAGES + 1):
            if len(commits) >= first.total_commits:
                break
            params = {"per_page": PAGE, "page": str(page)}
            commits += (await client.get(place, type=answers.Compared, params=params)).commits
        files = tuple(file.value() for file in first.files or ())
        return api.Comparison(
            commits=tuple(commit.value() for commit in commits),
            files=files,
            complete=len(commits) == first.total_commits and len(files) < MOST_COMPARED_FILES,
        )

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """By a comparison, which says what differs only where `before` is an ancestor, and at most 300 files.

        `ProviderError` for all others: a fetch tells.
        """
        if push.before is None or push.after is None or push.forced:
            raise api.ProviderError("GitHub compares only a branch that moved forward")
        client, path = await self._at(push.repository.path)
        place = f"{path}/compare/{push.before}...{push.after}"
        found = await client.get(place, type=answers.Compared, params={"per_page": 1, "page": 1})
        if found.merge_base_commit is None or found.merge_base_commit.sha != push.before:
            raise api.ProviderError(f"{push.before[:10]} is no ancestor of {push.after[:10]}")
        if found.files is None or len(found.files) >= MOST_COMPARED_FILES:
            raise api.ProviderError(f"GitHub lists no more than {MOST_COMPARED_FILES} changed files")
        return answers.changed_paths([file.value() for file in found.files])

    # -- changes

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests; merged ones are among the closed."""
        client, path = await self._at(repository)
        asked = api.Repository(host=self._site.host, path=repository_path(repository))
        params = {"state": "all" if state is None else "open" if state == "open" else "closed", "per_page": PAGE}
        async for found in client.pages(f"{path}/pulls", type=answers.Change, params=params):
            if state is None or found.how() == state:
                yield found.value(asked)

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request, and its reviews."""
        client, path = await self._at(repository)
        asked = api.Repository(host=self._site.host, path=repository_path(repository))
        found = await client.get(f"{path}/pulls/{number}", type=answers.Change)
        pages = client.pages(f"{path}/pulls/{number}/reviews", type=answers.Review, params={"per_page": PAGE})
        return found.value(asked, reviews=tuple([review.value() async for review in pages]))

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files; `ProviderError` behind the last listed."""
        client, path = await self._at(repository)
        pages = client.pages(f"{path}/pulls/{number}/files", type=answers.ChangedFile, params={"per_page": PAGE})
        count = 0
        async for found in pages:
            count += 1
            yield found.value()
        if count >= MOST_CHANGED_FILES:
            raise api.ProviderError(f"GitHub lists no more than {MOST_CHANGED_FILES} files of a pull request")

    # -- people and issues

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """https://docs.github.com/en/rest/collaborators/collaborators#list-repository-collaborators"""
        client, path = await self._at(repository)
        pages = client.pages(f"{path}/collaborators", type=answers.Collaborator, params={"per_page": PAGE})
        async for found in pages:
            yield found.value()

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """https://docs.github.com/en/rest/repos/repos#list-repository-contributors, anonymous ones included."""
        client, path = await self._at(repository)
        params = {"anon": "1", "per_page": PAGE}
        async for found in client.pages(f"{path}/contributors", type=answers.Contributor, params=params):
            yield found.value()

    async def issues(
        self, repository: str, state: Literal["open", "closed"] | None = "open"
    ) -> AsyncIterator[api.Issue]:
        """https://docs.github.com/en/rest/issues/issues#list-repository-issues, pull requests left out."""
        client, path = await self._at(repository)
        params = {"state": state or "all", "per_page": PAGE}
        async for found in client.pages(f"{path}/issues", type=answers.Issue, params=params):
            if found.pull_request is None:
                yield found.value()

    # -- CI runs and files

    async def ci_runs(
        self, repository: str, *, sha: str | None = None, branch: str | None = None
    ) -> AsyncIterator[api.CiRun]:
        """https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository"""
        client, path = await self._at(repository)
        narrowed = {"head_sha": sha, "branch": branch}
        params = {"per_page": PAGE, **{name: value for name, value in narrowed.items() if value is not None}}
        pages = client.pages(f"{path}/actions/runs", type=answers.WorkflowRun, params=params, items="workflow_runs")
        async for found in pages:
            yield found.value()

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run, of its last attempt."""
        client, path = await self._at(repository)
        place = f"{path}/actions/runs/{number(run, 'workflow run')}/jobs"
        async for found in client.pages(place, type=answers.WorkflowJob, params={"per_page": PAGE}, items="jobs"):
            yield found.value()

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """https://docs.github.com/en/rest/repos/contents#get-repository-content; beyond a megabyte from its blob."""
        client, place = await self._at(repository)
        shape: Any = trees.Content | list[msgspec.Raw]  # msgspec reads a union, too; a list is a folder
        found: trees.Content | list[msgspec.Raw] = await client.get(
            f"{place}/contents/{_segments(path)}", type=shape, params={"ref": ref}
        )
        if not isinstance(found, trees.Content) or found.type != "file":
            what = "a folder" if isinstance(found, list) else f"a {found.type}"
            raise api.Conflict(f"{path} of {repository} is {what}")
        if found.encoding == "base64" and found.content is not None:
            content = trees.decoded(found.content)
        else:
            content = (await client.call("GET", f"{place}/git/blobs/{found.sha}", headers=RAW)).body
        return api.FileContent(path=path, content=content, revision=found.sha)

    # -- the host

    async def sender_addresses(self) -> tuple[str, ...]:
        """https://docs.github.com/en/rest/meta/meta#get-github-meta-information; Enterprise Server may name none."""
        told = await (await self._access.anybody()).get("/meta", type=_Meta)
        if not told.hooks:
            raise api.ProviderError("this GitHub does not say from where its webhooks come")
        return tuple(sorted(told.hooks))


class _Meta(msgspec.Struct):
    hooks: list[str] | None = None


def _segments(path: str) -> str:
    return "/".join(map(segment, path.split("/")))
