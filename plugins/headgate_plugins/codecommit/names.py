"""How CodeCommit's repositories, regions and people are named; not where they are asked."""

from __future__ import annotations

import re

from headgate import api

# https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html: letter case counts
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")
_ARN = re.compile(r"arn:aws[a-z-]*:codecommit:(?P<region>[a-z0-9-]+):[^:]*:(?P<name>[^:/]+)")
_HELPER = re.compile(r"codecommit(?:::[a-z0-9-]+)?://(?:[^@/]+@)?(?P<name>[^/]+)")

REGION_PATTERN = f"^{_REGION.pattern}$"
"""Of a region's code: `eu-central-1`, `us-gov-west-1`, `cn-north-1`."""


def normalise(text: str) -> str:
    """The repository's name, from the name itself, an https or ssh URL, `codecommit::…` or an ARN; else `ValueError`."""
    found = _ARN.fullmatch(text) or _HELPER.fullmatch(text)
    name = found["name"] if found else api.path_of(text).strip("/").removeprefix("v1/repos/")
    name = name.removesuffix(".git")
    if not _NAME.fullmatch(name) or name.startswith("-") or not name.strip("."):
        raise ValueError(f"{text[:200]!r} does not name a CodeCommit repository")
    return name


def domain(region: str) -> str:
    """What all of AWS's host names of a region end with."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def git_host(region: str) -> str:
    """The host that repositories of `region` are named by, and cloned from.

    https://docs.aws.amazon.com/codecommit/latest/userguide/regions.html#regions-git
    """
    if not _REGION.fullmatch(region):
        raise ValueError(f"{region[:80]!r} is no region")
    return f"git-codecommit.{region}.{domain(region)}"


def of_arn(arn: str) -> tuple[str, str] | None:
    """The region and the repository that an ARN names; `None` for what is no ARN of a repository."""
    found = _ARN.fullmatch(arn)
    return (found["region"], found["name"]) if found else None


def page(region: str, repository: str, *rest: str) -> str:
    """Where the console shows something of a repository, as the service's own messages write it."""
    site = "console.amazonaws.cn" if region.startswith("cn-") else "console.aws.amazon.com"
    path = "/".join((repository, *rest))
    return f"https://{region}.{site}/codesuite/codecommit/repositories/{path}?region={region}"
