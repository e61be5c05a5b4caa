"""Configuration files as text, and which of them a folder holds; not what stands in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from headgate.api import ConfigError, Problem

SUFFIXES = frozenset({".yaml", ".yml"})


def read_text(path: Path) -> str:
    """The file as UTF-8 (with or without a byte-order mark); raises `ConfigError`."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(Problem(file=str(path), message=f"cannot be read: {reason}")) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(Problem(file=str(path), line=line, column=1, message="is not UTF-8")) from None


def yaml_files(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """The YAML files at or below `paths`, each once, sorted within each; hidden ones are left out.

    A path that is named itself may have any suffix. One that is not there is a problem.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        elif path.exists():
            found[path] = None
        else:
            problems.append(Problem(file=str(path), message="there is no such file or folder"))
    return list(found), problems


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and os.path.splitext(name)[1] in SUFFIXES:  # noqa: PTH122 - of a name, not of a path
                yield Path(here, name)
