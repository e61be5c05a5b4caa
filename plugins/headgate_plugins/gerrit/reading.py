"""What Gerrit tells of projects, their branches, commits and files when it is asked; not of changes.

Commits and comparisons are asked of Gitiles, the browser that comes with Gerrit, because the API itself has no log.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec

from headgate import api
from headgate.api.client import Answer, BaseUrl, Client, segment
from headgate_plugins.gerrit import answers
from headgate_plugins.gerrit.client import MOST_PAGES, PAGE, listed
from headgate_plugins.gerrit.names import normalise

MOST_COMPARED = 1000
"""Commits of a comparison that are listed; it is not complete when there are more."""

_CHANGE_REF = re.compile(r"refs/changes/\d{2}/(\d{1,10})/(\d{1,6})")


class _Next(msgspec.Struct):
    next: str | None = None


class _Tree(msgspec.Struct):
    entries: list[dict[str, object]]


class Reading:
    """Asks for projects (`ReadsRepositories`, `DiscoversRepositories`, `ReadsFiles`)."""

    _site: BaseUrl
    _host: str
    _client: Client

    async def repository(self, repository: str) -> api.HostedRepository:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#get-project and #get-head"""
        name = path_of(repository)
        project = await self._client.get(f"/projects/{segment(name)}", type=answers.Project)
        try:
            head = await self._client.get(f"/projects/{segment(name)}/HEAD", type=str)
        except (api.NotFound, api.Refused):  # it has no branch yet, or not one that we may see
            head = None
        return answers.hosted_repository(self._host, self._site.url, name, project, head)

    async def branches(self, repository: str) -> AsyncIterator[api.Branch]:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#list-branches"""
        async for one in listed(self._client, f"/projects/{segment(path_of(repository))}/branches/", type=answers.Ref):
            if one.ref.startswith("refs/heads/"):  # HEAD and refs/meta/config are in the list as well
                yield api.Branch(name=one.ref.removeprefix("refs/heads/"), sha=answers.sha_of(one))

    async def tags(self, repository: str) -> AsyncIterator[api.HostedTag]:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#list-tags"""
        async for one in listed(self._client, f"/projects/{segment(path_of(repository))}/tags/", type=answers.Ref):
            yield api.HostedTag(name=one.ref.removeprefix("refs/tags/"), sha=answers.sha_of(one))

    async def ref(self, repository: str, ref: str) -> str:
        """A branch, a tag, or the patch set of a change."""
        project = segment(path_of(repository))
        if ref.startswith("refs/heads/"):
            path = f"/projects/{project}/branches/{segment(ref.removeprefix('refs/heads/'))}"
        elif ref.startswith("refs/tags/"):
            path = f"/projects/{project}/tags/{segment(ref.removeprefix('refs/tags/'))}"
        elif found := _CHANGE_REF.fullmatch(ref):
            path = f"/changes/{project}~{int(found[1])}/revisions/{int(found[2])}/commit"
            commit = await self._client.get(path, type=answers.CommitInfo)
            return answers.sha_of(answers.Ref(ref=ref, revision=commit.commit or ""))
        else:
            raise api.NotFound(f"Gerrit tells of branches, tags and patch sets; {ref[:100]!r} is none")
        return answers.sha_of(await self._client.get(path, type=answers.Ref))

    async def commits(self, repository: str, ref: str) -> AsyncIterator[api.Commit]:
        """`+log` of Gitiles, page after page."""
        name = path_of(repository)
        async for one in self._logged(name, await self._commit(name, ref)):
            yield answers.commit(one)

    async def compare(self, repository: str, base: str, head: str) -> api.Comparison:
        """`+log` of Gitiles; the files are what these commits changed, taken together.

        A merge commit says nothing of what it brought, so a comparison with one is not complete.
        """
        name = path_of(repository)
        span = f"{await self._commit(name, base)}..{await self._commit(name, head)}"
        found: list[answers.LoggedCommit] = []
        complete = True
        async for one in self._logged(name, span, params={"name-status": "1"}):
            if len(found) == MOST_COMPARED:
                complete = False
                break
            found.append(one)
        complete = complete and all(len(one.parents) < 2 and one.tree_diff is not None for one in found)  # noqa: PLR2004 - a merge
        return api.Comparison(
            commits=tuple(answers.commit(one) for one in found), files=changed_by(found), complete=complete
        )

    async def discover(self, query: api.RepositoryQuery) -> AsyncIterator[api.HostedRepository]:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#list-projects

        The owner is the folder a project stands in. Gerrit lets no prefix and words be asked for together.
        """
        if query.visibility is not None:
            raise api.ProviderError("Gerrit does not tell who may see a project; leave `visibility` out")
        folder = "/".join(one.strip("/") for one in (query.owner, query.project) if one)
        asked: dict[str, str | int] = {"d": "", "type": "CODE", "n": PAGE}
        if folder:
            asked["p"] = f"{folder}/"
        elif query.search:
            asked["m"] = query.search
        if query.archived is not None:
            asked["state"] = "READ_ONLY" if query.archived else "ACTIVE"
        words = (query.search or "").casefold()
        for page in range(MOST_PAGES):
            params = {**asked, "S": page * PAGE}
            projects = await self._client.get("/projects/", type=dict[str, answers.Project], params=params)
            for name, project in projects.items():
                if words in name.casefold():
                    yield answers.hosted_repository(self._host, self._site.url, name, project, None)
            if not any(project.more for project in projects.values()):
                return
        raise api.ProviderError(f"Gerrit lists projects on more than {MOST_PAGES} pages")

    async def read_file(self, repository: str, path: str, ref: str) -> api.FileContent:
        """https://gerrit-review.googlesource.com/Documentation/rest-api-projects.html#get-content-from-commit

        The revision is the commit's: Gerrit does not tell the file's own.
        """
        name = path_of(repository)
        sha = await self._commit(name, ref)
        content = f"/projects/{segment(name)}/commits/{sha}/files/{segment(path.strip('/'))}/content"
        try:
            answer = await self._client.call("GET", content)
        except api.NotFound:
            if await self._is_folder(name, sha, path):
                raise api.Conflict(f"{path[:200]} is a folder in {name}") from None
            raise
        try:
            content_bytes = base64.b64decode(answer.body, validate=True)
        except binascii.Error:
            raise api.ProviderError(f"the answer to {answer.what} is not in base64") from None
        return api.FileContent(path=path.strip("/"), content=content_bytes, revision=sha)

    async def _is_folder(self, name: str, sha: str, path: str) -> bool:
        """Gerrit has no word for it; Gitiles shows one."""
        where = f"/plugins/gitiles/{quote(name)}/+/{sha}/{quote(path.strip('/'))}"
        try:
            await self._client.get(where, type=_Tree, params={"format": "JSON"})
        except api.ProviderError:
            return False
        return True

    def _logged(
        self, name: str, span: str, params: dict[str, str] | None = None
    ) -> AsyncIterator[answers.LoggedCommit]:
        path = f"/plugins/gitiles/{quote(name)}/+log/{span}"
        asked = {"format": "JSON", "n": str(PAGE), **(params or {})}
        return self._client.pages(path, type=answers.LoggedCommit, params=asked, items="log", next_page=_next_page)

    async def _commit(self, name: str, text: str) -> str:
        """The commit of a branch, a tag or a sha: what git would read otherwise into a name is never asked."""
        try:
            return api.full_sha(text)
        except ValueError:
            pass
        if text.startswith("refs/"):
            return await self.ref(name, text)
        try:
            return await self.ref(name, f"refs/heads/{text}")
        except api.NotFound:
            return await self.ref(name, f"refs/tags/{text}")


def _next_page(answer: Answer) -> dict[str, str] | None:
    following = answer.read(_Next).next
    return {"s": following} if following else None


def changed_by(newest_first: list[answers.LoggedCommit]) -> tuple[api.ChangedFile, ...]:
    """What commits in a row changed all in all: what they added and removed again is not in it.

    A rename is the old path removed and the new one added: what followed may have changed too much to call it one.
    """
    there_before: dict[str, bool] = {}
    there_now: dict[str, bool] = {}
    for one in reversed(newest_first):
        for diff in one.tree_diff or ():
            kind = diff.type.lower()
            if kind in {"delete", "rename"}:
                there_before.setdefault(diff.old_path, True)
                there_now[diff.old_path] = False
            if kind != "delete":
                there_before.setdefault(diff.new_path, kind == "modify")
                there_now[diff.new_path] = True
    found = []
    for path in sorted(there_now):
        match there_before[path], there_now[path]:
            case True, True:
                found.append(api.ChangedFile(path=path, status="modified"))
            case False, True:
                found.append(api.ChangedFile(path=path, status="added"))
            case True, False:
                found.append(api.ChangedFile(path=path, status="removed"))
    return tuple(found)


def path_of(repository: str) -> str:
    """As the job or the event spells it, yet only if it names a project."""
    try:
        return normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None


def full_sha(text: str) -> str:
    """A full commit id: Gerrit would read `current`, or the beginning of one, as whatever is there by then."""
    try:
        return api.full_sha(text)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
