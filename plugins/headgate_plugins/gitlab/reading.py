"""What a GitLab connection can read of a project; not which projects there are, nor what it can change.

Source: https://docs.gitlab.com/api/api_resources/
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Literal

from headgate import api
from headgate.api.client import Params, segment
from headgate_plugins.gitlab import answers, change_answers
from headgate_plugins.gitlab.client import PER_PAGE, Asks
from headgate_plugins.gitlab.names import project_path

MOST_DIFFS = 1000
"""Files of one commit's diff; a server may be set to list up to three times as many, and does not say where it cut.

https://docs.gitlab.com/administration/diff_limits/
"""

_ALL: Params = {"per_page": PER_PAGE}


class Reading(Asks):
    """The calls that change nothing, but for those of `discovery.py`."""

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://docs.gitlab.com/api/projects/#retrieve-a-project"""
        return answers.hosted_repository(await self._read_project(self._project(repository)), self._host_name)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://docs.gitlab.com/api/branches/#list-all-repository-branches"""
        path = f"{self._project(repository)}/repository/branches"
        async for branch in self._client.pages(path, type=answers.Branch, params=_ALL):
            yield api.Branch(name=branch.name, sha=answers.sha(branch.commit.id), protected=branch.protected)

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://docs.gitlab.com/api/tags/#list-all-project-repository-tags"""
        path = f"{self._project(repository)}/repository/tags"
        async for tag in self._client.pages(path, type=answers.Tag, params=_ALL):
            yield api.HostedTag(name=tag.name, sha=answers.sha(tag.commit.id))

    async def ref(self, repository: str, ref: str) -> str:
        """By the call for branches, for tags, or, for any other ref, for commits."""
        path = f"{self._project(repository)}/repository"
        if ref.startswith("refs/heads/"):
            name = segment(ref.removeprefix("refs/heads/"))
            return answers.sha((await self._client.get(f"{path}/branches/{name}", type=answers.Branch)).commit.id)
        if ref.startswith("refs/tags/"):
            name = segment(ref.removeprefix("refs/tags/"))
            return answers.sha((await self._client.get(f"{path}/tags/{name}", type=answers.Tag)).commit.id)
        return answers.sha((await self._client.get(f"{path}/commits/{segment(ref)}", type=answers.Commit)).id)

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """https://docs.gitlab.com/api/commits/#list-all-repository-commits"""
        path = f"{self._project(repository)}/repository/commits"
        params = {**_ALL, "ref_name": ref}
        async for commit in self._client.pages(path, type=answers.Commit, params=params):
            yield answers.commit_of(commit)

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits, from the merge base."""
        compared = await self._compared(repository, base, head, straight=False)
        return api.Comparison(
            commits=tuple(answers.commit_of(commit) for commit in compared.commits),
            files=tuple(answers.changed_file(diff) for diff in compared.diffs or ()),
            complete=not compared.compare_timeout,
        )

    async def changed_paths(self, push: api.Push) -> tuple[str, ...]:
        """What differs between both ends; of a new branch, what its last commit changed."""
        if push.after is None:
            return ()
        if push.before is not None:
            compared = await self._compared(push.repository.path, push.before, push.after, straight=True)
            if compared.compare_timeout:
                raise api.ProviderError("GitLab lists only a part of what the push changed")
            return answers.paths_of(compared.diffs or ())
        path = f"{self._project(push.repository.path)}/repository/commits/{segment(push.after)}/diff"
        diffs = [diff async for diff in self._client.pages(path, type=answers.Diff, params=_ALL)]
        if len(diffs) >= MOST_DIFFS:
            raise api.ProviderError("GitLab lists perhaps only a part of what the commit changed")
        return answers.paths_of(diffs)

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests; each fork is asked for once."""
        path, forks = f"{self._project(repository)}/merge_requests", dict[int | None, api.Repository | None]()
        params = {**_ALL, "state": change_answers.ASKED_STATES[state]}
        async for change in self._client.pages(path, type=change_answers.MergeRequest, params=params):
            if change.sha is None:
                continue  # its branches never differed: there is nothing to look at
            if change.source_project_id not in forks:
                forks[change.source_project_id] = await self._source(change)
            yield change_answers.hosted_change(change, self._named(repository), forks[change.source_project_id])

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """With approvals and, where GitLab tells them, the states of its reviewers."""
        path = f"{self._project(repository)}/merge_requests/{number}"
        change = await self._client.get(path, type=change_answers.MergeRequest)
        approvals = await self._client.get(f"{path}/approvals", type=change_answers.Approvals)
        try:
            reviewers = await self._client.get(f"{path}/reviewers", type=list[change_answers.Reviewer])
        except api.NotFound:  # before GitLab 15
            reviewers = []
        source, reviews = await self._source(change), change_answers.reviews_of(approvals, reviewers)
        return change_answers.hosted_change(change, self._named(repository), source, reviews)

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs, since GitLab 15.7."""
        path = f"{self._project(repository)}/merge_requests/{number}/diffs"
        async for diff in self._client.pages(path, type=answers.Diff, params=_ALL):
            yield answers.changed_file(diff)

    async def members(self, repository: str) -> AsyncIterator[api.Member]:
        """https://docs.gitlab.com/api/project_members/, with those of its groups; not who is blocked."""
        path = f"{self._project(repository)}/members/all"
        async for member in self._client.pages(path, type=answers.Member, params=_ALL):
            if member.state == "active":
                yield answers.member_of(member)

    async def contributors(self, repository: str) -> AsyncIterator[api.Contributor]:
        """https://docs.gitlab.com/api/repositories/#retrieve-repository-contributors"""
        path = f"{self._project(repository)}/repository/contributors"
        async for one in self._client.pages(path, type=answers.Contributor, params=_ALL):
            yield api.Contributor(name=one.name, email=one.email, commits=one.commits)

    async def issues(
        self, repository: str, state: Literal["open", "closed"] | None = "open"
    ) -> AsyncIterator[api.Issue]:
        """https://docs.gitlab.com/api/issues/#list-all-project-issues"""
        path = f"{self._project(repository)}/issues"
        params = {**_ALL, "state": change_answers.ASKED_STATES[state]}
        async for issue in self._client.pages(path, type=answers.Issue, params=params):
            yield answers.issue_of(issue)

    async def ci_runs(
        self, repository: str, *, sha: str | None = None, branch: str | None = None
    ) -> AsyncIterator[api.CiRun]:
        """https://docs.gitlab.com/api/pipelines/#list-project-pipelines, newest first."""
        params = {**_ALL, **({"sha": sha} if sha else {}), **({"ref": branch} if branch else {})}
        path = f"{self._project(repository)}/pipelines"
        async for pipeline in self._client.pages(path, type=answers.Pipeline, params=params):
            yield answers.ci_run(pipeline)

    async def ci_jobs(self, repository: str, run: str) -> AsyncIterator[api.CiJob]:
        """https://docs.gitlab.com/api/jobs/#list-all-jobs-for-a-pipeline, without those that were tried again."""
        path = f"{self._project(repository)}/pipelines/{segment(run)}/jobs"
        async for job in self._client.pages(path, type=answers.Job, params=_ALL):
            yield answers.ci_job(job)

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """https://docs.gitlab.com/api/repository_files/; GitLab finds no file where a folder is."""
        project = self._project(repository)
        try:
            file = await self._client.get(
                f"{project}/repository/files/{segment(path)}", type=answers.File, params={"ref": ref}
            )
        except api.NotFound:
            if await self._is_folder(project, path, ref):
                raise api.Conflict(f"{path} is a folder") from None
            raise
        if file.encoding != "base64":
            raise api.ProviderError(f"GitLab gave {path} in the encoding {file.encoding[:80]}, not base64")
        try:
            content = base64.b64decode(file.content)
        except ValueError:
            raise api.ProviderError(f"GitLab gave {path} in something that is not base64") from None
        return api.FileContent(path=file.file_path, content=content, revision=answers.sha(file.last_commit_id))

    async def _is_folder(self, project: str, path: str, ref: str) -> bool:
        try:
            answer = await self._client.call(
                "GET", f"{project}/repository/tree", params={"path": path, "ref": ref, "per_page": 1}
            )
        except api.NotFound:
            return False
        return bool(answer.plain())

    async def _compared(self, repository: str, base: str, head: str, *, straight: bool) -> answers.Compared:
        """`straight`: between the two; else from where they parted."""
        path = f"{self._project(repository)}/repository/compare"
        params: Params = {"from": base, "to": head, "straight": straight}
        return await self._client.get(path, type=answers.Compared, params=params)

    async def _read_project(self, path: str) -> answers.Project:
        return await self._client.get(path, type=answers.Project)

    async def _source(self, change: change_answers.MergeRequest) -> api.Repository | None:
        """The fork that it comes from; `None` when it is gone, out of sight, or no fork."""
        if change.source_project_id is None or not change_answers.is_from_fork(change):
            return None
        try:
            project = await self._read_project(f"/projects/{change.source_project_id}")
        except api.NotFound:
            return None
        return self._named(project.path_with_namespace)

    def _named(self, repository: str) -> api.Repository:
        return api.Repository(host=self._host_name, path=project_path(repository))
