"""How GitLab names projects: `group/subgroup/name`, whatever the letter case; not which connection they belong to."""

from __future__ import annotations

import re

from headgate import api

_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}")
"""https://docs.gitlab.com/user/reserved_names/#limitations-on-usernames-project-and-group-names-and-slugs"""

_FEWEST, _MOST = 2, 22
"""A user or group and the project, with up to twenty levels of subgroups between them.

https://docs.gitlab.com/user/group/subgroups/
"""


def normalise(text: str) -> str:
    """The lower-case path of a project, from its path or any URL git takes; `ValueError` says what is wrong.

    A server below a path of its host (`https://acme.example/gitlab`) cannot be told from a group in a URL: write the
    project's path there.
    """
    path = spelled(text)
    parts = path.split("/")
    if not _FEWEST <= len(parts) <= _MOST or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{text!r} does not name a GitLab project; write group/name or group/subgroup/name")
    if parts[-1].endswith((".git", ".atom")):
        raise ValueError(f"{text!r} does not name a GitLab project; no name ends in .git or .atom")
    return path.lower()


def spelled(text: str) -> str:
    """The path as it is spelled, without slashes at its ends and `.git`; not yet whether it names a project."""
    return api.path_of(text).strip("/").removesuffix(".git").rstrip("/")


def project_path(repository: str) -> str:
    """The path to ask for, as the job or the event spells it. Raises `NotFound` when it cannot name a project."""
    try:
        normalise(repository)
    except ValueError as error:
        raise api.NotFound(str(error)) from None
    return spelled(repository)
