"""Followers of streams keep no one else out: they are so many at most, and none that reads nothing stays."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from headgate.web import sse
from headgate.web.problems import Refusal
from headgate.web.sse import Streams


@pytest.fixture
def serve(aiohttp_server):
    """Starts a server whose every answer is a stream of `chunk` without end."""

    async def start(streams, chunk):
        async def endless():
            while True:
                yield chunk
                await asyncio.sleep(0.001)

        async def answer(request):
            try:
                return await streams.send(request, endless())
            except Refusal as refused:
                return web.Response(status=refused.status, headers=refused.headers)

        app = web.Application()
        app.router.add_get("/", answer)
        return await aiohttp_server(app)

    return start


async def follow(server):
    """A follower that reads the head of its answer and nothing more: its status, and what to close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    return int(head.split(b" ")[1]), writer


@pytest.mark.parametrize(("most", "statuses"), [(2, [200, 200, 503]), (3, [200, 200, 200])])
async def test_one_stream_too_many_is_refused(serve, most, statuses):
    """Negative control: where there may be more of them, it is let in."""
    server = await serve(Streams(most=most), b": hello\n\n")
    followers = [await follow(server) for _ in range(3)]
    assert [status for status, _ in followers] == statuses
    for _, writer in followers:
        writer.close()


@pytest.mark.parametrize(("stalled", "left"), [(0.2, 0), (60.0, 1)])
async def test_who_reads_nothing_is_cut_off(serve, monkeypatch, stalled, left):
    """Negative control: with endless patience it stays for ever."""
    monkeypatch.setattr(sse, "STALLED", stalled)
    streams = Streams(most=2)
    _, writer = await follow(await serve(streams, bytes(1_000_000)))
    await asyncio.sleep(1.5)
    assert len(streams._tasks) == left
    writer.close()
