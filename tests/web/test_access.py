"""Access: every route is closed without a token, and no route can be forgotten."""

from __future__ import annotations

import asyncio
import re
import socket
import stat
from datetime import UTC, datetime

import pytest
import uvloop
from web_server import running_server

from headgate import api
from headgate.storage import tokens
from headgate.web import routes
from headgate.web.access import PERMISSIONS, Actor, ensure_admin_token
from headgate.web.routes import MAY_BE_OPEN, OPEN, Route, RouteTable, check_route, json_reply

PATH = {"build": "b_" + "0" * 26, "delivery": "d_" + "0" * 26, "notification": "n_" + "0" * 26, "job": "nothing"}


async def nothing(_):
    return json_reply({})


def guarded(app):
    return [route for route in app.table.routes if route.permission != OPEN]


def address(route):
    path = re.sub(r"\{(\w+)(:path)?\}", lambda match: PATH.get(match[1], "x"), route.path)
    required = {"/api/v1/explain": f"?job=web&sha={'a' * 40}"}
    return path + required.get(path, "")


def with_plugin(parts):
    async def moon(_):
        return api.RouteResponse(body=b"full")

    parts.routes = (("moon", api.RouteKind(name="now", summary="Moon", permission="jobs:read", answer=moon)),)


@pytest.fixture
async def server(tmp_path):
    async with running_server(tmp_path, change=with_plugin) as running:
        yield running


async def ask(server, route, headers):
    async with server.client.request(route.method, server.url + address(route), headers=headers) as answer:
        return answer.status


async def test_every_route_but_the_declared_open_ones_is_401_without_a_valid_token(server):
    closed = guarded(server.app)
    assert len(closed) > 25
    assert {route.path for route in server.app.table.routes if route.permission == OPEN} == MAY_BE_OPEN
    for headers in (
        {},
        {"Authorization": "Bearer hg_" + "A" * 43},
        {"Authorization": f"Basic {server.admin}"},
        {"Authorization": server.admin},
        {"Authorization": f"Bearer {server.admin}x"},
        {"Authorization": f"Bearer {server.admin[:-1]}"},
        {"Authorization": "Bearer "},
        [("Authorization", f"Bearer {server.admin}"), ("Authorization", f"Bearer {server.admin}")],
    ):
        for route in closed:
            assert await ask(server, route, headers) in {400, 401} - ({400} if isinstance(headers, dict) else set())


async def test_every_route_needs_its_own_permission_and_no_other(server):
    closed = guarded(server.app)
    everything_else = {
        permission: await server.parts.token(
            *[
                other
                for other in sorted(PERMISSIONS)
                if other not in {permission, "admin", permission.replace(":read", ":write")}
            ]
        )
        for permission in {route.permission for route in closed} - {"self:read"}
    }
    only = {permission: await server.parts.token(permission) for permission in {route.permission for route in closed}}
    for route in closed:
        bearer = {"Authorization": f"Bearer {only[route.permission]}"}
        assert await ask(server, route, bearer) not in {401, 403}, route
        if route.permission != "self:read":
            other = {"Authorization": f"Bearer {everything_else[route.permission]}"}
            assert await ask(server, route, other) == 403, route


async def test_the_open_routes_answer_anybody(server):
    for path in ("/health", "/ready"):
        async with server.client.get(server.url + path) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("permission", "path", "method", "words"),
    [
        ("", "/api/v1/new", "GET", "declares no permission"),
        (None, "/api/v1/new", "GET", "declares no permission"),
        ("builds:destroy", "/api/v1/new", "GET", "declares no permission"),
        (OPEN, "/api/v1/new", "GET", "must not be open"),
        ("builds:read", "/api/v1/new", "POST", "does not go with"),
        ("builds:write", "/api/v1/new", "GET", "does not go with"),
    ],
)
def test_a_route_without_a_fitting_permission_is_refused_at_start(permission, path, method, words):
    route = Route(method=method, path=path, answer=nothing, permission=permission, summary="New", tag="x")
    with pytest.raises(ValueError, match=words):
        RouteTable([route])


