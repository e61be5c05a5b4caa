"""What is written to an organisation: statuses, files and branches, each guarded; pull requests are in `changes.py`."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from headgate import api
from headgate_plugins.azure_devops import answers
from headgate_plugins.azure_devops.client import path_to
from headgate_plugins.azure_devops.reading import Reading

# https://learn.microsoft.com/en-us/rest/api/azure/devops/git/statuses/create#gitstatusstate
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "pending",
    "running": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "errored": "error",
    "cancelled": "error",
}

GENRE = "headgate"
"""The genre of a context that has none: Azure DevOps shows `genre/name`."""

ZERO = "0" * 40

# https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/update-refs#gitrefupdatestatus
_STATUS_MEANINGS: Mapping[str, type[api.ProviderError]] = {
    "invalidRefName": api.ProviderError,
    "unresolvableToCommit": api.NotFound,
    "unprocessed": api.Unavailable,
}


class Writing(Reading):
    """The writing half of a connection."""

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/statuses/create; the newest of a context counts."""
        genre, slash, name = status.context.partition("/")
        if not slash or not genre or not name:
            genre, name = GENRE, status.context
        body: dict[str, object] = {
            "state": STATUS_STATES[status.state],
            "description": status.description,
            "context": {"genre": genre, "name": name},
        }
        if status.url is not None:
            body["targetUrl"] = status.url
        path = path_to(repository.path, f"/commits/{answers.sha(sha)}/statuses")
        # Not waited for: whoever tells news keeps it, and is told when to try again.
        await self._rest.call("POST", path, body=body, patience=0)

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """One push with one commit, taken only if the branch is still where the files were looked at.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pushes/create
        """
        ref = f"refs/heads/{commit.branch.removeprefix('refs/heads/')}"
        head = await self.ref(repository, ref)
        if commit.head is not None and commit.head.lower() != head:
            raise api.Conflict(f"{commit.branch} of {repository} moved: it is at {head}, not {commit.head}")
        changes = [await self._file_change(repository, change, head) for change in commit.changes]
        body = {
            "refUpdates": [{"name": ref, "oldObjectId": head}],
            "commits": [{"comment": commit.message, "changes": changes}],
        }
        pushed = (await self._rest.call("POST", path_to(repository, "/pushes"), body=body)).read(answers.PushResult)
        for update in pushed.ref_updates:
            if update.name == ref:
                return answers.sha(update.new_object_id)
        raise api.ProviderError(f"Azure DevOps does not say where {ref} is after the push")

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/refs/update-refs"""
        ref = f"refs/heads/{name.removeprefix('refs/heads/')}"
        body = [{"name": ref, "oldObjectId": ZERO, "newObjectId": sha.lower()}]
        answer = await self._rest.call("POST", path_to(repository, "/refs"), body=body)
        for result in answer.read(answers.RefResults).value:
            if not result.success:
                raise _refusal(result, ref)

    async def _file_change(self, repository: str, change: api.FileChange, head: str) -> dict[str, object]:
        """As a push has it. Raises `Conflict` when the file is not as its guard says."""
        found = await self._blob(repository, change.path, head)
        if found != (change.revision.lower() if change.revision is not None else None):
            was = "there is none" if found is None else f"it is {found}"
            wanted = "a new file" if change.revision is None else change.revision
            raise api.Conflict(f"{change.path} of {repository} is not as expected: {was}, not {wanted}")
        item = {"item": {"path": "/" + change.path.lstrip("/")}}
        if change.content is None:
            if found is None:
                raise api.Conflict(f"{change.path} of {repository} cannot be deleted: there is none")
            return {"changeType": "delete", **item}
        content = {"content": base64.b64encode(change.content).decode(), "contentType": "base64encoded"}
        return {"changeType": "add" if found is None else "edit", **item, "newContent": content}


def _refusal(result: answers.RefResult, ref: str) -> api.ProviderError:
    words = f"{ref}: Azure DevOps says {result.update_status or 'no'}"
    if result.custom_message:
        words = f"{words}, {result.custom_message[:200]}"
    if result.update_status.endswith("PermissionRequired"):
        return api.Refused(words)
    return _STATUS_MEANINGS.get(result.update_status, api.Conflict)(words)
