"""How Gitea, Forgejo and Gogs name repositories: `owner/name`, whatever the letter case; not which server they are on."""

from __future__ import annotations

import re

from headgate import api

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_RESERVED = frozenset({".", "..", "-", ".git"})


def normalise(text: str) -> str:
    """The lower-case `owner/name` of a path or of any URL git takes; `ValueError` says what is wrong.

    A server below a path of its host (`https://acme.example/gitea`) cannot be told from an owner in a URL: write the
    repository's `owner/name` there. https://docs.gitea.com/api/#tag/repository
    """
    path = spelled(text)
    owner, slash, name = path.partition("/")
    if not slash or not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise ValueError(f"{text!r} does not name a repository; write owner/name")
    if name.endswith((".git", ".wiki")):
        raise ValueError(f"{text!r} does not name a repository; no name ends in .git or .wiki")
    return path.lower()


def spelled(text: str) -> str:
    """The path as it is spelled, without slashes at its ends and `.git`; not yet whether it names a repository."""
    return api.path_of(text).strip("/").removesuffix(".git").rstrip("/")


def repository_path(repository: str) -> str:
    """The path to ask for, as the job or the event spells it. Raises `NotFound` when it cannot name a repository."""
    try:
        normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
    return spelled(repository)
