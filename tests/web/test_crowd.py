"""A crowd of connections neither keeps a sender out nor takes the server's last open file."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import aiohttp
import pytest
import web_server
from live import Headgate, github_headers, github_push
from web_server import push_body, running_server

from headgate.web import server as server_module
from headgate.web.crowd import MOST, RESERVED, room


@pytest.fixture
async def narrow(tmp_path, monkeypatch):
    """A server with room for eight connections."""
    monkeypatch.setattr(server_module, "room", lambda: (8, 64))
    async with running_server(tmp_path, read_timeout=30) as running:
        yield running


async def crowd(port, count, said=b""):
    found = []
    for _ in range(count):
        found.append(await asyncio.open_connection("127.0.0.1", port))
        found[-1][1].write(said)
    return found


async def is_closed(connection, within=0.3):
    """Whether the server ends it in that time."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(within):
            return not await connection[0].read(1)
    return False


async def leave(*connections):
    for _, writer in connections:
        writer.close()


@pytest.mark.parametrize("said", [b"", b"POST /webhooks/acme HTTP/1.1\r\nHost: ci\r\n"])
async def test_who_is_silent_longest_makes_room_for_a_sender(narrow, said):
    silent = await crowd(narrow.port, 12, said)
    async with narrow.deliver(push_body()) as answer:
        assert answer.status == 202
    assert [await is_closed(one) for one in silent[:4]] == [True] * 4
    assert not await is_closed(silent[-1])
    await leave(*silent)


async def test_control_with_more_room_all_of_them_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "room", lambda: (10_000, 64))
    async with running_server(tmp_path, read_timeout=30) as running:
        silent = await crowd(running.port, 12)
        async with running.deliver(push_body()) as answer:
            assert answer.status == 202
        assert not any(await asyncio.gather(*(is_closed(one) for one in silent)))
        await leave(*silent)


async def test_a_request_under_way_is_not_what_makes_room(narrow):
    body = push_body()
    busy = await asyncio.open_connection("127.0.0.1", narrow.port)
    signed = {**web_server.github_headers(body), "Content-Length": str(len(body))}
    headers = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
    busy[1].write(f"POST /webhooks/acme HTTP/1.1\r\nHost: ci\r\n{headers}\r\n".encode() + body[:10])
    await asyncio.sleep(0.1)
    silent = await crowd(narrow.port, 20)
    busy[1].write(body[10:])
    async with asyncio.timeout(5):
        assert (await busy[0].readline()).startswith(b"HTTP/1.1 202 ")
    await leave(busy, *silent)


async def test_the_admins_socket_is_not_part_of_the_crowd(narrow):
    silent = await crowd(narrow.port, 12)
    async with narrow.local.get("http://headgate/api/v1/whoami") as answer:
        assert answer.status == 200
    await leave(*silent)


@pytest.mark.parametrize(
    ("files", "most", "waiting"),
    [(1024, 640, 128), (256, 16, 32), (65_536, MOST, 1024), (resource.RLIM_INFINITY, MOST, 1024)],
)
def test_how_much_room_there_is(files, most, waiting):
    assert room(files) == (most, waiting)
    if files > 2 * RESERVED:
        assert most + waiting + RESERVED <= files


CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {}}
"""


async def test_a_crowd_larger_than_the_files_we_may_open_ends_nobody(tmp_path):
    """It did: a thousand silent connections from anybody, and the server exited because it could open nothing."""
    server = Headgate(tmp_path / "headgate", CONFIG, "jobs: {}\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (768, hard))
    try:
        await server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    try:
        silent = await crowd(server.port, 1200)
        body = github_push("acme/web", "refs/heads/main", "a" * 40, "b" * 40)
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{server.url}/webhooks/hub", data=body, headers=github_headers(body)) as answer,
        ):
            assert answer.status == 202
        assert await server.json("builds") == []
        assert server.process is not None
        assert server.process.poll() is None
        await leave(*silent)
        assert await server.stop() == 0
    finally:
        server.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