async def test_without_that_check_an_open_route_would_be_served_to_anybody(tmp_path, monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr(routes, "check_route", lambda _: None)
    async with running_server(tmp_path) as server:
        server.app.table = RouteTable(
            [Route(method="GET", path="/api/v1/new", answer=nothing, permission=OPEN, summary="New", tag="x")]
        )
        async with server.client.get(server.url + "/api/v1/new") as answer:
            assert answer.status == 200


def test_a_path_is_declared_once():
    route = Route(method="GET", path="/api/v1/new", answer=nothing, permission="jobs:read", summary="New", tag="x")
    check_route(route)
    with pytest.raises(ValueError, match="twice"):
        RouteTable([route, route])


async def test_a_plugins_open_route_is_refused_alone(tmp_path):
    async def answer(_):
        return api.RouteResponse(body=b"hello")

    def change(parts):
        good = api.RouteKind(name="good", summary="Good", permission="jobs:read", answer=answer)
        bad = api.RouteKind(name="bad", summary="Bad", permission="open", answer=answer)
        parts.routes = (("moon", bad), ("moon", good))

    async with running_server(tmp_path, change=change) as server:
        async with server.get("/plugins/moon/good") as answered:
            assert (answered.status, await answered.text()) == (200, "hello")
            assert "sandbox" in answered.headers["Content-Security-Policy"]
        async with server.get("/plugins/moon/bad") as answered:
            assert answered.status == 404
        (component,) = server.parts.health.report().components
        assert (component.name, component.status) == ("plugin routes", "degraded")
        assert "moon/bad" in component.reason


async def test_the_first_start_makes_one_admin_token_and_keeps_its_hash_only(server):
    assert await ensure_admin_token(server.parts.database, datetime.now(UTC)) is None
    async with server.parts.database.reading() as connection:
        (record,) = await tokens.list(connection)
    assert record.permissions == ("admin",)
    assert server.admin not in repr(record)
    async with server.get("/api/v1/whoami") as answer:
        assert await answer.json() == {"name": "admin", "via": "token", "permissions": ["admin"]}
    raw = b"".join(path.read_bytes() for path in server.parts.settings.data.glob("headgate.db*"))
    assert server.admin.encode() not in raw
    assert record.hash.encode() in raw


async def test_a_removed_token_is_refused_at_once_and_use_is_noted(server):
    async with server.get("/api/v1/whoami") as answer:
        assert answer.status == 200
    async with server.parts.database.reading() as connection:
        (record,) = await tokens.list(connection)
    assert record.last_used_at is not None

    async def remove(connection):
        await tokens.remove(connection, "admin")

    await server.parts.database.writer.write(remove)
    async with server.get("/api/v1/whoami") as answer:
        assert answer.status == 401


async def test_the_unix_socket_is_the_local_admin_and_only_its_owner_can_open_it(server):
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
    async with server.local.get("http://local/api/v1/whoami") as answer:
        assert answer.status == 200
        who = await answer.json()
    assert who["via"] == "socket"
    assert who["permissions"] == ["admin"]


def test_the_same_under_uvloop_which_serves_in_earnest(tmp_path):
    async def ask_both_ways():
        async with running_server(tmp_path) as server:
            async with server.local.get("http://local/api/v1/whoami") as answer:
                assert (answer.status, (await answer.json())["via"]) == (200, "socket")
            async with server.client.get(server.url + "/api/v1/whoami") as answer:
                assert answer.status == 401
            assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask_both_ways())


async def test_a_socket_file_left_by_a_killed_server_is_replaced_and_removed_at_the_end(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "headgate.sock"))
    async with running_server(tmp_path) as server, server.local.get("http://local/health") as answer:
        assert answer.status == 200
    assert not (tmp_path / "headgate.sock").exists()


def test_write_includes_read_and_admin_everything():
    writer = Actor(name="x", permissions=frozenset({"builds:write"}), via="token")
    assert writer.may("builds:read")
    assert not writer.may("deliveries:read")
    assert not Actor(name="x", permissions=frozenset({"builds:read"}), via="token").may("builds:write")
    assert all(Actor(name="x", permissions=frozenset({"admin"}), via="token").may(one) for one in PERMISSIONS)
