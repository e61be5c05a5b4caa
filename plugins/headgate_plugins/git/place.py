"""Where a connection's repositories are and how they are named; not how they are fetched.

A repository's path is kept as it is spelled, for a plain server tells letter case apart. `.` is the root itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_SCP = re.compile(r"(?:[^@/:\s]+@)?(?P<host>[^@/:\s]+):(?!//)(?P<path>.+)")
LOCAL_HOST = "localhost"
"""The host of repositories in a folder of this machine."""


def normalise(text: str) -> str:
    """The path below the base URL or root, without slashes at the ends or `.git`; `ValueError` says what is wrong."""
    path = text.strip("/").removesuffix(".git").rstrip("/")
    if path == "." or text == "/":
        return "."
    if "://" in text or ":" in text.partition("/")[0]:
        raise ValueError(f"{text!r} is a URL; write the path below the connection's base_url or root")
    if not path or _CONTROL.search(path) or path.startswith("-"):
        raise ValueError(f"{text!r} does not name a repository")
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise ValueError(f"{text!r} has an empty segment, `.` or `..` in its path")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A base URL or a root, exactly one of them."""

    base_url: str | None = None
    root: Path | None = None

    @property
    def host(self) -> str:
        """What events call the host: with its port, in lower case, without a user."""
        if self.base_url is None:
            return LOCAL_HOST
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""

    def path_of(self, url: str) -> str | None:
        """The normalised path of the repository a stranger's URL names, `None` when it is none of ours.

        As loose as servers are about it: scheme, user and port do not count, the host and the folder do. All it
        can bring about is a question to the URL that the admin configured.
        """
        if self.root is not None:
            path = unquote(urlsplit(url).path) if url.startswith("file://") else url
            return _below(path, str(self.root))
        found = host_and_path(url)
        base = urlsplit(self.base_url or "")
        if found is None or found[0] != base.hostname:
            return None
        return _below(found[1], base.path)


def host_and_path(url: str) -> tuple[str, str] | None:
    """The lower-case host and the path (`/team/app.git`) of a URL or of `user@host:path`, `None` for anything else."""
    if "://" in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        return (parts.hostname, parts.path) if parts.hostname else None
    scp = _SCP.fullmatch(url)
    return (scp["host"].lower(), "/" + scp["path"].lstrip("/")) if scp else None


def _below(path: str, folder: str) -> str | None:
    folder = folder.rstrip("/")
    if not path.startswith("/") or not (path + "/").startswith(folder + "/"):
        return None
    try:
        return normalise(path[len(folder) :] or "/")
    except ValueError:
        return None
