"""What a CodeCommit connection can change, each with a guard; not what it reads.

CodeCommit has no commit statuses: there is nothing to report builds with.
"""

from __future__ import annotations

import posixpath
import uuid
from typing import Any

from headgate import api
from headgate_plugins.codecommit import answers
from headgate_plugins.codecommit.reading import WHOLE, Reading, name_of

MERGES: dict[api.MergeMethod, str] = {
    "merge": "MergePullRequestByThreeWay",
    "squash": "MergePullRequestBySquash",
    "rebase": "MergePullRequestByFastForward",
}
"""It rebases nothing: a straight history is had by fast-forward, or not at all."""


class Writing(Reading):
    """WritesFiles and WritesChanges."""

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_CreateCommit.html

        Every file's revision is compared at the branch's head, and the commit made on that head only.
        """
        name = name_of(repository)
        head = await self._tip(name, commit.branch)
        if commit.head is not None and commit.head != head:
            raise api.Conflict(f"{commit.branch} is at {head}, no longer at {commit.head}")
        there = await self._files(name, head, {change.path for change in commit.changes})
        asked: dict[str, Any] = {
            "repositoryName": name,
            "branchName": commit.branch,
            "parentCommitId": head,
            "commitMessage": commit.message,
            "putFiles": [],
            "deleteFiles": [],
        }
        for change in commit.changes:
            found = there.get(change.path)
            _check(change, found)
            if change.content is None:
                asked["deleteFiles"].append({"filePath": change.path})
            else:
                put = {"filePath": change.path, "fileContent": change.content}
                asked["putFiles"].append(put | ({"fileMode": found.file_mode} if found else {}))
        made = await self._calls.write("CreateCommit", asked, shape=answers.Created)
        return made.commit_id

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_CreateBranch.html"""
        asked = {"repositoryName": name_of(repository), "branchName": name, "commitId": sha}
        await self._calls.empty("CreateBranch", asked)

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_CreatePullRequest.html

        It would open a second one between the same branches, and one with nothing between them; so we look first.
        """
        name = name_of(repository)
        if new.draft:
            raise api.Conflict("CodeCommit has no drafts")
        if await self._tip(name, new.source) == await self._tip(name, new.target):
            raise api.Conflict(f"there is nothing between {new.source} and {new.target}")
        async for one in self.changes(name):
            if (one.source.branch, one.target.branch) == (new.source, new.target):
                raise api.Conflict(f"pull request {one.number} is open between {new.source} and {new.target}")
        target = {
            "repositoryName": name,
            "sourceReference": f"refs/heads/{new.source}",
            "destinationReference": f"refs/heads/{new.target}",
        }
        asked = {"title": new.title, "description": new.body, "targets": [target]}
        # The token makes it the same request however often it arrives.
        asked["clientRequestToken"] = str(uuid.uuid4())
        made = await self._calls.write("CreatePullRequest", asked, shape=answers.PullRequestAnswer, idempotent=True)
        return self._change(made.pull_request, _target(made.pull_request, name), ())

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """https://docs.aws.amazon.com/codecommit/latest/APIReference/API_MergePullRequestByThreeWay.html and others."""
        name = name_of(repository)
        asked = {"pullRequestId": str(number), "repositoryName": name, "sourceCommitId": sha}
        made = await self._calls.write(MERGES[method], asked, shape=answers.PullRequestAnswer)
        return _target(made.pull_request, name).merge_metadata.merge_commit_id

    async def _files(self, name: str, head: str, paths: set[str]) -> dict[str, answers.FolderFile]:
        """Those of the paths that are there, by their folders; content is not asked for."""
        found: dict[str, answers.FolderFile] = {}
        for folder in sorted({posixpath.dirname(path) for path in paths}):
            try:
                listed = await self._folder(name, head, folder or WHOLE)
            except api.NotFound:
                continue
            found |= {one.absolute_path: one for one in listed.files if one.absolute_path in paths}
        return found


def _check(change: api.FileChange, found: answers.FolderFile | None) -> None:
    """The guard of one file."""
    if found is None and (change.revision is not None or change.content is None):
        raise api.Conflict(f"{change.path} is no longer there")
    if found is not None and change.revision is None:
        raise api.Conflict(f"{change.path} is there already")
    if found is not None and change.revision != found.blob_id:
        raise api.Conflict(f"{change.path} was changed meanwhile")


def _target(found: answers.PullRequest, name: str) -> answers.PullRequestTarget:
    for target in found.pull_request_targets:
        if target.repository_name == name:
            return target
    raise api.ProviderError("the answer has no target in the repository")
