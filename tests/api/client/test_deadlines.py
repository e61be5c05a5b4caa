"""A call that somebody awaits ends before they give up: a host's silence is told as such, and is nobody's fault here."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Bounds, attempts
from headgate.plugins.guard import Fault, lone_guard


async def hang(_):
    await asyncio.Event().wait()


@pytest.fixture(params=[True, False], ids=["told", "control"])
def told(request, monkeypatch):
    """Whether the client knows until when it is awaited; in the control it does not."""
    if not request.param:
        monkeypatch.setattr(attempts, "seconds_left", lambda: None)
    return request.param


async def test_a_host_that_hangs_is_unavailable_and_opens_no_circuit_of_its_provider(play, told):
    """Negative control: without the deadline it is a fault of the plugin, and three of them shut all its connections out."""
    played, guard = await play(hang, handler_cancellation=True), lone_guard()
    calls = [guard.call("report_status", lambda: played.client.get("/x", type=dict), within=2.5) for _ in range(3)]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(end) for end in ends} == {api.Unavailable if told else Fault}
    assert guard.is_open("report_status") is not told


async def test_a_limit_is_not_waited_for_longer_than_the_answer_is(play, told):
    """Negative control: it is waited for, again and again, for longer than anybody waits."""

    async def limited(_):
        return web.json_response({}, status=429, headers={"Retry-After": "20"})

    played = await play(limited)
    with api.due_within(15), pytest.raises(api.RateLimited):
        await played.client.get("/x", type=dict)
    assert sum(played.clock.sleeps) == 0 if told else sum(played.clock.sleeps) > 15


async def test_who_gets_no_turn_in_time_is_told(play, told):
    """Negative control: it waits behind the others until it is given up."""
    played = await play(hang, handler_cancellation=True, bounds=Bounds(concurrency=1))
    first = asyncio.create_task(played.client.get("/x", type=dict))
    await asyncio.sleep(0.1)
    with pytest.raises(api.Unavailable if told else Fault, match="turn" if told else "took longer"):
        await lone_guard().call("report_status", lambda: played.client.get("/y", type=dict), within=2.5)
    first.cancel()
    await asyncio.wait([first])


async def test_a_host_is_not_judged_by_what_it_had_no_time_for(play):
    played = await play(hang, handler_cancellation=True, bounds=Bounds(failures=1))
    for _ in range(2):
        with api.due_within(2), pytest.raises(api.Unavailable, match="did not answer"):
            await played.client.get("/x", type=dict)


async def test_the_nearest_end_counts_and_what_outlives_it_has_its_own_time():
    assert api.seconds_left() is None
    with api.due_within(0.05):
        with api.due_within(60):
            assert api.seconds_left() <= 0.05
        outlives = asyncio.create_task(asyncio.sleep(0.1, None))
        outlives.add_done_callback(lambda _: seen.append(api.seconds_left()))
        seen = []
    await outlives
    await asyncio.sleep(0)
    assert seen == [None]
    assert api.seconds_left() is None
