"""A real receiver of outgoing webhooks, which verifies and remembers what it was told; slow, so that crashes hit it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from live import SECRET

from headgate import api


class Receiver:
    """`finished` maps each build to the ids under which its end was told, one for each time."""

    def __init__(self, *, slowest: float = 0.03) -> None:
        """`slowest`: seconds after which a piece of news is answered at the latest."""
        self.finished: dict[str, list[str]] = defaultdict(list)
        self.forged = 0
        self._bodies: dict[str, bytes] = {}
        self._slowest = slowest
        self._random = random.Random(7)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/news", self._hear)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/news"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def repeats(self) -> int:
        """How often something was told again."""
        return sum(len(ids) - 1 for ids in self.finished.values())

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        name, stamp = request.headers["webhook-id"], int(request.headers["webhook-timestamp"])
        seal = api.standard_webhooks_signature(name, stamp, body, api.Secret(SECRET))
        # A repetition says the very same under the same id.
        if request.headers["webhook-signature"] != seal or self._bodies.setdefault(name, body) != body:
            self.forged += 1
        news: dict[str, Any] = json.loads(body)
        if news["type"] == "build.finished":
            self.finished[news["data"]["id"]].append(name)
        await asyncio.sleep(self._random.uniform(0, self._slowest))
        return web.Response(status=204)
