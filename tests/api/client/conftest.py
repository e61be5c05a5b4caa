"""A real small server on loopback that plays a provider, and a client with a clock that tests turn."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate import api
from headgate.api.client import BaseUrl, Bounds, Client, Dialect, StoredCredential, shared_socket
from headgate.api.testing import NOW, ContractHost

TOKEN = "s3cret-t0ken"


class Clock:
    """Turns only when somebody sleeps."""

    def __init__(self):
        self.seconds = 0.0
        self.sleeps = []

    async def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    def monotonic(self):
        return self.seconds


class Counts:
    """Metrics that remember."""

    def __init__(self):
        self.statuses, self.retries, self.waits = [], 0, []

    def observe_call(self, seconds, *, status):
        assert seconds >= 0
        self.statuses.append(status)

    def call_retried(self):
        self.retries += 1

    def rate_limit_waited(self, seconds):
        self.waits.append(seconds)


class PlayedHost(ContractHost):
    """A host with HTTP, whose time is the clock's."""

    http = None

    def __init__(self, clock, session):
        token = api.Credential(type="token", fields={"token": api.Secret(TOKEN)}, hosts=("127.0.0.1",))
        super().__init__({"secret://s/api": token})
        self.clock, self.http, self.metrics = clock, session, Counts()

    def now(self):
        return NOW + timedelta(seconds=self.clock.seconds)


@pytest.fixture
async def play():
    """`play(answer, …)`: a server that answers with `answer(request)` (sync or async), and a client for it."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer, *, bounds=None, dialect=None, authorize=None, prefix="", draw=lambda: 1.0, **options):
            requests, bodies = [], []

            async def handle(request):
                bodies.append(await request.read())
                requests.append(request)
                answered = answer(request)
                return await answered if asyncio.iscoroutine(answered) else answered

            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handle)
            server = await stack.enter_async_context(TestServer(app, **options))
            session = await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=shared_socket))
            )
            clock = Clock()
            host = PlayedHost(clock, session)
            url = f"http://127.0.0.1:{server.port}"
            base = BaseUrl.read(url + prefix, configured=True)
            client = Client(
                host,
                base,
                dialect=dialect or Dialect(name="Played"),
                authorize=authorize or StoredCredential(host, "secret://s/api", base),
                bounds=bounds or Bounds(),
                sleep=clock.sleep,
                monotonic=clock.monotonic,
                draw=draw,
            )
            return SimpleNamespace(
                client=client, requests=requests, bodies=bodies, clock=clock, host=host, url=url, server=server
            )

        yield start


@pytest.fixture
def in_turn():
    """An answer made of several: one after another, the last for ever. Each is a status, or (status, body, headers)."""

    def make(*answers):
        left = list(answers)

        def answer(_):
            one = left.pop(0) if len(left) > 1 else left[0]
            status, body, headers = one if isinstance(one, tuple) else (one, {}, {})
            return web.json_response(body, status=status, headers=headers)

        return answer

    return make
