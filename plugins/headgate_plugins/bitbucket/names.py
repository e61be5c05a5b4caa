"""How Bitbucket Cloud names repositories and commits; not which connection they belong to."""

from __future__ import annotations

import re

from headgate import api
from headgate.api.client import segment

_WORKSPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_SLUG = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
_FULL = frozenset({40, 64})


def normalise(text: str) -> str:
    """The lower-case `workspace/repo_slug` of a path or of any URL git takes; `ValueError` says what is wrong.

    Workspaces and slugs are in lower case, and Bitbucket finds them in any:
    https://support.atlassian.com/bitbucket-cloud/docs/what-is-a-slug/
    """
    path = api.path_of(text).strip("/").removesuffix(".git").rstrip("/")
    workspace, slash, slug = path.partition("/")
    if not slash or not _WORKSPACE.fullmatch(workspace) or not _SLUG.fullmatch(slug) or slug in {".", "..", ".git"}:
        raise ValueError(f"{text!r} does not name a Bitbucket repository; write workspace/repository")
    return path.lower()


def place(repository: str) -> str:
    """`/repositories/{workspace}/{repo_slug}`, below which the API has all of a repository. Raises `NotFound`."""
    try:
        return f"/repositories/{normalise(repository)}"
    except ValueError as error:
        raise api.NotFound(str(error)) from None


def below(repository: str, *parts: str) -> str:
    """The path of something of a repository. Each of `parts` is one segment, whatever it holds. Raises `NotFound`."""
    return "/".join((place(repository), *(segment(part) for part in parts)))


def sha(text: str) -> str:
    """A commit id in lower case, full or abbreviated (7 digits and more); `ValueError` for anything else.

    Bitbucket writes the commits of pull requests with 12 digits, in webhooks and in answers:
    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request
    """
    if not _SHA.fullmatch(text) or not text.strip("0"):
        raise ValueError(f"{text[:80]!r} is no commit id")
    return text.lower()


def is_full(text: str) -> bool:
    """Whether a commit id is all of it."""
    return len(text) in _FULL
