"""What a CodeCommit connection can tell when it is asked; not what it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from headgate import api
from headgate_plugins.codecommit import answers, walks
from headgate_plugins.codecommit.client import Calls
from headgate_plugins.codecommit.names import git_host, normalise

BATCH = 25
"""Repositories and commits that are asked for at once. https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html"""

WHOLE = "/"
"""The folder that is the repository itself."""


class Reading:
    """ReadsRepositories, ReadsChanges, DiscoversRepositories and ReadsFiles."""

    def __init__(self, *, calls: Calls, region: str) -> None:
        """`calls`: with the credential, in `region`."""
        self._calls = calls
        self._region = region

    @property
    def _host_name(self) -> str:
        return git_host(self._region)

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_GetRepository.html"""
        asked = {"repositoryName": name_of(repository)}
        found = await self._calls.read("GetRepository", asked, shape=answers.RepositoryAnswer)
        return answers.hosted_repository(found.repository_metadata, host=self._host_name, region=self._region)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_ListBranches.html, and GetBranch for each."""
        name = name_of(repository)
        async for page in self._calls.pages("ListBranches", {"repositoryName": name}, shape=answers.BranchList):
            for branch in page.branches:
                yield api.Branch(name=branch, sha=await self._tip(name, branch))

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """The API has no listing of them: an error, for an empty list would be a lie."""
        raise api.ProviderError(f"CodeCommit's API does not list tags; git does, in a clone of {name_of(repository)}")
        yield  # what makes it an iterator

    async def ref(self, repository: str, ref: str) -> str:
        """By GetFolder of the root, which says where any ref leads, tags included."""
        return (await self._folder(name_of(repository), ref, WHOLE)).commit_id

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """From parent to parent; one request for each commit."""
        name = name_of(repository)
        head = await self._sha(name, ref)
        async for one in walks.newest_first(head, partial(self._commits, name)):
            yield answers.commit(one)

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """From parent to parent down to a commit that both have; files since that, by GetDifferences."""
        name = name_of(repository)
        ours, theirs = await self._sha(name, head), await self._sha(name, base)
        found, common, complete = await walks.between(theirs, ours, partial(self._commits, name))
        files = [one async for one in self._differences(name, common or theirs, ours)]
        return api.Comparison(
            commits=tuple(answers.commit(one) for one in found), files=tuple(files), complete=complete
        )

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_ListPullRequests.html, and each by itself."""
        name = name_of(repository)
        asked = {"repositoryName": name}
        if state is not None:
            asked["pullRequestStatus"] = "OPEN" if state == "open" else "CLOSED"
        async for page in self._calls.pages("ListPullRequests", asked, shape=answers.PullRequestList):
            for number in page.pull_request_ids:
                found, target = await self._pull_request(name, number)
                change = self._change(found, target, None)
                if state in {None, change.state}:
                    yield change

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """GetPullRequest, and GetPullRequestApprovalStates of its revision."""
        found, target = await self._pull_request(name_of(repository), str(number))
        reviews: tuple[api.Review, ...] = ()
        if found.revision_id is not None:
            asked = {"pullRequestId": str(number), "revisionId": found.revision_id}
            told = await self._calls.read("GetPullRequestApprovalStates", asked, shape=answers.ApprovalList)
            reviews = tuple(answers.review(one, sha=target.source_commit) for one in told.approvals)
        return self._change(found, target, reviews)

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """What differs between the source and where it left the target."""
        name = name_of(repository)
        _, target = await self._pull_request(name, str(number))
        base = target.merge_base or target.destination_commit
        if base is None:
            raise api.NotFound(f"CodeCommit does not say where pull request {number} begins")
        async for one in self._differences(name, base, target.source_commit):
            yield one

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """ListRepositories, and BatchGetRepositories for what it leaves out. `owner` is the account's number."""
        if query.archived or query.visibility not in {None, "private"} or query.project is not None:
            return
        async for page in self._calls.pages("ListRepositories", {}, shape=answers.RepositoryList):
            wanted = (query.search or "").lower()
            names = [one.repository_name for one in page.repositories if wanted in one.repository_name.lower()]
            for at in range(0, len(names), BATCH):
                asked = {"repositoryNames": names[at : at + BATCH]}
                batch = await self._calls.read("BatchGetRepositories", asked, shape=answers.RepositoryBatch)
                for one in batch.repositories:
                    if query.owner in {None, one.account_id}:
                        yield answers.hosted_repository(one, host=self._host_name, region=self._region)

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_GetFile.html; up to 6 MB."""
        name = name_of(repository)
        asked = {"repositoryName": name, "filePath": path, "commitSpecifier": ref}
        try:
            found = await self._calls.read("GetFile", asked, shape=answers.FileAnswer)
        except api.NotFound:
            if await self._is_folder(name, ref, path):
                raise api.Conflict(f"{path} is a folder") from None
            raise
        return api.FileContent(path=path, content=found.file_content, revision=found.blob_id)

    # -- what the methods above, and writing, ask

    def _change(
        self,
        found: answers.PullRequest,
        target: answers.PullRequestTarget,
        reviews: tuple[api.Review, ...] | None,
    ) -> api.HostedChange:
        return answers.hosted_change(found, target, host=self._host_name, region=self._region, reviews=reviews)

    async def _pull_request(self, name: str, number: str) -> tuple[answers.PullRequest, answers.PullRequestTarget]:
        """Its numbers are the region's: one of another repository is not found here."""
        found = await self._calls.read("GetPullRequest", {"pullRequestId": number}, shape=answers.PullRequestAnswer)
        for target in found.pull_request.pull_request_targets:
            if target.repository_name == name:
                return found.pull_request, target
        raise api.NotFound(f"{name} has no pull request {number}")

    async def _tip(self, name: str, branch: str) -> str:
        asked = {"repositoryName": name, "branchName": branch}
        return (await self._calls.read("GetBranch", asked, shape=answers.BranchAnswer)).branch.commit_id

    async def _sha(self, name: str, ref: str) -> str:
        """Of a branch, a tag or a sha."""
        try:
            return api.full_sha(ref)
        except ValueError:
            return (await self._folder(name, ref, WHOLE)).commit_id

    async def _folder(self, name: str, ref: str, path: str) -> answers.FolderAnswer:
        asked = {"repositoryName": name, "commitSpecifier": ref, "folderPath": path}
        return await self._calls.read("GetFolder", asked, shape=answers.FolderAnswer)

    async def _is_folder(self, name: str, ref: str, path: str) -> bool:
        try:
            await self._folder(name, ref, path)
        except api.NotFound:
            return False
        return True

    async def _commits(self, name: str, ids: list[str]) -> list[answers.CommitAnswer]:
        found: list[answers.CommitAnswer] = []
        for at in range(0, len(ids), BATCH):
            asked: dict[str, Any] = {"repositoryName": name, "commitIds": ids[at : at + BATCH]}
            found += (await self._calls.read("BatchGetCommits", asked, shape=answers.CommitBatch)).commits
        if missing := set(ids) - {one.commit_id for one in found}:
            raise api.NotFound(f"{name} has no commit {min(missing)}")
        return found

    async def _differences(self, name: str, before: str, after: str) -> AsyncIterator[api.ChangedFile]:
        asked = {"repositoryName": name, "beforeCommitSpecifier": before, "afterCommitSpecifier": after}
        async for page in self._calls.pages("GetDifferences", asked, shape=answers.DifferenceList, key="NextToken"):
            for one in page.differences:
                yield answers.changed_file(one)


def name_of(repository: str) -> str:
    """As the API wants it, yet only if it names a repository."""
    try:
        return normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
