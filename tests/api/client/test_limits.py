"""Rate limits: short ones are waited for, long ones told with their end, and little is asked when little is left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import (
    Answer,
    Bounds,
    Dialect,
    RateLimits,
    budget_headers,
    near_header,
    retry_after,
)
from headgate.api.testing import NOW
from headgate_plugins.github.client import DIALECT as GITHUB


def epoch(seconds):
    return str(int((NOW + timedelta(seconds=seconds)).timestamp()))


def http_date(seconds):
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


OK = (200, [], {})


@pytest.mark.parametrize("form", [str, http_date])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_short_retry_after_is_waited_for(play, in_turn, form, method):
    """In both its forms, and for every method: what was refused was not done."""
    played = await play(in_turn((429, {}, {"Retry-After": form(7)}), OK), draw=lambda: 0.0)
    assert (await played.client.call(method, "/x")).status == 200
    assert sum(played.clock.sleeps) == 7
    assert played.host.metrics.waits == [7]


@pytest.mark.parametrize("form", [str, http_date])
async def test_a_long_one_is_told_with_its_end(play, in_turn, form):
    played = await play(in_turn((429, {"message": "slow down"}, {"Retry-After": form(600)}), OK))
    with pytest.raises(api.RateLimited, match="slow down") as caught:
        await played.client.call("GET", "/x")
    assert caught.value.retry_at == NOW + timedelta(seconds=600)
    assert played.clock.sleeps == []


async def test_while_a_limit_lasts_nobody_asks_again(play, in_turn):
    """Asking on while limited is what gets an account banned."""
    played = await play(in_turn((429, {}, {"Retry-After": "600"}), OK))
    for _ in range(3):
        with pytest.raises(api.RateLimited) as caught:
            await played.client.call("GET", "/y")
        assert caught.value.retry_at == NOW + timedelta(seconds=600)
    assert len(played.requests) == 1
    played.clock.seconds = 601
    assert (await played.client.call("GET", "/y")).status == 200


async def test_without_patience_nothing_is_waited_for(play, in_turn):
    played = await play(in_turn((429, {}, {"Retry-After": "1"}), OK))
    with pytest.raises(api.RateLimited):
        await played.client.call("POST", "/x", patience=0)
    assert played.clock.sleeps == []


async def test_a_host_that_only_ever_limits_is_not_asked_for_ever(play, in_turn):
    played = await play(in_turn((429, {}, {"Retry-After": "1"})), bounds=Bounds(attempts=4))
    with pytest.raises(api.RateLimited):
        await played.client.call("GET", "/x")
    assert len(played.requests) == 4


SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait."}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((403, {}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": epoch(900)}), 900),
        ((429, {}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": epoch(900)}), 900),
        ((403, SECONDARY, {"Retry-After": "120"}), 120),
        ((403, SECONDARY, {"x-ratelimit-remaining": "4000", "x-ratelimit-reset": epoch(900)}), 60),
        ((403, {"message": "You have triggered an abuse detection mechanism."}, {}), 60),
        ((429, {}, {"Retry-After": "soon"}), 60),
        ((429, {}, {"Retry-After": "9999999999"}), 7200),
        ((403, {}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 30, "Retry-After": "90"}), 90),
    ],
)
async def test_githubs_primary_and_secondary_limits(play, in_turn, answer, seconds):
    played = await play(in_turn(answer), dialect=GITHUB)
    with pytest.raises(api.RateLimited) as caught:
        await played.client.call("GET", "/user")
    assert caught.value.retry_at == NOW + timedelta(seconds=seconds)


async def test_a_403_that_is_no_limit_is_refused(play, in_turn):
    headers = {"x-ratelimit-remaining": "4999", "x-ratelimit-reset": epoch(900)}
    played = await play(in_turn((403, {"message": "Resource not accessible"}, headers)), dialect=GITHUB)
    with pytest.raises(api.Refused):
        await played.client.call("GET", "/user")


async def test_a_spent_budget_closes_its_resource_and_no_other(play):
    def answer(request):
        left = "0" if request.path.startswith("/search") else "4000"
        return web.json_response([], headers={"x-ratelimit-remaining": left, "x-ratelimit-reset": epoch(300)})

    played = await play(answer, dialect=GITHUB)
    await played.client.call("GET", "/search/issues")
    with pytest.raises(api.RateLimited, match="used up") as caught:
        await played.client.call("GET", "/search/issues")
    assert caught.value.retry_at == NOW + timedelta(seconds=300)
    await played.client.call("GET", "/user")
    assert len(played.requests) == 2


async def test_a_secondary_limit_closes_everything(play, in_turn):
    played = await play(in_turn((403, SECONDARY, {"Retry-After": "300"}), OK), dialect=GITHUB)
    for path in ("/search/issues", "/user"):
        with pytest.raises(api.RateLimited):
            await played.client.call("GET", path)
    assert len(played.requests) == 1


class Counted:
    """A provider with a budget of `left`, that counts how many requests came too many and how many at once."""

    def __init__(self, left):
        self.left, self.over, self.under_way, self.most = left, 0, 0, 0

    async def __call__(self, request):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        self.over += self.left <= 0
        self.left -= 1
        headers = {"x-ratelimit-remaining": str(max(self.left, 0)), "x-ratelimit-reset": epoch(600)}
        return web.json_response([], status=429 if self.left < 0 else 200, headers=headers)


async def drain(play, provider, bounds):
    played = await play(provider.__call__, dialect=GITHUB, bounds=bounds)
    await played.client.call("GET", "/first")
    calls = (played.client.call("GET", f"/{number}") for number in range(20))
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [one for one in results if isinstance(one, api.RateLimited)]


async def test_near_the_limit_requests_queue_and_none_is_too_many(play):
    provider = Counted(6)
    limited = await drain(play, provider, Bounds(concurrency=5))
    assert (provider.over, provider.most, len(limited)) == (0, 1, 15)


async def test_control_without_the_queue_the_budget_is_overdrawn(play, monkeypatch):
    """Negative control."""
    from headgate.api.client import throttle

    monkeypatch.setattr(throttle._Lane, "is_near", lambda *_: False)
    provider = Counted(6)
    await drain(play, provider, Bounds(concurrency=5))
    assert provider.over > 0


async def test_far_from_the_limit_requests_go_side_by_side(play):
    provider = Counted(1000)
    assert await drain(play, provider, Bounds(concurrency=5)) == []
    assert provider.most == 5


async def test_a_wish_to_wait_beside_a_success_is_granted(play, in_turn):
    """Azure DevOps delays those who do not."""
    played = await play(in_turn((200, [], {"Retry-After": "5"}), OK))
    await played.client.call("GET", "/x")
    await played.client.call("GET", "/x")
    assert played.clock.sleeps == [5]


async def test_a_cancelled_caller_leaves_the_queue(play):
    gate = asyncio.Event()

    async def answer(request):
        if request.path == "/held":
            await gate.wait()
        return web.json_response([], headers={"x-ratelimit-remaining": "3", "x-ratelimit-reset": epoch(600)})

    played = await play(answer, dialect=GITHUB)
    await played.client.call("GET", "/first")
    held = asyncio.create_task(played.client.call("GET", "/held"))
    async with asyncio.timeout(10):
        while len(played.requests) < 2:
            await asyncio.sleep(0)
    waiting = asyncio.create_task(played.client.call("GET", "/waiting"))
    await asyncio.sleep(0)
    held.cancel()
    assert (await waiting).status == 200
    gate.set()


GITLAB = budget_headers(remaining="ratelimit-remaining", reset="ratelimit-reset")
SERVER = budget_headers(remaining="x-ratelimit-remaining", reset="x-ratelimit-interval-seconds", in_seconds=True)


def test_what_headers_say_is_left():
    gitlab = GITLAB({"ratelimit-remaining": "12", "ratelimit-reset": epoch(30)}, NOW)
    assert (gitlab.remaining, gitlab.reset_at) == (12, NOW + timedelta(seconds=30))
    server = SERVER({"x-ratelimit-remaining": "0", "x-ratelimit-interval-seconds": "5"}, NOW)
    assert (server.remaining, server.reset_at) == (0, NOW + timedelta(seconds=5))
    near = near_header("x-ratelimit-nearlimit")
    assert near({"x-ratelimit-nearlimit": "true"}, NOW).near
    assert not near({"x-ratelimit-nearlimit": "false"}, NOW).near
    for reader in (GITLAB, SERVER, near):
        assert reader({}, NOW) is None
    assert GITLAB({"ratelimit-remaining": "many", "ratelimit-reset": "-1"}, NOW) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        (" 7 ", 7),
        (http_date(60), 60),
        (http_date(-60), None),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_has_two_forms(text, seconds):
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert retry_after({"retry-after": text}, NOW) == expected


def test_a_status_that_may_be_a_limit_is_one_only_when_something_says_so():
    limits = RateLimits(sometimes=frozenset({403}))
    answer = Answer(what="", status=403, headers={}, body=b"")
    assert limits.ends_at(answer, "forbidden", NOW) is None
    assert limits.ends_at(answer, "API Rate Limit exceeded", NOW) == NOW + timedelta(minutes=1)


async def test_a_dialect_without_limits_still_knows_429(play, in_turn):
    played = await play(in_turn(429), dialect=Dialect(name="Plain"))
    with pytest.raises(api.RateLimited) as caught:
        await played.client.call("GET", "/x")
    assert caught.value.retry_at == NOW + timedelta(minutes=1)
