"""How Bitbucket Data Center is spoken to: where its API is, its limits, errors and pages; not what is asked.

Source: https://developer.atlassian.com/server/bitbucket/rest/
"""

from __future__ import annotations

import msgspec

from headgate import api
from headgate.api.client import Answer, BaseUrl, Client, Dialect, Next, Paging, StoredCredential, page_start, segment
from headgate_plugins.bitbucket_server.names import normalise

REST = "/rest/api/1.0"
"""Stands behind the context path; `1.0` is what all versions have, and `latest` means it."""

PAGE = 100
"""Items to ask for at once. The host gives fewer where its own limit is lower."""

LARGEST_PAGE = 1000
"""Of what is small, and of changed files, for which there is no second page."""

_FORBIDDEN = 403


class _Fault(msgspec.Struct, rename="camel"):
    exception_name: str | None = None


class _Faults(msgspec.Struct):
    errors: list[_Fault] = []


def needed(answer: Answer) -> tuple[str, ...]:
    """The permission a refused call needs, in Bitbucket's words, which it does not say itself; empty if unknown.

    401 is also what a wrong password gets, so there the exception's name has to speak of permission.
    """
    try:
        named = [fault.exception_name or "" for fault in answer.read(_Faults).errors]
    except api.ProviderError:
        named = []
    if answer.status != _FORBIDDEN and not any(name.endswith("AuthorisationException") for name in named):
        return ()
    method, _, path = answer.what.partition(" ")
    if "/repos/" not in path:
        return ("PROJECT_ADMIN",) if path.endswith("/permissions/users") else ()
    if "/webhooks" in path or "/permissions/" in path:
        return ("REPO_ADMIN",)
    writes = method != "GET" and not path.endswith(("/builds", "/pull-requests"))
    return ("REPO_WRITE",) if writes else ("REPO_READ",)


DIALECT = Dialect(
    name="Bitbucket",
    # Without the second header it takes our multipart forms for a forged browser request.
    headers={"Accept": "application/json", "X-Atlassian-Token": "no-check"},
    paging=Paging(next=page_start, items="values"),
    needs=(needed,),
)


def open_client(host: api.Host, *, site: BaseUrl, authorize: StoredCredential) -> Client:
    """The client of a connection."""
    return Client(host, site, dialect=DIALECT, authorize=authorize)


def repository_path(repository: str) -> str:
    """Where the API has a repository, whatever way it is written. Raises `NotFound` for what names none."""
    try:
        project, _, slug = normalise(repository).partition("/")
    except ValueError as error:
        raise api.NotFound(str(error)) from None
    return f"{REST}/projects/{segment(project)}/repos/{segment(slug)}"


class _Page(msgspec.Struct, rename="camel"):
    size: int = 0
    limit: int | None = None
    is_last_page: bool = True


class Unpaged:
    """Goes on like any listing, and notices one that the host cut: `cut` once the last page was read.

    Changed files have no second page: https://confluence.atlassian.com/bitbucketserver/configuration-properties-776640155.html
    (`page.max.changes`). A page that is exactly full counts as cut, for it looks the same.
    """

    def __init__(self) -> None:
        self.cut = False

    def __call__(self, answer: Answer) -> Next:
        """See `headgate.api.client.NextPage`."""
        page, following = answer.read(_Page), page_start(answer)
        full = page.limit is not None and page.size >= page.limit
        self.cut = following is None and (full or not page.is_last_page)
        return following
