"""How addresses and commits are written in payloads, for all providers alike; not how one provider names repositories."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_SCP = re.compile(r"(?:[^@/:\s]+@)?[^@/:\s]+:(?!//)(?P<path>.+)")


def full_sha(text: str) -> str:
    """A full commit id in lower case; `ValueError` for anything else: an abbreviated one, or git's all-zero id."""
    if not _SHA.fullmatch(text) or not text.strip("0"):
        raise ValueError(f"{text[:80]!r} is no full commit id")
    return text.lower()


def full_sha_or_none(text: str | None) -> str | None:
    """As `full_sha`; nothing, an empty string and git's all-zero id are `None`."""
    return None if not text or not text.strip("0") else full_sha(text)


def tagged_commit(told: str | None, after: str | None) -> str | UnsetType:
    """A `Tag`'s `commit`, from what a payload tells beside `after`: unset unless it is the full id of another commit."""
    commit = told.lower() if told and _SHA.fullmatch(told) and told.strip("0") else None
    return UNSET if commit is None or after is None or commit == after else commit


def tag_moved(before: str | None, after: str | None) -> bool:
    """Whether a tag that was there is somewhere else now, which is `forced`: git moves no tag without force."""
    return before is not None and after is not None


def host_of(url: str) -> str:
    """The host and port of a URL in lower case, without a user; `ValueError` when it has none."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url[:200]!r} names no host")
    return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"


def path_of(text: str) -> str:
    """The path of any way to name a repository: a URL, git's `user@host:path`, or the path itself, as it is spelled."""
    if "://" in text:
        return urlsplit(text).path
    found = _SCP.fullmatch(text)
    return found["path"] if found else text
