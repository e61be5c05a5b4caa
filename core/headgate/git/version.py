"""Which git is installed and what its known holes mean for us; not a reason to refuse to start."""

from __future__ import annotations

import re

import msgspec

from headgate import api
from headgate.git.command import Git

MINIMUM = (2, 34, 0)
"""Older ones lack options we use (`--geometric`, `read-tree --reset` that protects, …)."""

_FIXED: dict[str, tuple[tuple[int, int, int], ...]] = {
    # each: the first fixed release of every series; later series are fixed
    "CVE-2024-32002 (recursive clones run hooks)": (
        (2, 39, 4), (2, 40, 2), (2, 41, 1), (2, 42, 2), (2, 43, 4), (2, 44, 1), (2, 45, 1),
    ),
    "CVE-2025-48384 (submodule paths with a carriage return run hooks)": (
        (2, 43, 7), (2, 44, 4), (2, 45, 4), (2, 46, 4), (2, 47, 3), (2, 48, 2), (2, 49, 1), (2, 50, 1),
    ),
}  # fmt: skip


class GitVersion(msgspec.Struct, frozen=True, kw_only=True):
    """`numbers` to compare, `text` as git said it (distributions mend holes without changing the numbers)."""

    numbers: tuple[int, int, int]
    text: str


async def git_version(git: Git) -> GitVersion:
    """Ask git. Raises `ProviderError` when it is missing or says something else."""
    return read_version((await git.run(["version"])).text)


def read_version(text: str) -> GitVersion:
    """`git version 2.39.5` and its many endings."""
    match = re.match(r"git version (\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise api.ProviderError(f"`git version` says {text[:80]!r}, which is no version")
    return GitVersion(
        numbers=(int(match[1]), int(match[2]), int(match[3] or 0)), text=text.removeprefix("git version ")
    )


def warnings(version: GitVersion) -> tuple[str, ...]:
    """One sentence for each thing an admin should know about this git, for start-up and `/health`."""
    found = []
    if version.numbers < MINIMUM:
        found.append(f"git {version.text} is older than {'.'.join(map(str, MINIMUM))}, which Headgate needs")
    holes = [name for name, fixed in _FIXED.items() if not _is_fixed(version.numbers, fixed)]
    if holes:
        found.append(
            f"git {version.text} may have {', '.join(holes)}. Headgate never lets git recurse into submodules, "
            "but a build step that runs `git clone --recurse-submodules` or `git submodule` would; "
            "update git, or check that your distribution mended it"
        )
    return tuple(found)


def _is_fixed(numbers: tuple[int, int, int], fixed: tuple[tuple[int, int, int], ...]) -> bool:
    series = {release[:2]: release for release in fixed}
    if numbers[:2] in series:
        return numbers >= series[numbers[:2]]
    return numbers[:2] > max(series)
