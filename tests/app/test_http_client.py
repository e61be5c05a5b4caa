"""The HTTP client that all connections share: none of their hosts can have all of it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from silent_server import SilentServer

from headgate.app import server as module

CONNECTOR = aiohttp.TCPConnector


@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "control"])
async def test_a_host_that_hangs_leaves_connections_for_the_others(aiohttp_server, monkeypatch, bounded):
    """Negative control: without a bound for each host it has all connections."""
    if not bounded:
        monkeypatch.setattr(
            aiohttp, "TCPConnector", lambda limit, limit_per_host, **more: CONNECTOR(limit=limit, **more)
        )

    async def answer(_):
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_get("/", answer)
    other = await aiohttp_server(app)
    async with SilentServer() as silent, module._http_client() as http:
        hanging = [
            asyncio.create_task(http.get(f"http://127.0.0.1:{silent.port}/")) for _ in range(2 * module.CONNECTIONS)
        ]
        await asyncio.sleep(0.2)
        asked = asyncio.create_task(http.get(f"http://127.0.0.1:{other.port}/"))
        done, _ = await asyncio.wait([asked], timeout=1)
        assert bool(done) is bounded
        for task in (asked, *hanging):
            task.cancel()
        await asyncio.wait([asked, *hanging])
