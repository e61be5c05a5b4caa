"""What a test needs from the machine: skipped where it is missing, but never in CI, where a skip would hide a hole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def need(tool: str) -> str:
    """The absolute path of a program; without it the test is skipped, and fails where `CI` is set."""
    path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin")
    if path is None:
        missing(f"{tool} is not installed")
    return path


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it where `CI` is set: there everything must be installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must have it (see .ci/run)", pytrace=False)
    pytest.skip(what)


def need_folder(path: Path, what: str) -> Path:
    """A folder; without it the test is skipped, and fails where `CI` is set."""
    if not path.is_dir():
        missing(f"{what} is not at {path}")
    return path
