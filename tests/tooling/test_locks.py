"""The lock files fit pyproject.toml, hold a hash for everything and no address; and the check can fail."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check_locks", ROOT / ".ci/check_locks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize(("name", "group"), [("requirements.lock", "build"), ("requirements-dev.lock", "dev")])
def test_a_lock_fits(check, pyproject, name, group):
    assert list(check.faults(pyproject, name, group)) == []


def test_a_new_dependency_is_missed(check, pyproject):
    pyproject["project"]["dependencies"].append("left-pad>=1")
    assert list(check.faults(pyproject, "requirements.lock", "build")) == [
        "requirements.lock does not pin left-pad; run `make lock`"
    ]


def test_a_raised_floor_is_missed(check, pyproject):
    pyproject["project"]["dependencies"] = ["pluggy>=99"]
    (fault,) = check.faults(pyproject, "requirements.lock", "build")
    assert "pyproject.toml wants >=99" in fault


def test_a_pin_without_a_hash_is_refused(check):
    assert set(check.pinned("a==1 \\\n    --hash=sha256:00\n")) == {"a"}
    with pytest.raises(ValueError, match="no hash for b==2"):
        check.pinned("b==2\n")


def test_what_both_locks_pin_they_pin_alike(check):
    """`make test` must not change what `make serve` installed."""
    run = check.pinned((ROOT / "requirements.lock").read_text())
    dev = check.pinned((ROOT / "requirements-dev.lock").read_text())
    assert {name: dev.get(name) for name in run} == run
