"""What is tried again, how long in between, and when a failing host is left alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Bounds
from headgate.api.testing import NOW

OK = (200, [], {})


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_an_idempotent_call_is_made_again(play, in_turn, status, method):
    played = await play(in_turn(status, status, OK))
    assert (await played.client.call(method, "/x")).status == 200
    assert len(played.requests) == 3
    assert played.host.metrics.retries == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_another_is_made_once_unless_its_caller_says_that_it_is_idempotent(play, in_turn, method):
    played = await play(in_turn(503, OK))
    with pytest.raises(api.Unavailable):
        await played.client.call(method, "/x")
    assert len(played.requests) == 1
    again = await play(in_turn(503, OK))
    assert (await again.client.call(method, "/x", idempotent=True)).status == 200


@pytest.mark.parametrize("status", [400, 404, 409, 418, 500, 501])
async def test_what_would_fail_again_is_asked_once(play, in_turn, status):
    played = await play(in_turn(status, OK))
    with pytest.raises(api.ProviderError):
        await played.client.call("GET", "/x")
    assert len(played.requests) == 1


async def test_waits_double_up_to_a_bound_and_are_drawn_from_all_of_it(play, in_turn):
    bounds = Bounds(attempts=6, backoff=1.0, longest_backoff=5.0, failures=99)
    played = await play(in_turn(503), bounds=bounds)
    with pytest.raises(api.Unavailable):
        await played.client.call("GET", "/x")
    assert played.clock.sleeps == [1, 2, 4, 5, 5]
    drawn = await play(in_turn(503), bounds=bounds, draw=iter([0.0, 0.5, 0.25, 1.0, 0.0]).__next__)
    with pytest.raises(api.Unavailable):
        await drawn.client.call("GET", "/x")
    assert drawn.clock.sleeps == [0, 1, 1, 5, 0]


async def test_retry_after_of_a_503_is_honoured_when_it_is_short(play, in_turn):
    played = await play(in_turn((503, {}, {"Retry-After": "20"}), OK))
    await played.client.call("GET", "/x")
    assert played.clock.sleeps == [20]
    long = await play(in_turn((503, {}, {"Retry-After": "2000"}), OK))
    with pytest.raises(api.Unavailable):
        await long.client.call("GET", "/x")


async def test_a_connection_that_is_cut_before_an_answer_is_made_again(play):
    count = 0

    async def answer(request):
        nonlocal count
        count += 1
        if count < 3:
            request.transport.close()
        return web.json_response([])

    played = await play(answer)
    assert (await played.client.call("GET", "/x")).status == 200


async def test_a_server_that_is_not_there_is_unavailable_after_all_attempts(play):
    played = await play(lambda _: web.Response(), bounds=Bounds(attempts=3))
    await played.server.close()
    with pytest.raises(api.Unavailable, match="cannot be reached for GET /x"):
        await played.client.call("GET", "/x")
    assert played.host.metrics.statuses == ["none"] * 3


async def test_a_call_that_is_cancelled_while_it_waits_ends(play, in_turn):
    played = await play(in_turn(503))
    asleep = asyncio.Event()

    async def sleep(_):
        asleep.set()
        await asyncio.Event().wait()

    played.client._attempts._sleep = sleep
    call = asyncio.create_task(played.client.call("GET", "/x"))
    async with asyncio.timeout(10):
        await asleep.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(played.requests) == 1


BREAKER = Bounds(attempts=1, failures=3, rest=30.0)


async def fail(played, times):
    for _ in range(times):
        with pytest.raises(api.Unavailable):
            await played.client.call("GET", "/x")


async def test_after_failures_in_a_row_the_host_is_left_alone(play, in_turn):
    played = await play(in_turn(503), bounds=BREAKER)
    await fail(played, 3)
    with pytest.raises(
        api.Unavailable, match=r"left alone for 30 s after 3 failures, the last: it answered 503 to GET"
    ) as raised:
        await played.client.call("GET", "/other")
    assert raised.value.seconds == 30
    assert len(played.requests) == 3


async def test_control_without_the_breaker_it_is_asked_each_time(play, in_turn):
    """Negative control."""
    played = await play(in_turn(503), bounds=Bounds(attempts=1, failures=10**9))
    await fail(played, 9)
    assert len(played.requests) == 9


async def test_an_answer_between_failures_keeps_it_closed(play, in_turn):
    """Also one that is an error of ours: the host is there."""
    played = await play(in_turn(503, 503, 404, 503, 503, OK), bounds=BREAKER)
    await fail(played, 2)
    with pytest.raises(api.NotFound):
        await played.client.call("GET", "/x")
    await fail(played, 2)
    assert (await played.client.call("GET", "/x")).status == 200


async def test_after_its_rest_one_request_tries_and_its_success_closes(play):
    gate, healthy = asyncio.Event(), False

    async def answer(_):
        if healthy:
            await gate.wait()
        return web.json_response([], status=200 if healthy else 503)

    played = await play(answer, bounds=BREAKER)
    await fail(played, 3)
    played.clock.seconds, healthy = 31, True
    trial = asyncio.create_task(played.client.call("GET", "/trial"))
    async with asyncio.timeout(10):
        while len(played.requests) < 4:
            await asyncio.sleep(0)
    with pytest.raises(api.Unavailable, match="until the request that tries it is back"):
        await played.client.call("GET", "/other")
    gate.set()
    assert (await trial).status == 200
    assert (await played.client.call("GET", "/other")).status == 200


async def test_a_failed_trial_leaves_it_alone_again(play, in_turn):
    played = await play(in_turn(503), bounds=BREAKER)
    await fail(played, 3)
    played.clock.seconds = 31
    await fail(played, 2)
    assert len(played.requests) == 4


async def test_a_cancelled_trial_lets_the_next_one_try(play):
    gate, healthy = asyncio.Event(), False

    async def answer(_):
        if healthy:
            await gate.wait()
        return web.json_response([], status=200 if healthy else 503)

    played = await play(answer, bounds=BREAKER)
    await fail(played, 3)
    played.clock.seconds, healthy = 31, True
    trial = asyncio.create_task(played.client.call("GET", "/trial"))
    async with asyncio.timeout(10):
        while len(played.requests) < 4:
            await asyncio.sleep(0)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    gate.set()
    assert (await played.client.call("GET", "/x")).status == 200


async def test_a_rate_limit_opens_no_breaker(play, in_turn):
    played = await play(in_turn((429, {}, {"Retry-After": "100"})), bounds=BREAKER)
    for _ in range(5):
        with pytest.raises(api.RateLimited) as caught:
            await played.client.call("GET", "/x")
    assert caught.value.retry_at == NOW + timedelta(seconds=100)
