"""The runs of Azure Pipelines for a repository, and their jobs; not what Headgate builds."""

from __future__ import annotations

from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import segment
from headgate_plugins.azure_devops import answers
from headgate_plugins.azure_devops.client import names, path_to
from headgate_plugins.azure_devops.reading import Reading


class Builds(Reading):
    """What a connection can tell of builds."""

    async def ci_runs(
        self, repository: str, *, sha: str | None = None, branch: str | None = None
    ) -> AsyncIterator[api.CiRun]:
        """Newest first. Those of a commit are found among what was queued since it came: nothing filters by commit.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/build/builds/list
        """
        project, _ = names(repository)
        params: dict[str, str | int] = {
            "repositoryId": (await self._repository(repository)).id,
            "repositoryType": "TfsGit",
            "queryOrder": "queueTimeDescending",
            "$top": 200,
        }
        if branch is not None:
            params["branchName"] = f"refs/heads/{branch.removeprefix('refs/heads/')}"
        if sha is not None:
            where = path_to(repository, f"/commits/{segment(sha)}")
            commit = await self._rest.get(where, type=answers.OneCommit)
            if commit.push is not None and commit.push.date is not None:
                params["minTime"] = commit.push.date.isoformat()
        async for build in self._rest.pages(
            f"/{segment(project)}/_apis/build/builds", type=answers.Build, params=params
        ):
            if sha is None or sha.lower() in {(build.head() or "").lower(), (build.source_version or "").lower()}:
                yield build.value()

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """The jobs of its timeline, which a run that has not begun does not have.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/build/timeline/get
        """
        project, _ = names(repository)
        path = f"/{segment(project)}/_apis/build/builds/{segment(run)}/timeline"
        answer = await self._rest.call("GET", path)
        timeline = answer.read(answers.Timeline | None) if answer.body.strip() else None  # type: ignore[arg-type]  # a union is no `type`
        for record in timeline.records or () if timeline is not None else ():
            if record.type == "Job":
                yield api.CiJob(id=record.id, name=record.name, state=answers.ci_state(record.state, record.result))
