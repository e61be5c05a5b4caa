"""Small disks that really fill up below a running server: what it answers, what it says, and that it goes on by itself."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import pytest
from disks import CONFIG, JOBS, Filler, Pushes, built, health, on_small_disk, until_health
from git_server import checkout, commit, push
from live import FakeGitHub, Headgate

pytestmark = pytest.mark.reliability


def blind(program: tuple[str, ...]) -> tuple[str, ...]:
    """The same on the same disk, without the protections."""
    return (*program[:-1], sys.executable, str(Path(__file__).parents[1] / "support" / "blind_to_full_disks.py"))


NOISY = """
jobs:
  noisy:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: talk, run: "head -c 3000000 /dev/zero | tr '\\\\0' x | fold -w 99"}]}
"""

GREEDY = """
jobs:
  greedy:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: take, run: "head -c 3000000 /dev/zero > result && rm result"}]}
"""

CHECKED_OUT = """
jobs:
  big:
    source: {connection: hub, repository: acme/web}
    triggers: {push: {}}
    run: {steps: [{name: one, run: "true"}]}
"""


async def test_a_full_database_is_503_and_nothing_acknowledged_is_lost(tmp_path):
    disk = tmp_path / "disk"
    config = f"{CONFIG}database: sqlite+aiosqlite:///{disk}/headgate.db\n"
    headgate = Headgate(tmp_path / "headgate", config, JOBS, program=on_small_disk(disk, size="24m"))
    pushes = Pushes(headgate, seed=11, padding=200_000)
    try:
        await headgate.start()
        filler = Filler(headgate, disk)
        for _ in range(5):
            assert (await pushes.post())[0] == 202
        filler.fill()  # while what follows from them is being written
        refused = await _until_refused(pushes, filler)
        assert int(refused["Retry-After"]) > 0
        await until_health(headgate, "database", says="full")
        assert str(disk) in (await health(headgate))["disk"]
        filler.remove()
        await until_health(headgate, "database", says="")
        await until_health(headgate, "disk", says="")
        for _ in range(3):
            assert (await pushes.post())[0] == 202
        counts = await built(headgate, pushes.acknowledged)
        assert set(pushes.acknowledged) <= set(counts), "an acknowledged push was lost"
        assert set(counts.values()) == {1}
        assert headgate.process.poll() is None, "it is the same process"
        assert await headgate.stop() == 0
    finally:
        headgate.close()


async def test_control_a_full_disk_that_is_taken_for_a_broken_one_ends_the_server(tmp_path):
    disk = tmp_path / "disk"
    config = f"{CONFIG}database: sqlite+aiosqlite:///{disk}/headgate.db\n"
    headgate = Headgate(tmp_path / "headgate", config, JOBS, program=blind(on_small_disk(disk, size="24m")))
    pushes = Pushes(headgate, seed=11, padding=200_000)
    try:
        await headgate.start()
        filler = Filler(headgate, disk)
        deadline = time.monotonic() + 60
        while headgate.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                filler.fill()
            await pushes.post()
        assert headgate.process.poll() == 70
    finally:
        headgate.close()


async def _until_refused(pushes: Pushes, filler: Filler) -> dict[str, str]:
    """Post until the disk is full for the database, too: its log has some room of its own. The refusal's headers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, headers = await pushes.post()
        if status == 503:
            return headers
        assert status == 202
        filler.fill()
    raise AssertionError("the database never was full")


async def test_a_full_disk_of_logs_ends_the_build_with_the_reason(tmp_path):
    disk = tmp_path / "headgate" / "data" / "logs"
    headgate = Headgate(tmp_path / "headgate", CONFIG, NOISY, program=on_small_disk(disk, size="6m"))
    pushes = Pushes(headgate, seed=12)
    try:
        await headgate.start()
        filler = Filler(headgate, disk)
        filler.fill()
        assert (await pushes.post())[0] == 202
        (build,) = await headgate.finished(1)
        assert build["outcome"] == "errored"
        assert "the build's log cannot be written: No space left on device" in build["reason"]
        await until_health(headgate, "disk", says=f"logs ({disk})")
        assert "database" not in await health(headgate)
        filler.remove()
        await until_health(headgate, "disk", says="")
        assert (await pushes.post())[0] == 202
        first, second = await headgate.finished(2)
        assert [first["outcome"], second["outcome"]] == ["errored", "succeeded"]
        log = await headgate.command("log", str(second["id"]))
        assert log.count("x" * 99) > 20_000
    finally:
        headgate.close()


