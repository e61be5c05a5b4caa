"""Listings of every kind, to their end, on our origin only."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp import web

from headgate import api
from headgate.api.client import (
    Answer,
    Bounds,
    Dialect,
    Paging,
    continuation_token,
    link_header,
    next_in_body,
    next_page_header,
    page_start,
)
from headgate.api.client.addresses import BaseUrl

ALL = [{"id": number} for number in range(1, 8)]


class Item(msgspec.Struct):
    id: int


def chunk(number, size=3):
    """The page of this number, counted from 1, and whether there is another."""
    return ALL[(number - 1) * size : number * size], number * size < len(ALL)


def github(request):
    number = int(request.query.get("page", 1))
    items, more = chunk(number)
    link = f'<{request.url.origin()}/x?per_page=3&page={number + 1}>; rel="next", <{request.url.origin()}/x?page=9>; rel="last"'
    return web.json_response(items, headers={"Link": link} if more else {})


def gitlab(request):
    number = int(request.query.get("page", 1))
    items, more = chunk(number)
    return web.json_response(items, headers={"X-Next-Page": str(number + 1) if more else ""})


def bitbucket_cloud(request):
    number = int(request.query.get("page", 1))
    items, more = chunk(number)
    page = {"values": items, "pagelen": 3}
    return web.json_response(page | ({"next": f"{request.url.origin()}/x?page={number + 1}"} if more else {}))


def bitbucket_server(request):
    start = int(request.query.get("start", 0))
    items = ALL[start : start + 3]
    last = start + 3 >= len(ALL)
    return web.json_response({"values": items, "isLastPage": last, "nextPageStart": None if last else start + 3})


def azure(request):
    number = int(request.query.get("continuationToken", "t1")[1:])
    items, more = chunk(number)
    headers = {"x-ms-continuationtoken": f"t{number + 1}"} if more else {}
    return web.json_response({"count": len(items), "value": items}, headers=headers)


KINDS = [
    (github, Paging(next=link_header)),
    (gitlab, Paging(next=next_page_header())),
    (bitbucket_cloud, Paging(next=next_in_body, items="values")),
    (bitbucket_server, Paging(next=page_start, items="values")),
    (azure, Paging(next=continuation_token(), items="value")),
]


@pytest.mark.parametrize(("server", "paging"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
async def test_every_kind_is_read_to_its_end(play, server, paging):
    played = await play(server, dialect=Dialect(name="Played", paging=paging))
    got = [item async for item in played.client.pages("/x", type=Item, params={"state": "open", "per_page": 3})]
    assert got == [Item(one["id"]) for one in ALL]
    assert len(played.requests) == 3
    if isinstance(paging.next(Answer(what="", status=200, headers={"x-next-page": "2"}, body=b"{}")), dict):
        assert all(request.query["state"] == "open" for request in played.requests)


async def test_a_listing_can_differ_from_its_dialect(play):
    played = await play(lambda _: web.json_response({"items": ALL, "total_count": 7}))
    assert len([item async for item in played.client.pages("/search", type=Item, items="items")]) == 7


async def test_pages_are_fetched_only_as_they_are_wanted(play):
    played = await play(github)
    async for item in played.client.pages("/x", type=Item):
        if item.id == 2:
            break
    assert len(played.requests) == 1


async def test_a_next_link_elsewhere_is_refused_and_gets_no_credential(play):
    elsewhere = await play(lambda _: web.json_response(ALL))
    played = await play(lambda _: web.json_response(ALL, headers={"Link": f'<{elsewhere.url}/x>; rel="next"'}))
    with pytest.raises(api.ProviderError, match="leads away"):
        [item async for item in played.client.pages("/x", type=Item)]
    assert elsewhere.requests == []


async def test_control_without_the_check_the_link_is_followed_with_the_credential(play, monkeypatch):
    """Negative control."""
    from yarl import URL

    elsewhere = await play(lambda _: web.json_response([]))
    played = await play(lambda _: web.json_response(ALL, headers={"Link": f'<{elsewhere.url}/x>; rel="next"'}))
    monkeypatch.setattr(BaseUrl, "own", lambda _, link: URL(link))
    [item async for item in played.client.pages("/x", type=Item)]
    assert "s3cret" in elsewhere.requests[0].headers["Authorization"]


async def test_a_listing_in_a_circle_ends(play):
    played = await play(lambda request: web.json_response(ALL, headers={"Link": f'<{request.url}>; rel="next"'}))
    with pytest.raises(api.ProviderError, match="in a circle"):
        [item async for item in played.client.pages("/x", type=Item)]
    assert len(played.requests) == 1


async def test_a_listing_longer_than_the_bound_says_so(play):
    """It never ends as if it were complete."""

    def endless(request):
        number = int(request.query.get("page", 1)) + 1
        return web.json_response(ALL[:1], headers={"Link": f'<{request.url.origin()}/x?page={number}>; rel="next"'})

    played = await play(endless, bounds=Bounds(most_pages=4))
    with pytest.raises(api.ProviderError, match="more than 4 pages"):
        [item async for item in played.client.pages("/x", type=Item)]
    assert len(played.requests) == 4


async def test_a_page_without_its_items_is_an_error(play):
    played = await play(lambda _: web.json_response({"message": "?"}))
    with pytest.raises(api.ProviderError, match="it has no 'values'"):
        [item async for item in played.client.pages("/x", type=Item, items="values")]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('<https://h/x?a=1,2&b=3>; rel="next"', "https://h/x?a=1,2&b=3"),
        ("<https://h/x>; rel=next", "https://h/x"),
        ('<https://h/p>; rel="prev", <https://h/n>; title="a, b; c"; rel="next last"', "https://h/n"),
        ('<https://h/x>; rel="last"', None),
        ("", None),
        ("<<<<>>>>;;; rel=next", None),
    ],
)
def test_link_headers(link, target):
    assert link_header(Answer(what="", status=200, headers={"link": link}, body=b"")) == target
