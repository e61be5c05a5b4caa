"""How Gerrit names projects: any depth of folders, letter case counts; not which connection they belong to."""

from __future__ import annotations

import re

from headgate import api

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_NEVER = re.compile(r"[\\?%*:<>|$~]|/\+")
"""What Gerrit refuses in a project's name, for it means something in a URL or a path."""

_AUTHENTICATED = "a/"
"""What stands before the path of an authenticated request, git's included.

https://gerrit-review.googlesource.com/Documentation/rest-api.html#authentication
"""


def normalise(text: str) -> str:
    """The project's name as it is spelled, of its path or of a URL that git takes; `ValueError` says what is wrong.

    A URL has nothing before the name but its host (and `/a`): where Gerrit is below a path of its own, the name alone
    tells. https://gerrit-review.googlesource.com/Documentation/cmd-create-project.html
    """
    path = api.path_of(text).strip("/")
    if text.startswith(("https://", "http://")):
        path = path.removeprefix(_AUTHENTICATED)
    parts = path.split("/")
    path = path.removesuffix(".git")
    if not path or path.startswith("-") or _CONTROL.search(path) or _NEVER.search(path):
        raise ValueError(f"{text[:200]!r} does not name a Gerrit project")
    if any(part in {"", ".", "..", ".git"} for part in parts):
        raise ValueError(f"{text[:200]!r} has an empty part, `.` or `..` in its path")
    return path
