"""What is written through the API of Gitea and Forgejo: statuses, files and pull requests; always guarded.

Source: https://docs.gitea.com/api/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitea import answers, discussions
from headgate_plugins.gitea.reading import ReadsAll, repo_path

# https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "pending",
    "running": "pending",
    "succeeded": "success",
    "failed": "failure",
    "errored": "error",
    "cancelled": "error",
}


class Writes(ReadsAll):
    """`ReportsStatus`, `WritesFiles` and `WritesChanges`. What guards a write is read before it."""

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """The newest of a context counts."""
        body = {"state": STATUS_STATES[status.state], "context": status.context, "description": status.description}
        if status.url is not None:
            body["target_url"] = status.url
        path = f"{repo_path(repository.path)}/statuses/{segment(sha)}"
        # Not waited for: whoever tells news keeps it, and is told when to try again.
        await self._client.call("POST", path, body=body, patience=0)

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """Not in servers before Gitea 1.20; https://docs.gitea.com/api/#tag/repository/operation/repoChangeFiles

        The server guards each file by its revision. It has no guard for the branch's head, which is compared before.
        """
        if commit.head is not None:
            head = await self._head(repository, commit.branch)
            if head != commit.head:
                raise api.Conflict(f"{commit.branch} of {repository} is at {head}, no longer at {commit.head}")
        body = {
            "branch": commit.branch,
            "message": commit.message,
            "files": [_operation(change) for change in commit.changes],
        }
        try:
            made = await self._client.post(f"{repo_path(repository)}/contents", body, type=answers.CommitMade)
        except api.NotFound as error:
            await self._head(repository, commit.branch)  # raises when repository or branch is what there is not
            raise api.Conflict(f"a file to change is not there: {error}") from None
        return answers.sha_of(made.commit.sha)

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://docs.gitea.com/api/#tag/repository/operation/repoCreateBranch

        Old servers do not read `old_ref_name`, and make it at the default branch's head: such a one is removed again.
        """
        at = f"{repo_path(repository)}/branches"
        made = await self._client.post(at, {"new_branch_name": name, "old_ref_name": sha}, type=answers.Branch)
        if made.branch().sha != sha.lower():
            await self._client.delete(f"{at}/{segment(name)}")
            raise api.ProviderError(
                f"{self._flavour.title} made {name} at another commit: it is too old to be told one"
            )

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """A draft is one by its title; https://docs.gitea.com/api/#tag/repository/operation/repoCreatePullRequest"""
        title = f"WIP: {new.title}" if new.draft else new.title
        body = {"title": title, "body": new.body, "head": new.source, "base": new.target}
        made = await self._client.post(f"{repo_path(repository)}/pulls", body, type=discussions.PullRequest)
        return made.change(self._target(made, repository))

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """`head_commit_id` guards it; for servers too old to read that, the head is compared before, too.

        https://docs.gitea.com/api/#tag/repository/operation/repoMergePullRequest
        """
        found = await self._pull_request(repository, number)
        if found.head.sha.lower() != sha.lower():
            raise api.Conflict(f"the head of {repository}#{number} is {found.head.sha}, no longer {sha}")
        body = {"Do": method, "head_commit_id": sha}
        await self._client.call("POST", f"{repo_path(repository)}/pulls/{number}/merge", body=body)
        try:
            merged = await self._pull_request(repository, number)
        except api.ProviderError:
            return None  # it is merged, whatever became of the question for the commit
        return answers.sha_or_none(merged.merge_commit_sha)

    async def _head(self, repository: str, branch: str) -> str:
        path = f"{repo_path(repository)}/branches/{segment(branch)}"
        return (await self._client.get(path, type=answers.Branch)).branch().sha


def _operation(change: api.FileChange) -> dict[str, Any]:
    """Each says what it expects to be there, so that the server refuses what is not so."""
    operation: dict[str, Any] = {"path": change.path}
    if change.content is None:
        operation["operation"] = "delete"
    else:
        operation["operation"] = "create" if change.revision is None else "update"
        operation["content"] = base64.b64encode(change.content).decode()
    if change.revision is not None:
        operation["sha"] = change.revision
    return operation
