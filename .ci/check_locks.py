"""Whether the lock files still fit pyproject.toml; offline, and not a resolver: `make lock` is."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"requirements.lock": "build", "requirements-dev.lock": "dev"}
"""Each lock file and the dependency group it holds besides the dependencies."""


def main() -> int:
    """Print every fault; 1 when there is one."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = [fault for name, group in LOCKS.items() for fault in faults(pyproject, name, group)]
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


def faults(pyproject: dict[str, Any], name: str, group: str) -> Iterator[str]:
    """What is wrong with one lock file, one sentence each."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if "://" in text or "--index" in text:
        yield f"{name} names an address; `make lock` writes none"
    pins = pinned(text)
    wanted = [*pyproject["project"]["dependencies"], *grouped(pyproject["dependency-groups"], group)]
    for line in wanted:
        requirement = Requirement(line)
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"{name} does not pin {requirement.name}; run `make lock`"
        elif not requirement.specifier.contains(pin, prereleases=True):
            yield f"{name} pins {requirement.name} {pin}, and pyproject.toml wants {requirement.specifier}; run `make lock`"


def pinned(text: str) -> dict[str, Version]:
    """Name → version of every pin; a pin without a hash raises `ValueError`, as pip would refuse it."""
    pins: dict[str, Version] = {}
    for block in text.replace("\\\n", " ").splitlines():
        if not block.strip() or block.startswith("#"):
            continue
        requirement, sign, _ = block.partition("--hash=")
        if not sign:
            message = f"no hash for {block}"
            raise ValueError(message)
        name, _, version = requirement.partition(";")[0].partition("==")
        pins[canonicalize_name(name.strip())] = Version(version.strip())
    return pins


def grouped(groups: dict[str, list[Any]], name: str) -> Iterator[str]:
    """The requirements of a dependency group (PEP 735), included groups too."""
    for entry in groups[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from grouped(groups, entry["include-group"])


if __name__ == "__main__":
    sys.exit(main())
