"""What is shipped: two packages and nothing else, and a wheel that works where the source is not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, offline, with the locked build backend."""
    source = tmp_path_factory.mktemp("source") / "headgate"
    source.mkdir()
    for name in ("core", "plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """An environment with the wheel, and the dependencies of this one but not its editable headgate."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    dependencies = home / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        # The editable install of this checkout is a .pth file or a finder module named after it.
        if "headgate" not in entry.name.lower():
            (dependencies / entry.name).symlink_to(entry)
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return home


def run(home, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = "import sys; from headgate.cli import main; main(sys.argv[1:])"
    command = [home / "bin/python", "-c", program, *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def test_it_holds_two_packages_their_metadata_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {
        "headgate",
        "headgate_plugins",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert not [name for name in names if "test" in name.rpartition("/")[2].partition("_")[0]]
    assert "headgate/py.typed" in names
    assert "headgate_plugins/py.typed" in names


def test_it_carries_licence_entry_points_and_every_dependency(wheel):
    with zipfile.ZipFile(wheel) as archive:
        read = {
            name.partition(".dist-info/")[2]: archive.read(name) for name in archive.namelist() if ".dist-info" in name
        }
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert read["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    for name in pyproject["project"]["entry-points"]["headgate.plugins"]:
        assert f"{name} = headgate_plugins.{name}".encode() in read["entry_points.txt"]
    needed = re.findall(rb"^Requires-Dist: ([\w.-]+)(.*)", read["METADATA"], flags=re.MULTILINE)
    extras = pyproject["project"]["optional-dependencies"]
    assert len([name for name, rest in needed if b"extra ==" not in rest]) == len(pyproject["project"]["dependencies"])
    assert len([name for name, rest in needed if b"extra ==" in rest]) == sum(map(len, extras.values()))


def test_it_runs_where_the_source_is_not(elsewhere):
    done = run(elsewhere, "--help")
    assert done.returncode == 0, done.stderr
    assert "Why did this (not) build?" in done.stdout
    where = subprocess.run(
        [elsewhere / "bin/python", "-c", "import headgate; print(headgate.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(elsewhere) in where.stdout


def test_its_bundled_plugins_are_found_through_their_entry_points(elsewhere):
    done = run(elsewhere, "plugins", "--json")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    for name in pyproject["project"]["entry-points"]["headgate.plugins"]:
        assert f'"name": "{name}"' in done.stdout
