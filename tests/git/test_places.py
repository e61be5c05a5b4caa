"""Places at hosts: bounded, and never all taken by those that hang."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from headgate.git.places import Places


class Visits:
    """Those who came, and may go when told."""

    def __init__(self, places):
        self.places = places
        self.there = []
        self.most = 0
        self.go = asyncio.Event()

    async def visit(self, host):
        async with self.places.at(host):
            self.there.append(host)
            self.most = max(self.most, len(self.there))
            await self.go.wait()
            self.there.remove(host)

    async def settle(self):
        for _ in range(20):
            await asyncio.sleep(0)
        return sorted(self.there)


@pytest.fixture
async def visits():
    """Makes `Visits` and ends what is left of them."""
    async with AsyncExitStack() as stack:

        async def make(*hosts, **bounds):
            made = Visits(Places(**bounds))
            for host in hosts:
                task = asyncio.create_task(made.visit(host))
                stack.push_async_callback(asyncio.wait, [task])
                stack.callback(task.cancel)
            return made

        yield make


async def test_no_more_than_so_many_in_all_and_of_one_host(visits):
    made = await visits(*"aaaabbc", at_once=4, each=2, patience=60)
    assert await made.settle() == ["a", "a", "b", "b"]
    made.go.set()
    assert await made.settle() == []
    assert made.most == 4, "and all of them came"


@pytest.mark.parametrize(("patience", "others"), [(0.05, ["b"]), (3600, [])])
async def test_a_host_that_hangs_keeps_the_others_out_for_a_moment_only(visits, patience, others):
    """Negative control: whoever never gives a place back keeps all others out for ever."""
    made = await visits(*"aaaab", at_once=2, each=2, patience=patience)
    assert await made.settle() == ["a", "a"]
    await asyncio.sleep(0.2)
    assert await made.settle() == ["a", "a", *others], "and none of its own before its time"


async def test_who_was_slow_and_who_gave_up_leave_as_many_places_as_there_were(visits):
    made = await visits(*"aab", at_once=2, each=2, patience=0.02)
    await asyncio.sleep(0.1)
    tasks = [asyncio.create_task(made.visit("c")) for _ in range(3)]
    await made.settle()
    tasks[2].cancel()
    made.go.set()
    await asyncio.wait(tasks)
    assert await made.settle() == []
    made.go.clear()
    more = [asyncio.create_task(made.visit(host)) for host in "ddee"]
    assert len(await made.settle()) == 2
    for task in more:
        task.cancel()
    await asyncio.wait(more)


@pytest.mark.parametrize(("remembered", "there"), [(True, ["a", "b"]), (False, ["a"])])
async def test_a_host_that_hung_takes_no_place_of_the_others_again(visits, remembered, there):
    """Negative control: where it is forgotten, it holds up the others with each of its visits."""
    made = await visits("a", at_once=1, each=1, patience=0.1)
    await asyncio.sleep(0.2)
    made.go.set()
    await made.settle()
    made.go.clear()
    if not remembered:
        made.places._slow.clear()
    more = [asyncio.create_task(made.visit(host)) for host in "ab"]
    assert await made.settle() == there
    made.go.set()
    await asyncio.wait(more)
    assert not made.places._slow, "until one is done in time"
