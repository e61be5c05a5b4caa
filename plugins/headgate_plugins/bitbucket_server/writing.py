"""What Bitbucket Data Center can be told to change: files, branches, pull requests, build statuses; guarded.

Its API makes commits of one file only and deletes none; a merge is guarded by a version that a push does not raise.
Source of all: https://developer.atlassian.com/server/bitbucket/rest/
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

from headgate import api
from headgate.api.client import segment
from headgate_plugins.bitbucket_server import answers, shapes
from headgate_plugins.bitbucket_server.client import REST, repository_path
from headgate_plugins.bitbucket_server.names import normalise
from headgate_plugins.bitbucket_server.reading import Reads, meant

# https://developer.atlassian.com/server/bitbucket/rest/v819/api-group-builds-and-deployments/
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "INPROGRESS",
    "running": "INPROGRESS",
    "succeeded": "SUCCESSFUL",
    "failed": "FAILED",
    "errored": "FAILED",
    "cancelled": "CANCELLED",
}

LONGEST = 255
"""Characters of a build's key, name and description."""

BUILDS_SINCE = (7, 4)
"""The version from which on a build belongs to a commit of a repository; before, to a commit wherever it is."""

MERGE_STRATEGIES: Mapping[api.MergeMethod, str] = {
    "merge": "no-ff",
    "squash": "squash",
    "rebase": "rebase-ff-only",
}
"""Of these the repository's settings have to allow the one that is asked for."""


class Writes(Reads):
    """The calls that change something: see `headgate.api.capabilities` and `headgate.api.providers` for each."""

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """The newest of a key counts; the key is the context, or its digest where that is too long."""
        path, context = repository_path(repository.path), status.context
        key = context if len(context) <= LONGEST else hashlib.sha256(context.encode()).hexdigest()
        body = {
            "key": key,
            "name": _shortened(context),
            "state": STATUS_STATES[status.state],
            "description": _shortened(status.description),
            # It must have one.
            "url": status.url or f"{self._site.url}{path.removeprefix(REST)}/commits/{sha}",
        }
        try:
            # Not waited for: whoever tells news keeps it, and is told when to try again.
            await self._client.call(
                "POST", f"{path}/commits/{segment(sha)}/builds", body=body, idempotent=True, patience=0
            )
        except api.NotFound:
            if await self._version() >= BUILDS_SINCE:
                raise
            older = {**body, "state": body["state"].replace("CANCELLED", "FAILED")}
            place = f"/rest/build-status/1.0/commits/{segment(sha)}"
            await self._client.call("POST", place, body=older, idempotent=True, patience=0)

    async def _version(self) -> tuple[int, ...]:
        """`(7, 21, 4)`; anybody may ask."""
        server = await self._client.get(f"{REST}/application-properties", type=answers.Server)
        return tuple(int(number) for number in re.findall(r"\d{1,9}", server.version)[:3])

    # -- files and branches

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """One file, made or changed. Anything else this API cannot do, and is refused before it is asked.

        `revision` is the commit the file was read at: it may have moved on, the file may not.
        """
        if len(commit.changes) != 1:
            raise api.ProviderError(
                f"Bitbucket Data Center's API makes commits of one file, not of {len(commit.changes)}; "
                "make one commit a file, or push with git"
            )
        (change,) = commit.changes
        if change.content is None:
            raise api.ProviderError(
                f"Bitbucket Data Center's API deletes no files; {change.path} has to be deleted by a push with git"
            )
        if (
            commit.head is not None
            and (now := await self.ref(repository, f"refs/heads/{commit.branch}")) != commit.head
        ):
            raise api.Conflict(f"{commit.branch} of {repository} is at {now}, no longer at {commit.head}")
        fields = {"branch": commit.branch, "message": commit.message}
        if change.revision is not None:
            fields["sourceCommitId"] = change.revision
        content, content_type = multipart(fields, "content", change.content)
        place = "/".join(segment(part) for part in change.path.split("/"))
        # Made twice, the second would meet the first: it is not made again.
        answer = await self._client.call(
            "PUT",
            f"{repository_path(repository)}/browse/{place}",
            content=content,
            headers={"Content-Type": content_type},
            idempotent=False,
        )
        return meant(api.full_sha, answer.read(shapes.ListedCommit).id)

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """At a commit."""
        body = {"name": name, "startPoint": sha}
        await self._client.call("POST", f"{repository_path(repository)}/branches", body=body)

    # -- pull requests

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """A draft needs 8.18; an older server opens it as usual, and the answer says so."""
        path = repository_path(repository)
        project, _, slug = normalise(repository).partition("/")
        place = {"slug": slug, "project": {"key": project}}
        body: dict[str, object] = {
            "title": new.title,
            "description": new.body,
            "fromRef": {"id": f"refs/heads/{new.source}", "repository": place},
            "toRef": {"id": f"refs/heads/{new.target}", "repository": place},
        }
        if new.draft:
            body["draft"] = True
        made = await self._client.post(f"{path}/pull-requests", body, type=shapes.PullRequest)
        return meant(answers.change, made, self._site.url, with_reviews=True)

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """It is read first. The version then keeps edits out, not a push in the moment between the two questions."""
        path = f"{repository_path(repository)}/pull-requests/{number}"
        found = await self._client.get(path, type=shapes.PullRequest)
        if found.state != "OPEN":
            raise api.Conflict(f"pull request {number} of {repository} is not open")
        if (found.from_ref.latest_commit or "").lower() != sha.lower():
            raise api.Conflict(f"the head of pull request {number} of {repository} is no longer {sha}")
        version = 0 if found.version is None else found.version
        answer = await self._client.call(
            "POST",
            f"{path}/merge",
            params={"version": version},
            body={"version": version, "strategyId": MERGE_STRATEGIES[method]},
        )
        merged = answer.read(shapes.PullRequest)
        return meant(answers.change, merged, self._site.url).merge_sha


def multipart(fields: Mapping[str, str], name: str, content: bytes) -> tuple[bytes, str]:
    """A form of `fields` and one file, `content` under `name`, byte by byte; with its content type (RFC 7578)."""
    boundary = secrets.token_hex(24)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
        for field, text in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
    )
    return b"".join([*parts, content, f"\r\n--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
