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
