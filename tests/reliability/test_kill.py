"""`kill -9` at random moments under load, with duplicates, webhook and poll racing: every promise is kept.

The controls run the same storm over servers with one protection switched off, and must see that promise broken.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from live import FakeGitHub
from promises import settled
from receiver import Receiver
from soak import LONG
from storm import Storm, prepared
from warm import WarmParent

KILLS = 2_000 if LONG else 200
CONTROL_KILLS = 10
"""Mostly enough for a control to see its promise broken."""

CONTROL_STORMS = 8
"""Before a control gives up."""

LIFE = 1.25
"""Seconds a server lives at most; it asks the repository first after one."""


@pytest.fixture
def parent():
    warm = WarmParent()
    yield warm
    warm.close()


@pytest.mark.reliability
@pytest.mark.timeout(7_200 if LONG else 1_200)
async def test_kills_under_load_lose_nothing_and_build_nothing_twice(tmp_path, parent):
    async with FakeGitHub(tmp_path / "hosted") as hub, Receiver() as receiver:
        headgate = prepared(tmp_path / "headgate", hub, receiver, parent=parent)
        storm = await _storm(headgate, hub, kills=KILLS, seed=KILLS)
        try:
            await settled(headgate.folder)
            assert await headgate.stop() == 0
        finally:
            headgate.close()
        figures = storm.figures(receiver)
        print(f"{KILLS} kills: {figures}")
        assert storm.losses(receiver) == {}
        assert figures["acknowledged"] > 10 * KILLS, "the storm really blew"
        assert figures["duplicates"] > figures["synthetic and real pushes"] / 10
        assert figures["transitions seen by both"] > KILLS / 10, "webhook and poll really raced"
        assert figures["heads a poll saw first"] > KILLS / 40
        assert figures["lost"], "kills hit running builds"
        assert figures["told again"], "kills hit news between being told and being marked so"


@pytest.mark.reliability
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("protection", "broken"),
    [
        ("answers_early", {"not recorded", "not built"}),
        ("news_apart", {"not told"}),
        ("forgets_begun", {"ran twice"}),
        ("sees_double", {"built twice"}),
    ],
)
async def test_control_without_a_protection_its_promise_is_broken(tmp_path, parent, protection, broken):
    program = (sys.executable, str(Path(__file__).parents[1] / "support" / f"{protection}.py"))
    found = set()
    for number in range(CONTROL_STORMS):
        if broken <= found:
            break
        found |= await _broken(tmp_path / str(number), parent, program, seed=number)
    assert broken <= found


async def _broken(folder, parent, program, *, seed: int) -> set[str]:
    """The promises that a storm over this program finds broken."""
    async with FakeGitHub(folder / "hosted") as hub, Receiver() as receiver:
        headgate = prepared(folder / "headgate", hub, receiver, parent=parent, program=program)
        storm = await _storm(headgate, hub, kills=CONTROL_KILLS, seed=seed)
        try:
            await headgate.stop()
            await headgate.start()  # what was recorded without anybody knowing is found at a start
            await settled(headgate.folder)
            await headgate.stop()
        finally:
            headgate.close()
        losses = storm.losses(receiver)
    print(f"{program[-1]}: { ({promise: len(which) for promise, which in losses.items()}) }")
    return set(losses)


async def _storm(headgate, hub, *, kills: int, seed: int) -> Storm:
    storm = Storm(headgate, hub, seed=seed)
    try:
        await headgate.start()
        await storm.begin()
        for _ in range(kills):
            await asyncio.sleep(storm.random.uniform(0.02, LIFE))
            await headgate.kill()
            await headgate.start()
        await storm.end()
    except BaseException:
        headgate.close()
        raise
    return storm
