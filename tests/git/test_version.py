"""Known holes are told by version, in every series that was mended."""

from __future__ import annotations

import pytest

from headgate import api
from headgate.git.version import git_version, read_version, warnings


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("git version 2.39.5", (2, 39, 5)),
        ("git version 2.39.5 (Apple Git-154)", (2, 39, 5)),
        ("git version 2.51.0.windows.1", (2, 51, 0)),
        ("git version 2.50.0-rc1", (2, 50, 0)),
        ("git version 3.0", (3, 0, 0)),
    ],
)
def test_versions_are_read(text, numbers):
    assert read_version(text).numbers == numbers


def test_another_program_is_noticed():
    with pytest.raises(api.ProviderError):
        read_version("hub version 2")


@pytest.mark.parametrize(
    ("text", "holes"),
    [
        ("2.39.3", ["CVE-2024-32002", "CVE-2025-48384"]),
        ("2.39.5", ["CVE-2025-48384"]),
        ("2.42.4", ["CVE-2025-48384"]),
        ("2.43.6", ["CVE-2025-48384"]),
        ("2.43.7", []),
        ("2.50.0", ["CVE-2025-48384"]),
        ("2.50.1", []),
        ("2.51.0", []),
        ("3.0.0", []),
        ("2.30.0", ["older than 2.34.0", "CVE-2024-32002", "CVE-2025-48384"]),
    ],
)
def test_known_holes_are_named(text, holes):
    told = " ".join(warnings(read_version(f"git version {text}")))
    for hole in ("CVE-2024-32002", "CVE-2025-48384", "older than 2.34.0"):
        assert (hole in told) == (hole in holes)


async def test_the_installed_git_is_asked(git):
    assert (await git_version(git)).numbers >= (2, 0, 0)
