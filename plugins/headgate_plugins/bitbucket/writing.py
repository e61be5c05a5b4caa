"""What Bitbucket's API does for us: statuses, commits, branches, pull requests; each guarded or idempotent.

Source: https://developer.atlassian.com/cloud/bitbucket/rest/
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from headgate import api
from headgate_plugins.bitbucket import answers
from headgate_plugins.bitbucket.files import Upload, blob_id, form
from headgate_plugins.bitbucket.names import below
from headgate_plugins.bitbucket.reading import Reading

LONGEST_KEY = 40
"""Characters of a status's key."""
LONGEST_TEXT = 255
"""Characters of a status's name and description."""

# https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "INPROGRESS",
    "running": "INPROGRESS",
    "succeeded": "SUCCESSFUL",
    "failed": "FAILED",
    "errored": "FAILED",
    "cancelled": "STOPPED",
}

# https://support.atlassian.com/bitbucket-cloud/docs/pull-request-merge-strategies/
STRATEGIES: Mapping[api.MergeMethod, str] = {
    "merge": "merge_commit",
    "squash": "squash",
    "rebase": "rebase_fast_forward",
}

_MADE = re.compile(r"/commits?/([0-9a-f]{40})$")


class Writing(Reading):
    """The capabilities that write. Methods are as `headgate.api.capabilities` says."""

    # -- ReportsStatus

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """A second status of the same key replaces the first, so asking again does no harm.

        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
        """
        path = below(repository.path, "commit", sha, "statuses", "build")
        body = {
            "type": "build",
            "key": status_key(status.context),
            "state": STATUS_STATES[status.state],
            "name": _shortened(status.context),
            "description": _shortened(status.description),
            "url": status.url or f"{self._home(repository.path)}/commits/{sha}",  # it must have one
        }
        # Not waited for: whoever tells news keeps it, and is told when to try again.
        await self._client.call("POST", path, body=body, idempotent=True, patience=0)

    # -- WritesFiles

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """Looks at every guard at the branch's head, and commits on exactly that head (`parents`).

        Bitbucket answers 409 when the branch moved in between:
        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/
        """
        head = await self._named(repository, "branches", commit.branch)
        if commit.head is not None and commit.head != head:
            raise api.Conflict(f"the branch {commit.branch} is at {head}, not at {commit.head}")
        fields = [("message", commit.message), ("branch", commit.branch), ("parents", head)]
        uploads = []
        for change in commit.changes:
            attributes = await self._guard(repository, change, head)
            if change.content is None:
                fields.append(("files", f"/{change.path}"))
            else:
                uploads.append(Upload(path=change.path, content=change.content, attributes=attributes))
        kind, body = form(fields, uploads)
        answer = await self._client.call("POST", below(repository, "src"), content=body, headers={"Content-Type": kind})
        made = _MADE.search(answer.headers.get("location", ""))  # read, never followed
        return made[1] if made else await self._child_of(repository, commit.branch, head)

    async def _guard(self, repository: str, change: api.FileChange, head: str) -> tuple[str, ...]:
        """The attributes of the file as it is at `head`; `Conflict` unless it is what the change was made for."""
        found: tuple[bytes, tuple[str, ...]] | None = None
        with contextlib.suppress(api.NotFound):
            found = await self.file_at(repository, change.path, head)
        if change.revision is None:
            if found is not None:
                raise api.Conflict(f"{change.path} is there already, and the change is for a new file")
            if change.content is None:
                raise api.Conflict(f"{change.path} is to be removed and is not there")
            return ()
        if found is None:
            raise api.Conflict(f"{change.path} is not there any more")
        if blob_id(found[0]) != change.revision:
            raise api.Conflict(f"{change.path} is now {blob_id(found[0])}, and the change is for {change.revision}")
        return found[1]

    async def _child_of(self, repository: str, branch: str, parent: str) -> str:
        """The branch's head, if it is ours; for an answer without a `Location`."""
        head = await self._named(repository, "branches", branch)
        made = await self._client.get(below(repository, "commit", head), type=answers.Commit)
        if [one.hash for one in made.parents or ()] != [parent]:
            raise api.ProviderError(f"Bitbucket made a commit on {branch} and did not say which")
        return head

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/; one that exists is a 400."""
        body = {"name": name, "target": {"hash": sha}}
        await self._client.call("POST", below(repository, "refs", "branches"), body=body)

    # -- WritesChanges

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """What Bitbucket does about a second one between the same branches it does not say; we look first.

        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/
        """
        async for one in self.changes(repository):
            own = one.source.repository is not None and one.source.repository.path.lower() == one.repository.path
            if own and (one.source.branch, one.target.branch) == (new.source, new.target):
                raise api.Conflict(f"pull request {one.number} is open between {new.source} and {new.target}")
        body: dict[str, Any] = {
            "type": "pullrequest",
            "title": new.title,
            "description": new.body,
            "source": {"branch": {"name": new.source}},
            "destination": {"branch": {"name": new.target}},
            "draft": new.draft,
        }
        made = await self._client.post(below(repository, "pullrequests"), body, type=answers.PullRequest)
        return made.hosted(self._repository(repository), reviews=False)

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """Looks at the head first, because Bitbucket's merge takes no guard: a push between the two is merged, too.

        https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/
        """
        path = below(repository, "pullrequests", str(number))
        now = (await self._client.get(path, type=answers.PullRequest)).hosted(
            self._repository(repository), reviews=False
        )
        if now.state != "open":
            raise api.Conflict(f"pull request {number} is {now.state}")
        if not now.source.sha or not sha.startswith(now.source.sha):
            raise api.Conflict(f"the head of pull request {number} is {now.source.sha}, not {sha}")
        body = {"type": "pullrequest_merge_parameters", "merge_strategy": STRATEGIES[method]}
        merged = await self._client.post(f"{path}/merge", body, type=answers.PullRequest)
        if merged.merge_commit is None:
            return None
        return await self._whole(repository, answers.short(merged.merge_commit.hash))


def status_key(context: str) -> str:
    """The context itself if it is short enough, else its beginning and a digest of it: equal only for equal ones."""
    if len(context) <= LONGEST_KEY:
        return context
    digest = hashlib.sha256(context.encode()).hexdigest()[:12]
    return f"{context[: LONGEST_KEY - 13]}-{digest}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
