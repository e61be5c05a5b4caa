"""What GitHub is told: statuses, checks, commits, branches and pull requests; each write guarded, none made twice.

Source of all: https://docs.github.com/en/rest
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from headgate import api
from headgate.api.client import Client, segment
from headgate_plugins.github import answers
from headgate_plugins.github.client import PAGE
from headgate_plugins.github.names import repository_path
from headgate_plugins.github.reading import Reads
from headgate_plugins.github.trees import Entry, Tree, read_entries

LONGEST_DESCRIPTION = 140
"""Characters. https://docs.github.com/en/rest/commits/statuses"""

# https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
STATUS_STATES: Mapping[api.StatusState, str] = {
    "queued": "pending",
    "running": "pending",
    "succeeded": "success",
    "failed": "failure",
    "errored": "error",
    "cancelled": "error",
}

# https://docs.github.com/en/rest/checks/runs#create-a-check-run; what is here is `completed`
CONCLUSIONS: Mapping[api.StatusState, str] = {
    "succeeded": "success",
    "failed": "failure",
    "errored": "failure",
    "cancelled": "cancelled",
}

MOST_ANNOTATIONS = 50
"""Of one request; each update adds its own. https://docs.github.com/en/rest/checks/runs#update-a-check-run"""

LONGEST_SUMMARY, LONGEST_TITLE, LONGEST_MESSAGE = 65_535, 255, 16_384
"""Characters. GitHub takes 64 KB of UTF-8 for a message, and four bytes are the most one character has."""


class Writes(Reads):
    """The calls that change something: see `headgate.api.capabilities` for each."""

    # -- statuses and checks

    async def report_status(self, repository: api.Repository, sha: str, status: api.CommitStatus) -> None:
        """https://docs.github.com/en/rest/commits/statuses#create-a-commit-status; the newest of a context counts."""
        client, path = await self._at(repository.path)
        body = {
            "state": STATUS_STATES[status.state],
            "context": status.context,
            "description": _shortened(status.description, LONGEST_DESCRIPTION),
        }
        if status.url is not None:
            body["target_url"] = status.url
        # Not waited for: whoever tells news keeps it, and is told when to try again.
        await client.call("POST", f"{path}/statuses/{segment(sha)}", body=body, patience=0)

    async def report_check(self, repository: api.Repository, sha: str, check: api.CheckReport) -> None:
        """https://docs.github.com/en/rest/checks/runs. `Refused` unless the credential is a GitHub App's.

        Annotations are only ever added, so of a check that has some already the first ones are not sent again.
        """
        if await self._access.app() is None:
            raise api.Refused("only a GitHub App may report checks; report a status", missing=("checks:write",))
        client, path = await self._at(repository.path)
        found = await self._check(client, path, sha, check)
        sent = found.output.annotations_count if found is not None else 0
        left = check.annotations[sent:]
        first, left = left[:MOST_ANNOTATIONS], left[MOST_ANNOTATIONS:]
        body = _check_body(check, first)
        if found is None:
            place, body = f"{path}/check-runs", {**body, "head_sha": sha, "external_id": check.external_id}
            answer = await client.call("POST", place, body=body, patience=0)
            run = answer.read(_CheckRun).id
        else:
            run = found.id
            await client.call("PATCH", f"{path}/check-runs/{run}", body=body, patience=0)
        while left:
            first, left = left[:MOST_ANNOTATIONS], left[MOST_ANNOTATIONS:]
            body = {"output": _output(check, first)}
            await client.call("PATCH", f"{path}/check-runs/{run}", body=body, patience=0)

    async def _check(self, client: Client, path: str, sha: str, check: api.CheckReport) -> _CheckRun | None:
        """https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference"""
        place, params = f"{path}/commits/{segment(sha)}/check-runs", {"check_name": check.name, "per_page": PAGE}
        async for found in client.pages(place, type=_CheckRun, params=params, items="check_runs"):
            if found.external_id == check.external_id:
                return found
        return None

    # -- files and branches

    async def commit_files(self, repository: str, commit: api.FileCommit) -> str:
        """One commit by the Git data API (https://docs.github.com/en/rest/git): the branch moves at the end, or not at all.

        The head that was read is the new commit's parent, and the branch is only moved forward: whoever was faster
        makes it a `Conflict`, and what was written until then belongs to no branch.
        """
        client, path = await self._at(repository)
        branch = f"heads/{'/'.join(map(segment, commit.branch.split('/')))}"
        head = (await client.get(f"{path}/git/ref/{branch}", type=answers.Ref)).object.sha
        if commit.head not in {None, head}:
            raise api.Conflict(f"{commit.branch} of {repository} is at {head[:10]} by now")
        root = (await client.get(f"{path}/git/commits/{head}", type=_Commit)).tree.sha
        found = await read_entries(client, path, root, [change.path for change in commit.changes])
        for change in commit.changes:
            _check_guard(change, found[change.path])
        entries = [await self._entry(client, path, change, found[change.path]) for change in commit.changes]
        body: dict[str, Any] = {"base_tree": root, "tree": entries}
        tree = await client.post(f"{path}/git/trees", body, type=Tree, idempotent=True)
        body = {"message": commit.message, "tree": tree.sha, "parents": [head]}
        made = await client.post(f"{path}/git/commits", body, type=_Commit, idempotent=True)
        body = {"sha": made.sha, "force": False}
        await client.call("PATCH", f"{path}/git/refs/{branch}", body=body)
        return made.sha

    async def _entry(self, client: Client, path: str, change: api.FileChange, found: Entry | None) -> dict[str, Any]:
        """https://docs.github.com/en/rest/git/trees#create-a-tree; a file stays executable if it was."""
        entry = {"path": change.path, "mode": found.mode if found else "100644", "type": "blob"}
        if change.content is None:
            return {**entry, "sha": None}
        body = {"content": base64.b64encode(change.content).decode(), "encoding": "base64"}
        blob = await client.post(f"{path}/git/blobs", body, type=answers.Target, idempotent=True)
        return {**entry, "sha": blob.sha}

    async def create_branch(self, repository: str, name: str, sha: str) -> None:
        """https://docs.github.com/en/rest/git/refs#create-a-reference"""
        client, path = await self._at(repository)
        await client.call("POST", f"{path}/git/refs", body={"ref": f"refs/heads/{name}", "sha": sha})

    # -- changes

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request"""
        client, path = await self._at(repository)
        body = {"title": new.title, "head": new.source, "base": new.target, "body": new.body, "draft": new.draft}
        made = await client.post(f"{path}/pulls", body, type=answers.Change)
        return made.value(api.Repository(host=self._site.host, path=repository_path(repository)))

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request, which compares `sha` itself."""
        client, path = await self._at(repository)
        body = {"sha": sha, "merge_method": method}
        # Not repeated: the second time it would be merged already, and look like a conflict.
        answer = await client.call("PUT", f"{path}/pulls/{number}/merge", body=body, idempotent=False)
        merged = answer.read(answers.Merged)
        if not merged.merged:
            raise api.Conflict(f"{repository}#{number} was not merged: {merged.message[:200]}")
        return merged.sha


