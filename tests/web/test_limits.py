"""Requests that are too much, too slow or not quite HTTP, over raw sockets; each protection with its control."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time

import pytest
import structlog
from web_server import github_headers, push_body, running_server

from headgate.storage import deliveries
from headgate.web import limits, webhooks
from headgate.web import server as server_module


@pytest.fixture
async def impatient(tmp_path):
    """A server that waits half a second and takes 10,000 bytes."""
    async with running_server(tmp_path, read_timeout=0.5, max_body=10_000) as running:
        yield running


@pytest.fixture
async def wire(impatient):
    """A raw connection to it."""
    wire = await Wire.open(impatient)
    yield wire
    await wire.close()


class Wire:
    """One raw connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, server):
        return cls(*await asyncio.open_connection("127.0.0.1", server.port))

    async def say(self, data: bytes):
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, within=5.0):
        async with asyncio.timeout(within):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            return int(head.split(b" ")[1]), await self.reader.readexactly(int(fields.get(b"content-length", 0)))

    async def closed(self, within=5.0):
        async with asyncio.timeout(within):
            return await self.reader.read()

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def raw_request(body: bytes, *, drop=(), extra=(), path="/webhooks/acme", length=True) -> bytes:
    headers = [(name, value) for name, value in github_headers(body).items() if name not in drop]
    if length:
        headers.append(("Content-Length", str(len(body))))
    lines = [f"POST {path} HTTP/1.1", "Host: ci", *(f"{name}: {value}" for name, value in [*headers, *extra])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def stored(server):
    async with server.parts.database.reading() as connection:
        return (await deliveries.page(connection, limit=10)).items


async def test_headers_that_trickle_in_end_at_the_deadline_however_lively_the_trickle(impatient, wire):
    began = time.monotonic()
    await wire.say(b"POST /webhooks/acme HTTP/1.1\r\nHost: ci\r\n")
    answered = asyncio.create_task(wire.closed())
    while not answered.done() and time.monotonic() - began < 5:
        wire.writer.write(b"X-A: b\r\n")
        await asyncio.sleep(0.05)
    assert b" 408 " in await answered
    assert 0.4 < time.monotonic() - began < 3


async def test_without_the_header_deadline_the_trickle_goes_on(impatient, monkeypatch):
    """The negative control of the test above."""
    monkeypatch.setattr(server_module._Protocol, "_give_up", lambda _: None)
    wire = await Wire.open(impatient)
    body = push_body()
    request = raw_request(body)
    await wire.say(request[:40])
    await asyncio.sleep(1.2)
    await wire.say(request[40:] + body)
    assert (await wire.answer())[0] == 202
    await wire.close()


async def test_the_deadline_holds_for_the_second_request_of_a_connection_too(impatient, wire):
    body = push_body()
    await wire.say(raw_request(body) + body)
    assert (await wire.answer())[0] == 202
    await wire.say(b"POST /webhooks/acme HT")
    assert b" 408 " in await wire.closed()


async def test_an_idle_connection_between_requests_is_kept(impatient, wire):
    """A proxy reuses its connections: closing them early would lose deliveries."""
    body = push_body()
    await wire.say(raw_request(body) + body)
    await wire.answer()
    await asyncio.sleep(1.0)
    await wire.say(raw_request(body) + body)
    assert (await wire.answer())[0] == 200


async def test_a_body_that_trickles_in_is_408_and_nothing_is_kept(impatient, wire):
    body = push_body()
    await wire.say(raw_request(body) + body[:-1])
    status, text = await wire.answer()
    assert status == 408
    assert "0.5 seconds" in json.loads(text)["detail"]
    assert await stored(impatient) == ()


async def test_without_the_read_deadline_the_same_body_waits(impatient, wire, monkeypatch):
    """The negative control of the test above: the last byte may come as late as it likes."""
    read = limits.read_body
    monkeypatch.setattr(
        webhooks, "read_body", lambda request, *, max_body, deadline: read(request, max_body=max_body, deadline=60)
    )
    body = push_body()
    await wire.say(raw_request(body) + body[:-1])
    await asyncio.sleep(1.2)
    await wire.say(body[-1:])
    assert (await wire.answer())[0] == 202


async def test_a_declared_length_beyond_the_limit_is_413_before_a_byte_of_it_is_read(impatient, wire):
    await wire.say(raw_request(b"", extra=[("Content-Length", "10001")], length=False))
    assert (await wire.answer())[0] == 413


async def test_a_chunked_body_is_counted_while_it_arrives(impatient, wire):
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    await wire.say(raw_request(b"", extra=[("Transfer-Encoding", "chunked")], length=False) + chunk * 3)
    assert (await wire.answer())[0] == 413


@pytest.mark.parametrize("share", [0, 50])
async def test_a_client_that_resets_in_its_body_is_no_fault_of_ours(impatient, share):
    """It is refused like any body that broke off; strangers must not fill the log with tracebacks."""
    body = push_body()
    wire = await Wire.open(impatient)
    await wire.say(raw_request(body) + body[:share])
    wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with structlog.testing.capture_logs() as logged:
        wire.writer.transport.abort()
        counted = {"method": "POST", "route": "/webhooks/{connection}", "status": "400"}
        async with asyncio.timeout(5):
            while not impatient.parts.metrics.value("headgate_http_request_duration_seconds_count", **counted):
                await asyncio.sleep(0.01)
    assert [one for one in logged if one["log_level"] == "error"] == []
    assert await stored(impatient) == ()


async def test_a_chunked_body_within_the_limit_is_taken(impatient, wire):
    body = push_body()
    head = raw_request(body, extra=[("Transfer-Encoding", "chunked")], length=False)
    await wire.say(head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
    assert (await wire.answer())[0] == 202
    assert len(await stored(impatient)) == 1


@pytest.mark.parametrize(
    ("extra", "statuses"),
    [
        ([(f"X-{number}", "y") for number in range(limits.MAX_HEADERS + 30)], {400, 431}),
        ([(f"X-{number}", "y" * 4000) for number in range(10)], {431}),
        ([("X-Long", "y" * 9000)], {431}),
        ([("Content-Length", "5")], {400}),
        ([("Content-Length", "-1")], {400}),
        ([("Transfer-Encoding", "chunked")], {400}),
        ([("Transfer-Encoding", "gzip, chunked")], {400}),
        ([("X-Bad", "a\x00b")], {400}),
        ([("X Bad", "a")], {400}),
        ([("Content-Encoding", "identity"), ("Content-Encoding", "identity")], {415}),
        ([("Content-Type", "application/json")], {400, 415}),
        ([("Content-Encoding", "br")], {415}),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_headers_that_are_too_many_too_long_or_ambiguous(impatient, wire, extra, statuses):
    body = push_body()
    await wire.say(raw_request(body, extra=extra) + body)
    status, text = await wire.answer()
    assert status in statuses
    assert json.loads(text)["status"] == status
    assert await stored(impatient) == ()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /webhooks/acme HTTP/9.9\r\n\r\n",
        b"POST /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //evil.example.org/api/v1/builds HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/builds?%ff=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PROPFIND /api/v1/builds HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /webhooks/%00%ff/x HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda value: value[:24].decode("ascii", "replace"),
)
async def test_what_is_hardly_http_is_a_4xx_and_the_server_lives_on(impatient, wire, nonsense):
    await wire.say(nonsense)
    status, _ = await wire.answer()
    assert 400 <= status < 500
    await wire.close()
    async with impatient.client.get(impatient.url + "/health") as answer:
        assert answer.status == 200


async def test_a_client_that_asks_whether_it_may_send_is_told_so(impatient, wire):
    body = push_body()
    await wire.say(raw_request(body, extra=[("Expect", "100-continue")]))
    async with asyncio.timeout(5):
        assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.say(body)
    assert (await wire.answer())[0] == 202


async def test_a_client_that_asks_to_send_too_much_is_not_told_to_go_on(impatient, wire):
    extra = [("Expect", "100-continue"), ("Content-Length", "99999999")]
    await wire.say(raw_request(b"", extra=extra, length=False))
    assert (await wire.answer())[0] == 413


async def test_requests_sent_ahead_are_answered_in_order(impatient, wire):
    one, other = push_body(), push_body(after="c" * 40)
    await wire.say(raw_request(one) + one + raw_request(other, drop={"Content-Type"}) + other + raw_request(one) + one)
    assert [(await wire.answer())[0] for _ in range(3)] == [202, 415, 200]


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(impatient, wire):
    body = push_body()
    await wire.say(raw_request(body) + body[:100])
    await wire.close()
    async with impatient.client.get(impatient.url + "/health") as answer:
        assert answer.status == 200
    assert await stored(impatient) == ()
