from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from headgate.config import watch as watching
from headgate.config.watch import look, watch

PATIENCE = 10


@asynccontextmanager
async def watched(*paths: Path):
    """A queue that gets an item for each change told."""
    told: asyncio.Queue[None] = asyncio.Queue()
    started = asyncio.Event()

    async def follow() -> None:
        changes = watch(paths)
        started.set()
        async for _ in changes:
            told.put_nowait(None)

    task = asyncio.create_task(follow())
    await started.wait()
    await asyncio.sleep(0.2)  # the first look at the files happens in a thread; no test waits for a change here
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def is_told(told: asyncio.Queue[None]) -> None:
    await asyncio.wait_for(told.get(), PATIENCE)


async def test_changed_new_and_removed_files_are_told(tmp_path):
    (tmp_path / "a.yaml").write_text("1")
    async with watched(tmp_path) as told:
        (tmp_path / "a.yaml").write_text("two")
        await is_told(told)
        (tmp_path / "b.yml").write_text("1")
        await is_told(told)
        (tmp_path / "a.yaml").unlink()
        await is_told(told)


async def test_a_replaced_file_is_told_as_editors_do_it(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("1")
    async with watched(file) as told:
        for _ in range(2):
            (tmp_path / "draft").write_text("1")
            os.replace(tmp_path / "draft", file)  # noqa: PTH105 - the system call is the point
            await is_told(told)


async def test_folders_that_come_go_and_come_again_are_followed(tmp_path):
    folder = tmp_path / "conf" / "jobs.d"
    async with watched(folder) as told:
        for _ in range(2):
            (folder / "sub").mkdir(parents=True)
            (folder / "sub" / "a.yaml").write_text("1")
            await is_told(told)
            shutil.rmtree(tmp_path / "conf")
            await is_told(told)


async def test_other_files_are_not_told(tmp_path):
    """And the one that is told afterwards is told once: nothing was waiting before it."""
    async with watched(tmp_path) as told:
        (tmp_path / "notes.txt").write_text("1")
        (tmp_path / ".hidden.yaml").write_text("1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.get(), 2.5)
        (tmp_path / "a.yaml").write_text("1")
        await is_told(told)
        assert told.empty()


async def test_without_notices_from_the_kernel_changes_are_found_by_looking(tmp_path, monkeypatch):
    def no_more_watches(*_, **__):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(watching, "awatch", no_more_watches)
    monkeypatch.setattr(watching, "_LOOK_AGAIN", 0.1)
    async with watched(tmp_path) as told:
        (tmp_path / "a.yaml").write_text("1")
        await is_told(told)


async def test_what_changed_between_reading_and_watching_is_told_at_once(tmp_path):
    """The control beside it: who starts to watch from now on never hears of it."""
    file = tmp_path / "config.yaml"
    file.write_text("1")
    before = look([file])
    file.write_text("changed while the server was starting")
    async with aclosing(watch([file], since=before)) as changes:
        await asyncio.wait_for(anext(changes), PATIENCE)
    async with watched(file) as told:
        await asyncio.sleep(watching._LOOK_AGAIN + 0.5)
        assert told.empty()