class _CheckOutput(msgspec.Struct, frozen=True):
    annotations_count: int = 0


class _CheckRun(msgspec.Struct):
    id: int
    external_id: str | None = None
    output: _CheckOutput = _CheckOutput()


class _Commit(msgspec.Struct):
    sha: answers.Sha
    tree: answers.Target


def _check_guard(change: api.FileChange, found: Entry | None) -> None:
    if found is not None and found.type != "blob":
        raise api.Conflict(f"{change.path} is a folder")
    if found is not None and found.mode == "120000":
        raise api.Conflict(f"{change.path} is a symbolic link")
    if found is None and (change.revision is not None or change.content is None):
        raise api.Conflict(f"{change.path} is not there any more")
    if found is not None and change.revision is None:
        raise api.Conflict(f"{change.path} is there already, as {found.sha[:10]}")
    if found is not None and change.revision != found.sha:
        raise api.Conflict(f"{change.path} is {found.sha[:10]} by now, and not {str(change.revision)[:10]}")


def _check_body(check: api.CheckReport, annotations: Iterable[api.Annotation]) -> dict[str, Any]:
    status = {"queued": "queued", "running": "in_progress"}.get(check.state, "completed")
    body = {"name": check.name, "status": status, "output": _output(check, annotations)}
    if check.url is not None:
        body["details_url"] = check.url
    if check.started_at is not None:
        body["started_at"] = _moment(check.started_at)
    if status == "completed":
        body["conclusion"] = CONCLUSIONS[check.state]
        if check.finished_at is not None:
            body["completed_at"] = _moment(check.finished_at)
    return body


def _output(check: api.CheckReport, annotations: Iterable[api.Annotation]) -> dict[str, Any]:
    return {
        "title": _shortened(check.title or check.name, LONGEST_TITLE),
        "summary": _shortened(check.summary, LONGEST_SUMMARY),
        "annotations": [
            {
                "path": one.path,
                "start_line": one.line,
                "end_line": max(one.line, one.end_line or one.line),
                "annotation_level": one.level,
                "message": _shortened(one.message, LONGEST_MESSAGE),
                **({"title": _shortened(one.title, LONGEST_TITLE)} if one.title else {}),
            }
            for one in annotations
        ],
    }


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
