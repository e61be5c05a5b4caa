"""Answers that have not changed are not sent twice, and nobody gets what another credential was given."""

from __future__ import annotations

import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import Bounds, bearer


def tagged(bodies):
    """Answers with the body of the path, its ETag, and 304 when the question knows it already."""

    def answer(request):
        tag = f'"{bodies[request.path]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        headers = {"ETag": tag, "Link": '<https://x/>; rel="last"'}
        return web.json_response([bodies[request.path]], headers=headers)

    return answer


async def test_a_304_gives_the_answer_that_was_kept(play):
    bodies = {"/x": "one"}
    played = await play(tagged(bodies))
    for _ in range(3):
        answer = await played.client.call("GET", "/x")
        assert (answer.status, answer.read(list), answer.headers["link"]) == (200, ["one"], '<https://x/>; rel="last"')
    assert played.host.metrics.statuses == ["2xx", "3xx", "3xx"]
    bodies["/x"] = "two"
    assert await played.client.get("/x", type=list) == ["two"]


async def test_a_date_does_as_well(play):
    date = "Mon, 05 Jan 2026 10:00:00 GMT"

    def answer(request):
        if request.headers.get("If-Modified-Since") == date:
            return web.Response(status=304)
        return web.json_response([1], headers={"Last-Modified": date})

    played = await play(answer)
    assert [await played.client.get("/x", type=list) for _ in range(2)] == [[1], [1]]
    assert played.host.metrics.statuses == ["2xx", "3xx"]


async def test_another_credential_query_or_header_asks_anew(play):
    token = "first-token"

    async def authorize(*, renew):
        return bearer(api.Secret(token))

    played = await play(tagged({"/x": "one"}), authorize=authorize)
    await played.client.call("GET", "/x")
    await played.client.call("GET", "/x", params={"page": 2})
    await played.client.call("GET", "/x", headers={"Accept": "text/plain"})
    token = "second-token"
    await played.client.call("GET", "/x")
    assert not [request for request in played.requests if "If-None-Match" in request.headers]


async def test_control_a_key_without_the_credential_would_share(play, monkeypatch):
    """Negative control."""
    from headgate.api.client.conditional import Kept

    monkeypatch.setattr(Kept, "key", lambda _, url, *__: url.encode())
    token = "first-token"

    async def authorize(*, renew):
        return bearer(api.Secret(token))

    played = await play(tagged({"/x": "one"}), authorize=authorize)
    await played.client.call("GET", "/x")
    token = "second-token"
    await played.client.call("GET", "/x")
    assert "If-None-Match" in played.requests[1].headers


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
async def test_only_get_is_conditional(play, method):
    played = await play(tagged({"/x": "one"}))
    await played.client.call(method, "/x")
    await played.client.call(method, "/x")
    assert "If-None-Match" not in played.requests[1].headers


async def test_what_may_not_be_stored_is_not(play):
    played = await play(lambda _: web.json_response([], headers={"ETag": '"a"', "Cache-Control": "private, no-store"}))
    for _ in range(2):
        await played.client.call("GET", "/x")
    assert "If-None-Match" not in played.requests[1].headers


@pytest.mark.parametrize("bounds", [Bounds(kept=2), Bounds(kept_bytes=200)])
async def test_what_is_kept_is_bounded_and_the_oldest_goes_first(play, bounds):
    """By number, and by bytes: each body here has about 25."""
    paths = [f"/{number}" for number in range(20)]
    played = await play(tagged({path: path[1:] * (20 // len(path[1:])) for path in paths}), bounds=bounds)
    for path in paths:
        await played.client.call("GET", path)
    kept = played.client._attempts._kept
    assert 0 < len(kept._answers) <= 8
    assert kept._bytes == sum(len(answer.body) for answer in kept._answers.values()) <= 200
    await played.client.call("GET", paths[-1])
    assert "If-None-Match" in played.requests[-1].headers
    await played.client.call("GET", paths[0])
    assert "If-None-Match" not in played.requests[-1].headers


async def test_one_large_answer_does_not_drive_out_all_others(play):
    played = await play(tagged({"/small": "s", "/large": "l" * 500}), bounds=Bounds(kept_bytes=1000))
    for path in ("/small", "/large", "/small"):
        await played.client.call("GET", path)
    assert "If-None-Match" in played.requests[-1].headers


async def test_a_304_that_nobody_asked_for_is_an_error(play):
    played = await play(lambda _: web.Response(status=304))
    with pytest.raises(api.ProviderError, match="304"):
        await played.client.call("GET", "/x")
