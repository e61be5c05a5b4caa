"""A mixed load leaves nothing behind, loses nothing and repeats nothing; `make soak` does it for half an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from soak import LONG

TESTS = Path(__file__).parents[1]
SOAK = TESTS / "reliability/soak.py"
LEAKS = TESTS / "support/leaks.py"
REPORT = TESTS.parent / "docs/benchmarks/soak.md"

LONG_FORM = ("--seconds", "1800", "--warm-up", "90", "--report", str(REPORT))
SHORT_FORM = ("--seconds", "20", "--warm-up", "6")


def soak(*arguments: str) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, str(SOAK), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said, _ = process.communicate()
    finally:
        process.terminate()  # it ends its server, whatever ended us
        process.wait(30)
    print(said)
    return process.returncode, said


@pytest.mark.reliability
@pytest.mark.timeout(3000 if LONG else 400)
def test_a_mixed_load_leaves_nothing_behind_and_everything_is_built_once_and_told(tmp_path):
    code, said = soak(*(LONG_FORM if LONG else SHORT_FORM), "--folder", str(tmp_path))
    assert code == 0, said
    assert "| of 0 acknowledged" not in said, "the load really ran"


@pytest.mark.reliability
@pytest.mark.timeout(400)
def test_control_a_server_that_leaks_with_each_delivery_is_caught(tmp_path):
    """The short form over a server that keeps a descriptor and some memory of each delivery."""
    code, said = soak(
        "--seconds", "12", "--warm-up", "3", "--folder", str(tmp_path), "--program", sys.executable, str(LEAKS)
    )
    assert code == 1, said
    broken = {line.split("|")[1].strip() for line in said.splitlines() if line.endswith("| **no** |")}
    assert broken == {"descriptors at rest, before and after", "memory at rest, before and after"}, said
