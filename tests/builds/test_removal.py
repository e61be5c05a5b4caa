"""What a build left is removed, however deep, closed or misleading, and nothing beside it is touched."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys

import pytest

from headgate.builds.removal import remove
from headgate.builds.workspace import Folder, remove_leftovers

DEEP = 3_000
"""Deeper than Python recurses, than a path may be long, and than a process may have files open."""


def nest(place, depth=DEEP):
    """In a process of its own: nobody can name the deepest folder."""
    script = f"import os\nfor _ in range({depth}):\n    os.mkdir('d'); open('f', 'w').close(); os.chdir('d')"
    subprocess.run([sys.executable, "-c", script], cwd=place, check=True)


@pytest.fixture
def few_files():
    """As many open files as many services get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_tree_deeper_than_any_path_is_removed(tmp_path, few_files):
    folder = tmp_path / "b_1"
    folder.mkdir()
    nest(folder)
    remove(folder)
    assert not folder.exists()


def test_control_the_standard_library_gives_up_on_that_tree(tmp_path, few_files):
    folder = tmp_path / "b_1"
    folder.mkdir()
    nest(folder)
    with pytest.raises((RecursionError, OSError)):
        shutil.rmtree(folder)
    remove(folder)


async def test_a_deep_tree_of_a_killed_server_does_not_stop_the_next_start(tmp_path):
    """It did: the worker removes leftovers before anything else, and its fault ended the server, at every start."""
    folder = Folder(tmp_path / "workspaces", "b_1", 1)
    folder.make(empty=True)
    nest(folder.work)

    async def running():
        return ()

    await remove_leftovers(tmp_path / "workspaces", running)
    assert list((tmp_path / "workspaces").iterdir()) == []


def test_closed_folders_are_opened_and_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    (outside / "closed").mkdir(mode=0o500)
    folder = tmp_path / "b_1"
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (inner / "link").symlink_to(outside)
    (folder / "link").symlink_to(outside, target_is_directory=True)
    (folder / "a" / "dangling").symlink_to("nowhere")
    os.mkfifo(folder / "a" / "pipe")
    os.link(outside / "kept", inner / "hard")
    for place, mode in ((inner, 0o000), (folder / "a", 0o500), (folder, 0o000)):
        place.chmod(mode)
    remove(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "x"
    assert (outside / "closed").stat().st_mode & 0o777 == 0o500


def test_a_link_or_a_file_in_a_folders_place_is_removed_itself(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("x")
    (tmp_path / "link").symlink_to("outside")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file", "missing"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside" / "kept").exists()


def test_what_cannot_be_removed_stays_and_the_rest_goes(tmp_path, monkeypatch):
    """Also when a name resists for ever, which ends the work instead of going on with it."""
    (tmp_path / "b_1" / "deep" / "deeper").mkdir(parents=True)
    for place in ("stuck", "deep/stuck", "deep/deeper/stuck", "deep/gone"):
        (tmp_path / "b_1" / place).write_text("x")
    unlink = os.unlink

    def resist(name, **more):
        if name == "stuck":
            raise PermissionError
        unlink(name, **more)

    monkeypatch.setattr(os, "unlink", resist)
    remove(tmp_path / "b_1")
    monkeypatch.undo()
    left = [path.name for path in (tmp_path / "b_1").rglob("*") if path.is_file()]
    assert left == ["stuck", "stuck", "stuck"]
