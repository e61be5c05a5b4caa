"""What Gerrit tells of changes, and how one is made of two branches and submitted; not their votes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from headgate import api
from headgate.api.client import BaseUrl, Client, Params, segment
from headgate_plugins.gerrit import answers
from headgate_plugins.gerrit.client import MOST_PAGES, PAGE
from headgate_plugins.gerrit.reading import full_sha, path_of

_STATES: dict[api.ChangeState, str] = {"open": "open", "merged": "merged", "closed": "abandoned"}

REBASES = frozenset({"REBASE_IF_NECESSARY", "REBASE_ALWAYS", "CHERRY_PICK"})
"""Ways of submitting that put the change's commit on top. https://gerrit-review.googlesource.com/Documentation/config-project-config.html#submit-type"""


async def queried(
    client: Client, query: str, options: list[str], *, patience: float | None = None
) -> AsyncIterator[answers.Change]:
    """Every change that a query finds, with `o` options. `patience`: as of `Client.call`.

    https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#list-changes
    """
    for page in range(MOST_PAGES):
        params: Params = {"q": query, "o": options, "n": PAGE, "S": page * PAGE}
        found = (await client.call("GET", "/changes/", params=params, patience=patience)).read(list[answers.Change])
        for one in found:
            yield one
        if not (found and found[-1].more):
            return
    raise api.ProviderError(f"Gerrit lists changes on more than {MOST_PAGES} pages")


def of_project(name: str) -> str:
    """The operator that finds a project's changes; quoted, so that its name is nothing else."""
    if '"' in name:
        raise api.NotFound(f"changes of {name!r} cannot be asked for: its name has a quotation mark")
    return f'project:"{name}"'


def change_path(name: str, number: int) -> str:
    """Where a change is. https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#change-id"""
    return f"/changes/{segment(name)}~{int(number)}"


class Changes:
    """Asks for changes (`ReadsChanges`) and makes and submits them (`WritesChanges`)."""

    _site: BaseUrl
    _host: str
    _client: Client

    async def changes(self, repository: str, state: api.ChangeState | None = "open") -> AsyncIterator[api.HostedChange]:
        """Newest activity first."""
        query = of_project(path_of(repository)) + (f" status:{_STATES[state]}" if state else "")
        async for one in queried(self._client, query, ["CURRENT_REVISION", "DETAILED_ACCOUNTS"]):
            yield answers.hosted_change(self._host, self._site.url, one)

    async def change(self, repository: str, number: int) -> api.HostedChange:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#get-change-detail"""
        change = await self._detail(path_of(repository), number)
        return answers.hosted_change(self._host, self._site.url, change, detailed=True)

    async def changed_files(self, repository: str, number: int) -> AsyncIterator[api.ChangedFile]:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#list-files"""
        path = f"{change_path(path_of(repository), number)}/revisions/current/files/"
        for name, info in sorted((await self._client.get(path, type=dict[str, answers.FileInfo])).items()):
            if name not in answers.NOT_FILES:
                yield answers.changed_file(name, info)

    async def open_change(self, repository: str, new: api.NewChange) -> api.HostedChange:
        """A change is a commit for review: this one merges `source` into `target`.

        https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#create-change
        """
        name = path_of(repository)
        source = await self._client.get(f"/projects/{segment(name)}/branches/{segment(new.source)}", type=answers.Ref)
        query = f'{of_project(name)} branch:"{new.target}" status:open is:merge'
        async for one in queried(self._client, query, ["CURRENT_REVISION", "CURRENT_COMMIT"]):
            commit = one.current()[1].commit
            if source.revision in [parent.commit for parent in (commit.parents if commit else None) or ()][1:]:
                raise api.Conflict(f"change {one.number} merges {new.source} into {new.target} already")
        body = {
            "project": name,
            "branch": new.target,
            "subject": f"{new.title}\n\n{new.body}".strip(),
            "work_in_progress": new.draft,
            "merge": {"source": new.source},
        }
        made = await self._client.post("/changes/", body, type=answers.Change)
        return answers.hosted_change(self._host, self._site.url, await self._detail(name, made.number), detailed=True)

    async def merge_change(
        self, repository: str, number: int, *, sha: str, method: api.MergeMethod = "merge"
    ) -> str | None:
        """Submit the patch set with that sha, as the project is configured to; a `method` it does not have is refused.

        https://gerrit-review.googlesource.com/Documentation/rest-api-changes.html#submit-revision
        """
        revision = f"{change_path(path_of(repository), number)}/revisions/{full_sha(sha)}"
        if method != "merge":
            submits = await self._client.get(f"{revision}/submit_type", type=str)
            if method == "squash" or submits not in REBASES:
                raise api.Conflict(f"the project is submitted by {submits}, not by {method}; Gerrit lets nobody choose")
        await self._client.call("POST", f"{revision}/submit", body={})
        return None

    async def _detail(self, name: str, number: int) -> answers.Change:
        options = {"o": ["CURRENT_REVISION", "CURRENT_COMMIT"]}
        return await self._client.get(f"{change_path(name, number)}/detail", type=answers.Change, params=options)
