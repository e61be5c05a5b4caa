"""A real receiver on this machine, and a notifier that may (or may not) reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate.api import Build, Credential, CredentialError, Notification, Outcome, Repository, Secret, State
from headgate_plugins.webhook_notifier import open_notifier

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Remembers requests and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path_qs, dict(request.headers), await request.read()))
        return await self.answer(request) if self.answer else web.Response(status=204)


@pytest.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook?k=v"))
        receiver.port = server.port
        yield receiver


async def secret(reference: str, *, for_host: str | None = None) -> Credential:
    assert for_host is None, "the signing secret never travels"
    if reference != "secret://env/hook":
        raise CredentialError(f"{reference} is not set")
    return Credential(type="text", fields={"text": Secret(SECRET)})


@pytest.fixture
def opened():
    """Opens the notifier with some settings."""

    @asynccontextmanager
    async def opened(**settings: Any):
        host = SimpleNamespace(name="webhook", now=lambda: NOW, secret=secret)
        async with open_notifier(settings, host) as notifier:
            yield notifier

    return opened


@pytest.fixture
async def notifier(opened):
    """A notifier whose admin lets jobs post to this machine."""
    async with opened(allow_private=True, timeout=5.0) as notifier:
        yield notifier


@pytest.fixture
def build():
    return Build(
        id="b_1",
        job="web",
        number=12,
        state=State.FINISHED,
        outcome=Outcome.FAILED,
        reason="step test: exit 1",
        trigger="push",
        connection="acme",
        repository=Repository(host="github.com", path="acme/web"),
        ref="refs/heads/main",
        sha="a" * 40,
        before=None,
        change=None,
        definition="d",
        parameters={"PLACE": "a parameter's value"},
        priority=50,
        event_id="e",
        decision_id="x",
        delivery_id=None,
        queued_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )


@pytest.fixture
def news(build):
    """Makes news for a URL."""

    def make(url: str, **options: Any) -> Notification:
        options = {"url": url, "secret": "secret://env/hook", **options}
        return Notification(
            id="n_1", build=build, phase="finished", options=options, sequence=7, attempt=1, url="https://ci/builds/b_1"
        )

    return make
