"""The runs of Gitea's and Forgejo's Actions: `ReadsCiRuns`; not what started them.

Older servers do not have them and answer 404.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitea.answers import sha_or_none
from headgate_plugins.gitea.client import Asks
from headgate_plugins.gitea.reading import repo_path

NEVER = frozenset({1, 1970})
"""Years of moments that never were: Go's zero, and that of Unix."""


class Run(msgspec.Struct):
    """A run or a job of Actions: first what Gitea says, then what Forgejo says in other words."""

    id: int
    name: str | None = None
    status: str | None = None
    html_url: str | None = None
    path: str | None = None
    display_title: str | None = None
    head_sha: str | None = None
    head_branch: str | None = None
    conclusion: str | None = None
    started_at: datetime | None = None
    workflow_id: str | None = None
    title: str | None = None
    commit_sha: str | None = None
    prettyref: str | None = None
    started: datetime | None = None

    def run(self) -> api.CiRun:
        """As ours."""
        name = self.name or self.workflow_id or (self.path or "").partition("@")[0] or self.display_title
        return api.CiRun(
            id=str(self.id),
            name=name or "workflow",
            state=self._state(),
            sha=sha_or_none(self.head_sha or self.commit_sha),
            branch=self.head_branch or self.prettyref or None,
            started_at=_moment(self.started_at or self.started),
            url=self.html_url or None,
        )

    def job(self) -> api.CiJob:
        """As ours."""
        return api.CiJob(id=str(self.id), name=self.name or "job", state=self._state(), url=self.html_url or None)

    def _state(self) -> api.CiState:
        """Gitea says how one ended beside its status, Forgejo in it."""
        return RUN_STATES.get(self.conclusion or self.status or "", "unknown")


RUN_STATES: Mapping[str, api.CiState] = {
    "queued": "queued",
    "requested": "queued",
    "waiting": "queued",
    "pending": "queued",
    "blocked": "queued",
    "in_progress": "running",
    "running": "running",
    "success": "succeeded",
    "failure": "failed",
    "cancelled": "cancelled",
    "skipped": "skipped",
}


def _moment(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None or moment.year in NEVER:
        return None
    return moment.astimezone(UTC)


class ReadsRuns(Asks):
    """Both say the same in other words."""

    async def ci_runs(
        self, repository: str, *, sha: str | None = None, branch: str | None = None
    ) -> AsyncIterator[api.CiRun]:
        """https://docs.gitea.com/api/#tag/repository/operation/getWorkflowRuns; Forgejo does not filter by branch."""
        params: dict[str, Any] = {}
        if sha is not None:
            params["head_sha"] = sha
        if branch is not None:
            params["branch"] = branch
        path = f"{repo_path(repository)}/actions/runs"
        async for found in self._pages(path, type=Run, params=params, items="workflow_runs"):
            run = found.run()
            if (sha is None or run.sha == sha) and (branch is None or run.branch == branch):
                yield run

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """https://docs.gitea.com/api/#tag/repository/operation/listWorkflowRunJobs; Forgejo gives a plain list."""
        path = f"{repo_path(repository)}/actions/runs/{segment(run)}/jobs"
        items = None if self._flavour.name == "forgejo" else "jobs"
        async for found in self._pages(path, type=Run, items=items):
            yield found.job()
