"""How GitHub names repositories: `owner/name`, whatever the letter case; not which connection they belong to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SCP = re.compile(r"(?:[^@/:\s]+@)?[^@/:\s]+:(?!//)(?P<path>.+)")


def normalise(text: str) -> str:
    """The lower-case `owner/name` of a path or of any URL git takes; `ValueError` says what is wrong.

    GitHub finds a repository in any letter case: https://docs.github.com/en/rest/repos/repos
    """
    path = _path_of(text).strip("/").removesuffix(".git").rstrip("/")
    owner, slash, name = path.partition("/")
    if not slash or not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in {".", "..", ".git"}:
        raise ValueError(f"{text!r} does not name a GitHub repository; write owner/name")
    return path.lower()


def host_of(url: str) -> str:
    """The host and port of a URL in lower case, without a user; `ValueError` when it has none."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"


def _path_of(text: str) -> str:
    if "://" in text:
        return urlsplit(text).path
    found = _SCP.fullmatch(text)
    return found["path"] if found else text
