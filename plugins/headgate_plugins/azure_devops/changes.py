"""Pull requests read, opened and completed through the API; not what webhooks say about them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from headgate import api
from headgate.api.client import Answer, Next
from headgate_plugins.azure_devops import answers
from headgate_plugins.azure_devops.client import path_to
from headgate_plugins.azure_devops.reading import Reading

STATUSES: Mapping[api.ChangeState | None, str] = {
    "open": "active",
    "merged": "completed",
    "closed": "abandoned",
    None: "all",
}

# https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/update#gitpullrequestmergestrategy
STRATEGIES: Mapping[api.MergeMethod, str] = {"merge": "noFastForward", "squash": "squash", "rebase": "rebase"}

_ENTRIES = 2000
"""Of one page of changes, the most there is."""


class Changes(Reading):
    """What a connection can do with pull requests."""

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/get-pull-requests"""
        params = {"searchCriteria.status": STATUSES[state]}
        async for change in self._rest.skipping(
            path_to(repository, "/pullrequests"), type=answers.Change, params=params
        ):
            yield answers.hosted_change(change, host=self._host_name, reviews=False)

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/get-pull-request"""
        found = await self._rest.get(path_to(repository, f"/pullrequests/{number}"), type=answers.Change)
        return answers.hosted_change(found, host=self._host_name, reviews=True)

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """Of its newest iteration against where it parted from the target.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-iteration-changes/get
        """
        iterations = path_to(repository, f"/pullrequests/{number}/iterations")
        known = (await self._rest.get(iterations, type=answers.Iterations)).value
        if not known:
            return
        newest = max(iteration.id for iteration in known)
        entries = self._rest.pages(
            f"{iterations}/{newest}/changes",
            type=answers.ItemChange,
            params={"$compareTo": 0, "$top": _ENTRIES},
            items="changeEntries",
            next_page=_next_entries,
        )
        for one in answers.changed_files([entry async for entry in entries]):
            yield one

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/create

        Azure DevOps would also open one with nothing in it.
        """
        source, target = (f"refs/heads/{branch.removeprefix('refs/heads/')}" for branch in (new.source, new.target))
        before, after = await self.ref(repository, target), await self.ref(repository, source)
        _, ahead, _ = await self._differences(repository, before, after, common=True)
        if before == after or ahead == 0:
            raise api.Conflict(f"{new.source} has nothing that {new.target} does not have")
        body = {
            "sourceRefName": source,
            "targetRefName": target,
            "title": new.title,
            "description": new.body,
            "isDraft": new.draft,
        }
        answer = await self._rest.call("POST", path_to(repository, "/pullrequests"), body=body)
        return answers.hosted_change(answer.read(answers.Change), host=self._host_name, reviews=True)

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """Complete it. Azure DevOps merges afterwards, so that the commit is often not known yet.

        https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-requests/update
        """
        path = path_to(repository, f"/pullrequests/{number}")
        found = await self._rest.get(path, type=answers.Change)
        head = answers.sha_or_none(found.last_merge_source_commit)
        if found.status != "active":
            raise api.Conflict(f"pull request {number} of {repository} is {found.status}, not active")
        if head != sha.lower():
            raise api.Conflict(f"pull request {number} of {repository} moved: its head is {head}, not {sha}")
        body = {
            "status": "completed",
            "lastMergeSourceCommit": {"commitId": head},  # what is merged if nobody was faster
            "completionOptions": {"mergeStrategy": STRATEGIES[method]},
        }
        done = (await self._rest.call("PATCH", path, body=body)).read(answers.Change)
        merged = done.status == "completed" and done.merge_status == "succeeded"
        return answers.sha_or_none(done.last_merge_commit) if merged else None


def _next_entries(answer: Answer) -> Next:
    page = answer.read(answers.EntriesPage)
    if not page.next_skip:
        return None
    return {"$skip": str(page.next_skip), "$top": str(page.next_top or _ENTRIES)}
