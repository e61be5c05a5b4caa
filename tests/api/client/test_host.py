"""The client on the core's own host: masking in every form a secret takes, and numbers under the right names."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from headgate import api
from headgate.api.client import BaseUrl, Bounds, Client, Dialect, bearer
from headgate.app.opening import PluginsHost
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.telemetry.metrics import Metrics

TOKEN = "an-installation-token"
ENCODED = base64.b64encode(TOKEN.encode()).decode()


async def authorize(*, renew):
    return bearer(api.Secret(TOKEN))


async def call(status, *, redactor):
    """One call that is answered with the token, plain and encoded; what is told of it, and the metrics."""

    async def echo(_):
        return web.json_response({"message": f"{TOKEN} or {ENCODED}"}, status=status)

    app = web.Application()
    app.router.add_get("/x", echo)
    metrics = Metrics()
    with ThreadPoolExecutor(1) as threads:
        async with TestServer(app) as server, aiohttp.ClientSession() as http:
            host = PluginsHost(
                name="acme",
                plugin="played",
                secrets=Secrets({}, redactor),
                http=http,
                threads=threads,
                now=lambda: datetime.now(UTC),
                metrics=metrics.calls.of(kind="played", name="acme"),
            )
            base = BaseUrl.read(f"http://127.0.0.1:{server.port}", configured=True)
            bounds = Bounds(attempts=2, backoff=0.0)
            client = Client(host, base, dialect=Dialect(name="Played"), authorize=authorize, bounds=bounds)
            with pytest.raises(api.ProviderError) as caught:
                await client.call("GET", "/x")
    return str(caught.value), metrics


async def test_a_token_nobody_stored_is_masked_in_all_its_forms():
    said, _ = await call(400, redactor=Redactor())
    assert said == "Played answered 400 to GET /x: *** or ***"


async def test_control_what_the_redactor_was_not_told_is_shown(monkeypatch):
    """Negative control: the client does not announce the token."""
    monkeypatch.setattr(PluginsHost, "mask", lambda *_: None)
    said, _ = await call(400, redactor=Redactor())
    assert said == f"Played answered 400 to GET /x: {TOKEN} or {ENCODED}"


async def test_calls_are_counted_under_the_names_of_the_configuration():
    _, metrics = await call(503, redactor=Redactor())
    names = {"provider": "played", "connection": "acme"}
    assert metrics.value("headgate_provider_request_duration_seconds_count", **names, status="5xx") == 2
    assert metrics.value("headgate_provider_retries_total", **names) == 1
    metrics.calls.of(kind="played", name="acme").rate_limit_waited(2.5)
    assert metrics.value("headgate_provider_rate_limit_wait_seconds_total", **names) == 2.5
