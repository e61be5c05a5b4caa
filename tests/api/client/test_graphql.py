"""GraphQL, where an error comes with 200."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web

from headgate import api
from headgate.api.testing import NOW
from headgate_plugins.github.client import DIALECT as GITHUB


class Viewer(msgspec.Struct):
    login: str


class Data(msgspec.Struct):
    viewer: Viewer


DATA = {"viewer": {"login": "ada"}}
QUERY = "query($n: Int) { viewer { login } }"


async def test_a_query_gives_its_data(play):
    played = await play(lambda _: web.json_response({"data": DATA}), prefix="/api/v3")
    assert await played.client.graphql(QUERY, {"n": 1}, type=Data) == Data(Viewer("ada"))
    assert json.loads(played.bodies[0]) == {"query": QUERY, "variables": {"n": 1}}
    assert played.requests[0].path == "/api/v3/graphql"
    await played.client.graphql(QUERY, type=Data, path=played.url + "/api/graphql")
    assert played.requests[1].path == "/api/graphql"


async def test_it_never_leaves_the_origin(play):
    played = await play(lambda _: web.json_response({"data": DATA}))
    with pytest.raises(api.ProviderError, match="leads away"):
        await played.client.graphql(QUERY, type=Data, path="https://evil.example/graphql")


async def test_a_query_is_made_again_and_a_mutation_is_not(play, in_turn):
    played = await play(in_turn(503, (200, {"data": DATA}, {})))
    assert await played.client.graphql(QUERY, type=Data) == Data(Viewer("ada"))
    mutation = await play(in_turn(503, (200, {"data": DATA}, {})))
    with pytest.raises(api.Unavailable):
        await mutation.client.graphql("mutation { x }", type=Data, idempotent=False)


@pytest.mark.parametrize(
    ("types", "error"),
    [
        (["NOT_FOUND"], api.NotFound),
        (["FORBIDDEN"], api.Refused),
        (["INSUFFICIENT_SCOPES"], api.Refused),
        (["RATE_LIMITED"], api.RateLimited),
        (["SOMETHING", "NOT_FOUND"], api.NotFound),
        (["SOMETHING"], api.ProviderError),
        ([None], api.ProviderError),
    ],
)
async def test_errors_have_their_meaning_also_beside_data(play, types, error):
    errors = [{"message": f"about {TOKEN}"} | ({"type": one} if one else {}) for one in types]
    played = await play(lambda _: web.json_response({"data": DATA, "errors": errors}))
    with pytest.raises(error, match="about") as caught:
        await played.client.graphql(QUERY, type=Data)
    assert type(caught.value) is error
    assert TOKEN not in str(caught.value)


TOKEN = "s3cret-t0ken"


async def test_its_rate_limit_says_when_it_ends(play):
    reset = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 900)}
    body = {"errors": [{"type": "RATE_LIMITED", "message": "enough"}]}
    played = await play(lambda _: web.json_response(body, headers=reset), dialect=GITHUB)
    with pytest.raises(api.RateLimited) as caught:
        await played.client.graphql(QUERY, type=Data)
    assert caught.value.retry_at == NOW + timedelta(seconds=900)
