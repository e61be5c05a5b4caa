"""`${…}` where nobody would fill it in; not in scripts, where the shell does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from headgate.api import Problem
from headgate.config.yaml import Document, KeyPath


def placeholder_problems(
    document: Document, value: Any, at: KeyPath = (), *, allowed: Callable[[KeyPath], bool] = lambda _: False
) -> Iterator[Problem]:
    """A problem for each text below `at` that holds `${` and is not `allowed` to; the path is relative to `at`."""
    for path, text in _texts(value, ()):
        if "${" in text and not allowed(path):
            yield document.problem(
                (*at, *path),
                "nothing is filled in here, so `${…}` would stay as it is",
                "name a secret as secret://store/name; in a step's `run` the shell fills in variables",
            )


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _texts(member, (*path, key))
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from _texts(member, (*path, at))