async def test_a_disk_of_logs_that_fills_up_while_a_build_talks_ends_it_with_the_reason(tmp_path):
    disk = tmp_path / "headgate" / "data" / "logs"
    headgate = Headgate(tmp_path / "headgate", CONFIG, NOISY, program=on_small_disk(disk, size="2m"))
    pushes = Pushes(headgate, seed=13)
    try:
        await headgate.start()
        assert (await pushes.post())[0] == 202
        (build,) = await headgate.finished(1)
        assert build["outcome"] == "errored"
        assert "the build's log cannot be written" in build["reason"]
        lines = (await headgate.command("log", str(build["id"]))).splitlines()
        assert lines.count("x" * 99) > 1_000, "what was written can be read"
        assert max(len(line) for line in lines if line.startswith("x")) == 99, "and no two lines are glued"
    finally:
        headgate.close()


async def test_a_step_that_fails_on_a_full_disk_of_workspaces_was_not_asked(tmp_path):
    disk = tmp_path / "headgate" / "data" / "workspaces"
    headgate = Headgate(tmp_path / "headgate", CONFIG, GREEDY, program=on_small_disk(disk, size="6m"))
    pushes = Pushes(headgate, seed=14)
    try:
        await headgate.start()
        assert (await pushes.post())[0] == 202
        await headgate.finished(1)
        filler = Filler(headgate, disk)
        filler.fill()
        assert (await pushes.post())[0] == 202
        _, build = await headgate.finished(2)
        assert build["outcome"] == "errored", build["reason"]
        assert f"no space is left on the disk of the workspaces ({disk})" in build["reason"]
        await until_health(headgate, "disk", says=f"workspaces ({disk})")
        filler.remove()
        await until_health(headgate, "disk", says="")
        assert (await pushes.post())[0] == 202
        outcomes = [build["outcome"] for build in await headgate.finished(3)]
        assert outcomes == ["succeeded", "errored", "succeeded"]
    finally:
        headgate.close()


async def test_control_a_server_that_does_not_look_blames_the_commit(tmp_path):
    disk = tmp_path / "headgate" / "data" / "workspaces"
    headgate = Headgate(tmp_path / "headgate", CONFIG, GREEDY, program=blind(on_small_disk(disk, size="6m")))
    pushes = Pushes(headgate, seed=14)
    try:
        await headgate.start()
        assert (await pushes.post())[0] == 202
        await headgate.finished(1)
        Filler(headgate, disk).fill()
        assert (await pushes.post())[0] == 202
        assert [build["outcome"] for build in await headgate.finished(2)] == ["succeeded", "failed"]
    finally:
        headgate.close()


@pytest.mark.parametrize("folder", ["workspaces", "mirrors"])
async def test_a_checkout_that_finds_no_room_says_so_and_the_next_one_works(tmp_path, folder):
    disk = tmp_path / "headgate" / "data" / folder
    async with FakeGitHub(tmp_path / "hosted") as hub:
        config = CONFIG.replace("provider: github", f"provider: github, base_url: '{hub.url()}'")
        headgate = Headgate(tmp_path / "headgate", config, CHECKED_OUT, program=on_small_disk(disk, size="12m"))
        hub.create("acme/web")
        hub.hook("acme/web", f"{headgate.url}/webhooks/hub")
        work = checkout(tmp_path / "work")
        try:
            await headgate.start()
            commit(work, {"small": "x"}, "First")
            await push(work, hub.url("acme/web"), "main")
            await headgate.finished(1)
            filler = Filler(headgate, disk)
            filler.fill()
            commit(work, {"big": os.urandom(1_000_000)}, "Much")
            await push(work, hub.url("acme/web"), "main")
            _, build = await headgate.finished(2)
            assert build["outcome"] == "errored"
            assert "no space left on device" in build["reason"].lower()
            assert "make room on our own disk" in build["reason"] or str(disk) in build["reason"]
            await until_health(headgate, "disk", says=f"{folder} ({disk})")
            filler.remove()
            commit(work, {"small": "y"}, "Little")
            await push(work, hub.url("acme/web"), "main")
            outcomes = [build["outcome"] for build in await headgate.finished(3)]
            assert outcomes == ["succeeded", "errored", "succeeded"]
        finally:
            headgate.close()
