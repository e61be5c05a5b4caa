"""How Fossil's repositories are named: the path below the base URL, as it is spelled; not where their mirrors are."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x20\x7f?#%\\]")


def normalise(text: str) -> str:
    """Without slashes at the ends or `.fossil`; `.` is the base URL itself. `ValueError` says what is wrong."""
    path = text.strip("/").removesuffix(".fossil").rstrip("/")
    if path == "." or text == "/":
        return "."
    if "://" in text or ":" in text.partition("/")[0]:
        raise ValueError(f"{text[:200]!r} is a URL; write the path below the connection's base_url")
    if not path or _CONTROL.search(path) or path.startswith("-"):
        raise ValueError(f"{text[:200]!r} does not name a repository")
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise ValueError(f"{text[:200]!r} has an empty segment, `.` or `..` in its path")
    return path
