"""How GitHub names repositories: `owner/name`, whatever the letter case; not which connection they belong to."""

from __future__ import annotations

import re

from headgate import api

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def normalise(text: str) -> str:
    """The lower-case `owner/name` of a path or of any URL git takes; `ValueError` says what is wrong.

    GitHub finds a repository in any letter case: https://docs.github.com/en/rest/repos/repos
    """
    path = api.path_of(text).strip("/").removesuffix(".git").rstrip("/")
    owner, slash, name = path.partition("/")
    if not slash or not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in {".", "..", ".git"}:
        raise ValueError(f"{text!r} does not name a GitHub repository; write owner/name")
    return path.lower()


def repository_path(repository: str) -> str:
    """`owner/name` as the job or the event spells it; `NotFound` when it names no repository."""
    try:
        normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
    if "://" in repository or ":" in repository:
        return normalise(repository)
    return repository.strip("/").removesuffix(".git")


def owner(text: str) -> str:
    """A user or an organisation, as it is spelled; `NotFound` for what can be neither."""
    if not _OWNER.fullmatch(text):
        raise api.NotFound(f"{text[:80]!r} is no user and no organisation of GitHub")
    return text


def number(text: str, what: str) -> str:
    """An id that GitHub gave, which is a number; `NotFound` for what cannot be one. `what` names it."""
    if not (text.isascii() and text.isdecimal()):
        raise api.NotFound(f"GitHub has no {what} {text[:80]!r}")
    return text
