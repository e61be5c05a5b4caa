"""One request and its answer: only to the base URL, all of it or nothing, read into the caller's shape."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Bounds, Dialect, wire

TOKEN = "s3cret-t0ken"


class User(msgspec.Struct):
    login: str


class Coloured(msgspec.Struct):
    colour: Literal["red", "green"]


async def test_an_answer_is_read_into_the_callers_shape(play):
    played = await play(lambda _: web.json_response({"login": "ada", "more": 1}), prefix="/api/v4")
    assert await played.client.get("/user", type=User, params={"all": True, "n": 3, "x[]": ["a", "b"]}) == User("ada")
    (request,) = played.requests
    assert request.path == "/api/v4/user"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Accept"] == "application/json"
    assert (request.query["all"], request.query["n"]) == ("true", "3")
    assert request.query.getall("x[]") == ["a", "b"]


async def test_what_is_written_is_json_and_each_verb_has_its_method(play):
    played = await play(lambda request: web.json_response({"login": request.method}))
    client = played.client
    got = [
        await client.post("/x", {"a": 1}, type=User),
        await client.put("/x", {"a": 2}, type=User),
        await client.patch("/x", {"a": 3}, type=User),
    ]
    await client.delete("/x")
    assert [one.login for one in got] == ["POST", "PUT", "PATCH"]
    assert played.bodies == [b'{"a":1}', b'{"a":2}', b'{"a":3}', b""]
    assert played.requests[0].headers["Content-Type"] == "application/json"
    answer = await client.call("POST", "/raw", content=b"\0\1", headers={"Content-Type": "application/octet-stream"})
    assert (answer.status, played.bodies[-1]) == (200, b"\0\1")


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b'{"login": 7}', api.ProviderError, r"not of the form expected.*\$\.login"),
        (b'{"name": "ada"}', api.ProviderError, "`login`"),
        (b"<html>", api.ProviderError, "not JSON"),
        (b"", api.Unavailable, "ends in the middle"),
        (b'{"login": "a', api.Unavailable, "ends in the middle"),
        (b'{"x": ' + b"[" * 100_000, api.ProviderError, "not JSON"),
        (b'{"login": "\xff"}', api.ProviderError, "not JSON"),
    ],
)
async def test_a_shape_that_does_not_fit_is_a_clear_error(play, body, error, words):
    played = await play(lambda _: web.Response(body=body))
    with pytest.raises(error, match=words) as caught:
        await played.client.get("/user", type=User)
    assert type(caught.value) is error
    assert "GET /user" in str(caught.value)


async def test_a_value_that_does_not_fit_is_not_repeated(play):
    played = await play(lambda _: web.json_response({"colour": "s3cret-t0ken"}))
    with pytest.raises(api.ProviderError, match=r"\$\.colour") as caught:
        await played.client.get("/x", type=Coloured)
    assert "s3cret" not in str(caught.value)


async def test_a_prefix_is_taken_off_before_reading(play):
    played = await play(lambda _: web.Response(body=b")]}'\n[1, 2]"), dialect=Dialect(name="Played", prefix=b")]}'\n"))
    assert await played.client.get("/x", type=list[int]) == [1, 2]


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_longer_than_the_bound_is_not_read_to_its_end(play, packed):
    """Also one that is small on the wire and large unpacked."""
    body = b"[" + b" " * 5_000_000 + b"]"

    def answer(_):
        headers = {"Content-Encoding": "gzip"} if packed else {}
        return web.Response(body=gzip.compress(body) if packed else body, headers=headers)

    played = await play(answer, bounds=Bounds(most_bytes=1_000_000))
    with pytest.raises(api.Unavailable, match="longer than 1000000 bytes"):
        await played.client.get("/x", type=Any)
    assert len(played.requests) == 1  # asking again would bring the same
    control = await play(answer)
    assert await control.client.get("/x", type=list) == []


async def test_a_body_that_is_broken_off_is_never_taken_for_whole(play):
    """Content-Length promised more; cut where it still is JSON."""

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"[1, 2, 3]")
        request.transport.close()
        return response

    played = await play(answer, bounds=Bounds(attempts=3))
    with pytest.raises(api.Unavailable, match="broke off its answer to GET /x"):
        await played.client.get("/x", type=list)
    assert len(played.requests) == 3


async def test_a_slow_answer_is_given_up_in_time(play):
    release = asyncio.Event()

    async def answer(_):
        await release.wait()
        return web.Response()

    played = await play(answer, bounds=Bounds(whole=0.2, attempts=1))
    with pytest.raises(api.Unavailable, match="did not answer GET /x in time"):
        await played.client.get("/x", type=list)
    assert played.host.metrics.statuses == ["none"]
    release.set()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_takes_no_credential_along(play, status):
    elsewhere = await play(lambda _: web.json_response({"login": "mallory"}))
    played = await play(
        lambda _: web.Response(status=status, headers={"Location": elsewhere.url + "/user"}), bounds=Bounds(attempts=1)
    )
    with pytest.raises(api.NotFound, match="redirects are not followed"):
        await played.client.get("/user", type=User)
    assert elsewhere.requests == []


async def test_control_a_session_that_follows_redirects_does_not_stop_there(play, monkeypatch):
    """Negative control: with redirects on, the same answer leads to the other server."""
    elsewhere = await play(lambda _: web.json_response({"login": "mallory"}))
    played = await play(lambda _: web.Response(status=307, headers={"Location": elsewhere.url + "/user"}))
    request = played.host.http.request
    monkeypatch.setattr(
        played.host.http, "request", lambda *args, **options: request(*args, **{**options, "allow_redirects": True})
    )
    assert await played.client.get("/user", type=User) == User("mallory")
    assert len(elsewhere.requests) == 1


async def test_at_most_so_many_requests_are_under_way_at_once(play):
    under_way, most, gate = 0, 0, asyncio.Event()

    async def answer(_):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if most == 3:
            gate.set()
        await gate.wait()
        under_way -= 1
        return web.json_response([])

    played = await play(answer, bounds=Bounds(concurrency=3))
    await asyncio.gather(*(played.client.get("/x", type=list) for _ in range(20)))
    assert most == 3
    assert len(played.requests) == 20


async def test_cancelled_callers_leave_no_slot_taken(play):
    gate = asyncio.Event()

    async def answer(_):
        await gate.wait()
        return web.json_response([])

    played = await play(answer, bounds=Bounds(concurrency=2))
    callers = [asyncio.create_task(played.client.get("/x", type=list)) for _ in range(6)]
    async with asyncio.timeout(10):
        while len(played.requests) < 2:
            await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    assert all(
        isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*callers, return_exceptions=True)
    )
    gate.set()
    assert await asyncio.gather(*(played.client.get("/y", type=list) for _ in range(4))) == [[]] * 4


async def test_calls_are_counted_by_class_of_status(play, in_turn):
    played = await play(in_turn((200, [], {}), 404, 503, (200, [], {})))
    await played.client.get("/x", type=list)
    with pytest.raises(api.NotFound):
        await played.client.get("/x", type=list)
    await played.client.get("/x", type=list)
    assert played.host.metrics.statuses == ["2xx", "4xx", "5xx", "2xx"]
    assert played.host.metrics.retries == 1


def test_only_one_module_uses_the_session():
    """What is not in `wire.py` cannot forget a bound."""
    modules = Path(wire.__file__).parent.glob("*.py")
    assert [path.name for path in modules if "session.request(" in path.read_text()] == ["wire.py"]
