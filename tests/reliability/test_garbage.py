"""A server with little to do lets go of its garbage all the same."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from headgate.app import server


class Knot:
    """It refers to itself, so that only the collector can remove it."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def idle():
    """Nothing is allocated that would make Python collect by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_garbage_goes_by_the_clock(idle, monkeypatch):
    monkeypatch.setattr(server, "GARBAGE_SECONDS", 0.01)
    left = weakref.ref(Knot())
    assert left() is not None, "control: without the clock it stays"
    collecting = asyncio.create_task(server._collect_young_garbage())
    try:
        async with asyncio.timeout(5):
            while left() is not None:
                await asyncio.sleep(0.01)
    finally:
        collecting.cancel()
