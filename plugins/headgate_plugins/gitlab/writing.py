"""What a GitLab connection can change: statuses, files, branches and merge requests; not webhooks.

Source: https://docs.gitlab.com/api/api_resources/. A POST is never repeated.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitlab import answers, change_answers
from headgate_plugins.gitlab.client import Asks
from headgate_plugins.gitlab.names import project_path

LONGEST_DESCRIPTION = 255
"""Characters. https://docs.gitlab.com/api/commits/#set-commit-pipeline-status"""

# https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "pending",
    "running": "running",
    "succeeded": "success",
    "failed": "failed",
    "errored": "failed",
    "cancelled": "canceled",
}

_TRANSITION = re.compile(r"Cannot transition status via :(\w+) from :(\w+)")
_NO_CHANGE = frozenset(
    {("enqueue", "pending"), ("run", "running"), ("success", "success"), ("drop", "failed"), ("cancel", "canceled")}
)
"""GitLab refuses to set a state that is there already, by the word of its way there and the state's own."""

# How GitLab words that a guard does not hold, each with status 400.
_GUARDS = (
    "has changed since you started editing it",
    "already exists",
    "name doesn't exist",
    "does not exist",
)

_STRAIGHT = frozenset({"ff", "rebase_merge"})
"""Settings of a project under which GitLab adds the commits on top of the target."""


class Writing(Asks):
    """The calls that change something, but for those of `hooks.py`."""

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """https://docs.gitlab.com/api/commits/#set-commit-pipeline-status; the newest of a name counts.

        Without a branch that holds the commit GitLab has no pipeline to show it in, and finds none (`NotFound`).
        """
        body = {
            "state": STATUS_STATES[status.state],
            "name": status.context,
            "description": _shortened(status.description),
        }
        if status.url is not None:
            body["target_url"] = status.url
        path = f"{self._project(repository.path)}/statuses/{segment(sha)}"
        try:
            # Not waited for: whoever tells news keeps it, and is told when to try again.
            await self._client.call("POST", path, body=body, patience=0)
        except api.ProviderError as error:
            refused = _TRANSITION.search(str(error))
            if refused is None:
                raise
            if (refused[1], refused[2]) not in _NO_CHANGE:
                raise api.Conflict(f"an older status came late: {error}") from None

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """https://docs.gitlab.com/api/commits/#create-a-commit, each file guarded by the commit that changed it last.

        GitLab cannot guard the branch's head: it is looked at right before, and the files' own guards hold anyway.
        """
        project = self._project(repository)
        actions = [_action(change) for change in commit.changes]
        if commit.head is not None:
            branch = await self._client.get(
                f"{project}/repository/branches/{segment(commit.branch)}", type=answers.Branch
            )
            if branch.commit.id != commit.head:
                raise api.Conflict(f"{commit.branch} is at {branch.commit.id} and no longer at {commit.head}")
        body = {"branch": commit.branch, "commit_message": commit.message, "actions": actions}
        try:
            made = await self._client.post(f"{project}/repository/commits", body, type=answers.Commit)
        except api.ProviderError as error:
            raise _guarded(error) from None
        return answers.sha(made.id)

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://docs.gitlab.com/api/branches/#create-a-repository-branch"""
        try:
            body = {"branch": name, "ref": sha}
            await self._client.call("POST", f"{self._project(repository)}/repository/branches", body=body)
        except api.ProviderError as error:
            raise _guarded(error) from None

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """https://docs.gitlab.com/api/merge_requests/#create-a-merge-request; GitLab would open one with nothing in it."""
        project = self._project(repository)
        compared = await self._client.get(
            f"{project}/repository/compare",
            type=answers.Compared,
            params={"from": new.target, "to": new.source, "straight": False},
        )
        if not compared.commits:
            raise api.Conflict(f"{new.source} has no commit that {new.target} has not")
        body = {
            "source_branch": new.source,
            "target_branch": new.target,
            "title": f"Draft: {new.title}" if new.draft else new.title,
            "description": new.body,
        }
        opened = await self._client.post(f"{project}/merge_requests", body, type=change_answers.MergeRequest)
        target = api.Repository(host=self._host_name, path=project_path(repository))
        return change_answers.hosted_change(opened, target, None)

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request; a project's settings say how.

        `merge` is the project's own way, `squash` that with one commit; `rebase` is refused (`Conflict`) where the
        project makes merge commits.
        """
        project = self._project(repository)
        if method == "rebase":
            settings = await self._client.get(project, type=answers.Project)
            if settings.merge_method not in _STRAIGHT:
                raise api.Conflict(f"{repository} merges with merge commits; its settings decide that, not a request")
        body: dict[str, str | bool] = {"sha": sha}
        if method == "squash":
            body["squash"] = True
        # Not repeated: a second try at what succeeded would be told that it cannot be merged.
        path = f"{project}/merge_requests/{number}/merge"
        answer = await self._client.call("PUT", path, body=body, idempotent=False)
        return change_answers.merge_sha(answer.read(change_answers.MergeRequest))


def _action(change: api.FileChange) -> dict[str, str]:
    if change.content is None:
        if change.revision is None:
            raise api.Conflict(f"{change.path} cannot be deleted as a new file; give the revision it has")
        return {"action": "delete", "file_path": change.path, "last_commit_id": change.revision}
    content = {"content": base64.b64encode(change.content).decode(), "encoding": "base64"}
    if change.revision is None:
        return {"action": "create", "file_path": change.path, **content}
    return {"action": "update", "file_path": change.path, "last_commit_id": change.revision, **content}


def _guarded(error: api.ProviderError) -> api.ProviderError:
    """GitLab says 400 for everything that cannot be; a guard that does not hold is a conflict."""
    words = str(error)
    if type(error) is api.ProviderError and any(words_of_guard in words for words_of_guard in _GUARDS):
        return api.Conflict(words)
    return error


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_DESCRIPTION else text[: LONGEST_DESCRIPTION - 1] + "…"
