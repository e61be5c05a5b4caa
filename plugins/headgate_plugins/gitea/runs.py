"""The runs of Gitea's and Forgejo's Actions: `ReadsCiRuns`; not what started them.

Older servers do not have them and answer 404.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from headgate import api
from headgate.api.client import segment
from headgate_plugins.gitea import answers
from headgate_plugins.gitea.client import Asks
from headgate_plugins.gitea.reading import repo_path


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
        async for found in self._pages(path, type=answers.Run, params=params, items="workflow_runs"):
            run = found.run()
            if (sha is None or run.sha == sha) and (branch is None or run.branch == branch):
                yield run

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """https://docs.gitea.com/api/#tag/repository/operation/listWorkflowRunJobs; Forgejo gives a plain list."""
        path = f"{repo_path(repository)}/actions/runs/{segment(run)}/jobs"
        items = None if self._flavour.name == "forgejo" else "jobs"
        async for found in self._pages(path, type=answers.Run, items=items):
            yield found.job()
