"""Names that DNS does not answer for keep nobody else from being looked up, nor what else is done in threads."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
import pytest

from headgate.api.client import Names


@pytest.fixture
def dns(monkeypatch):
    """Names below `hang.example` are answered when the test is over."""
    answers, real = threading.Event(), socket.getaddrinfo

    def look_up(host, *args, **more):
        if host.endswith("hang.example"):
            answers.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real("127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield answers
    answers.set()


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "control"])
async def test_names_that_hang_hold_up_no_other(dns, ours):
    """Negative control: in the event loop's own threads, of which uvloop has two for this, they come first."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    names = Names() if ours else aiohttp.ThreadedResolver()
    hanging = [asyncio.create_task(names.resolve(f"h{number}.hang.example", 443)) for number in range(8)]
    await asyncio.sleep(0.1)
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            found = await names.resolve("git.example", 443)
            assert await asyncio.to_thread(len, "to a log") == 8
    assert [(one["hostname"], one["host"], one["port"]) for one in found] == [("git.example", "127.0.0.1", 443)] * ours
    dns.set()
    assert {type(end) for end in await asyncio.gather(*hanging, return_exceptions=True)} == {socket.gaierror}
    await names.close()


async def test_a_session_asks_it_and_its_threads_end_with_it(aiohttp_client, dns):
    async def answer(_):
        return aiohttp.web.Response(text="hello")

    app = aiohttp.web.Application()
    app.router.add_get("/", answer)
    server = await aiohttp_client(app)
    async with (
        Names(at_once=1) as names,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=names)) as http,
        http.get(f"http://git.example:{server.port}/") as response,
    ):
        assert await response.text() == "hello"
        assert "names_0" in {thread.name for thread in threading.enumerate()}
    async with asyncio.timeout(5):
        while any(thread.name.startswith("names") for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
