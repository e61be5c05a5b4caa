"""How a listing goes on behind its first page, one function for each way providers say it; nothing is fetched here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from headgate.api.client.answers import Answer

Next: TypeAlias = str | Mapping[str, str] | None
"""A link, or parameters that replace those of the same name, or `None` on the last page."""

NextPage: TypeAlias = Callable[[Answer], Next]

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"[^"]*"|[^\s";,]+))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s";,]+))', re.IGNORECASE)


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's usual way to list. `items`: the key of the page that holds them; `None`: the page is the list."""

    next: NextPage
    items: str | None = None


def link_header(answer: Answer) -> Next:
    """`Link: <…>; rel="next"` (RFC 8288): GitHub, GitLab, Gitea, Forgejo."""
    for target, parameters in _LINK.findall(answer.headers.get("link", "")):
        relation = _REL.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(target)
    return None


def next_page_header(header: str = "x-next-page", parameter: str = "page") -> NextPage:
    """A header with the next page's number, empty on the last: GitLab without links."""

    def read(answer: Answer) -> Next:
        number = answer.headers.get(header, "").strip()
        return {parameter: number} if number else None

    return read


def continuation_token(header: str = "x-ms-continuationtoken", parameter: str = "continuationToken") -> NextPage:
    """A header with a token to send back: Azure DevOps."""

    def read(answer: Answer) -> Next:
        token = answer.headers.get(header, "")
        return {parameter: token} if token else None

    return read


class _Linked(msgspec.Struct):
    next: str | None = None


def next_in_body(answer: Answer) -> Next:
    """`"next": "https://…"` in the body: Bitbucket Cloud."""
    return answer.read(_Linked).next or None


class _Started(msgspec.Struct, rename="camel"):
    is_last_page: bool = True
    next_page_start: int | None = None


def page_start(answer: Answer) -> Next:
    """`isLastPage` and `nextPageStart` in the body: Bitbucket Data Center."""
    page = answer.read(_Started)
    return None if page.is_last_page or page.next_page_start is None else {"start": str(page.next_page_start)}
