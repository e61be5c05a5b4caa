"""The two commands of the README on machines that lack something: a sentence, not a stack of make errors."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from needs import need

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path):
    """Run make with nothing on PATH but the shell's tools and the interpreters a test puts there."""
    program = need("make")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "sed", "expand", "touch"):
        (tools / name).symlink_to(shutil.which(name))

    def run(*arguments, **interpreters):
        for name, script in interpreters.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        environment = {**os.environ, "PATH": str(tools)}
        return subprocess.run(
            [program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_no_python_that_is_new_enough_is_said_in_a_sentence(make, tmp_path):
    done = make(f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python", python3="exit 1")
    assert done.returncode == 2
    assert "Headgate needs Python 3.11 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_python_without_venv_names_the_package(make, tmp_path):
    # Answers the version check and fails the one for the modules.
    script = 'case "$*" in *ensurepip*) exit 1;; esac'
    done = make(f"VENV={tmp_path}/venv", f"{tmp_path}/venv/bin/python", python3=script)
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr


def test_the_first_python_that_is_new_enough_is_taken(make, tmp_path):
    good = f'case "$*" in "-m venv "*) mkdir -p {tmp_path}/venv/bin; echo made >{tmp_path}/made;; esac'
    done = make(
        f"VENV={tmp_path}/venv",
        f"{tmp_path}/venv/bin/python",
        **{"python3": "exit 1", "python3.12": good, "mkdir": 'exec /bin/mkdir "$@"'},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made").exists()


def test_help_names_the_targets(make):
    shown = make("help").stdout
    for target in ("serve", "test", "check", "lock", "dist"):
        assert f"make {target} " in shown


def test_ci_is_an_executable_script_that_bash_accepts():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    subprocess.run([need("bash"), "-n", script], check=True)
