"""How Azure DevOps names repositories: `project/repository`, whatever the letter case; not which organisation they are in.

The organisation or collection is the connection's: it stands in its base URL. Names may hold blanks; in URLs they are
percent-encoded, everywhere else they are written as people see them.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from headgate import api

# https://learn.microsoft.com/en-us/azure/devops/organizations/settings/naming-restrictions
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\/:*?\"<>|;#${},+=\[\]]|%[0-9A-Fa-f]{2}")
_LONGEST = 64

_MARKS = frozenset({"_git", "_ssh"})
"""What stands before the repository's name in URLs."""

_COLLECTION = "defaultcollection"
"""What older URLs have in the project's place when project and repository have one name."""


def normalise(text: str) -> str:
    """The lower-case `project/repository` of a path or of any URL git takes; `ValueError` says what is wrong."""
    project, name = split(text)
    return f"{project}/{name}".lower()


def split(text: str) -> tuple[str, str]:
    """Project and repository as they are spelled, percent-encoding undone in URLs. Raises `ValueError`.

    Taken are `project/repository`, `project/_git/repository`, and the URLs of
    https://learn.microsoft.com/en-us/azure/devops/repos/git/clone: `dev.azure.com/{org}/{project}/_git/{repo}`,
    `{org}.visualstudio.com/{project}/_git/{repo}`, `git@ssh.dev.azure.com:v3/{org}/{project}/{repo}`, and those of
    servers, `{host}/{collection}/{project}/_git/{repo}`. Where the project is left out, it has the repository's name.
    """
    path = api.path_of(text)
    segments = path.strip("/").split("/")
    if path != text:
        segments = [unquote(segment) for segment in segments]
    found = _pair(segments, _host(text))
    if found is None:
        raise ValueError(f"{text!r} does not name an Azure DevOps repository; write project/repository")
    project, name = found[0], found[1].removesuffix(".git")
    for part in (project, name):
        if not _is_name(part):
            raise ValueError(
                f"{text!r} does not name an Azure DevOps repository: {part!r} is no name, as people see it"
            )
    return project, name


def _pair(segments: list[str], host: str) -> tuple[str, str] | None:
    if len(segments) == 4 and segments[0] == "v3":  # noqa: PLR2004 - v3/org/project/repository
        return segments[2], segments[3]
    marks = [at for at, segment in enumerate(segments) if segment in _MARKS]
    if not marks:
        return (segments[0], segments[1]) if len(segments) == 2 and not host else None  # noqa: PLR2004 - a pair
    if len(marks) > 1 or marks[0] != len(segments) - 2:
        return None
    before, name = segments[:-2], segments[-1]
    if host == "dev.azure.com" and len(before) < 2:  # noqa: PLR2004 - org/project
        before = []  # only the organisation
    project = before[-1] if before else name
    return (name if project.lower() == _COLLECTION else project), name


def _host(text: str) -> str:
    """Of a URL, or of git's `user@host:path`; empty for a bare path."""
    if "://" in text:
        return (urlsplit(text).hostname or "-").lower()
    return "-" if api.path_of(text) != text else ""


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST
        and text == text.strip()
        and text[0] not in "_.-"
        and text[-1] != "."
        and not _FORBIDDEN.search(text)
    )
