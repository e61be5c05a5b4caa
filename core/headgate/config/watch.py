"""Notices that configuration files changed; not what changed in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path


def watch(paths: Sequence[Path]) -> AsyncIterator[None]:
    """Yields after each settled burst of changes to YAML files at or under `paths`, which need not exist yet."""
    raise NotImplementedError
