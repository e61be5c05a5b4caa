"""News posted to a real receiver: what it gets, what its answers mean, what a hostile one achieves."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from headgate.api import (
    CredentialError,
    Notifier,
    Outcome,
    RateLimited,
    Refused,
    Secret,
    State,
    Unavailable,
    check_standard_webhooks,
)
from headgate_plugins.webhook_notifier import headgate_notifiers

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def answering(status: int, text: str = "", **headers: str) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def test_the_receiver_can_verify_what_it_gets(notifier: Any, receiver: Any, news: Any) -> None:
    assert isinstance(notifier, Notifier)
    await notifier.tell(news(receiver.url), None)
    [(path, headers, body)] = receiver.requests
    assert path == "/hook?k=v"
    assert headers["webhook-id"] == "n_1"
    assert headers["Content-Type"] == "application/json"
    signed = [headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
    assert check_standard_webhooks(*signed, body, [SECRET], now=NOW) == 0
    assert "MfKQ9r8" not in str(headers)


async def test_the_body_is_as_documented(notifier: Any, receiver: Any, news: Any) -> None:
    await notifier.tell(news(receiver.url), None)
    page = Path(__file__).parents[3] / "docs" / "outgoing-webhooks.md"
    [documented] = re.findall(r"```json\n(.*?)```", page.read_text(), flags=re.DOTALL)
    assert json.loads(receiver.requests[0][2]) == json.loads(documented)
    assert b"parameter's value" not in receiver.requests[0][2]


async def test_a_second_try_has_the_same_id_and_the_same_body(notifier: Any, receiver: Any, news: Any) -> None:
    await notifier.tell(news(receiver.url), None)
    await notifier.tell(replace(news(receiver.url), attempt=2), None)
    (_, first, body), (_, second, again) = receiver.requests
    assert (first["webhook-id"], body) == (second["webhook-id"], again)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_success_is_success(notifier: Any, receiver: Any, news: Any, status: int) -> None:
    receiver.answer = answering(status)
    await notifier.tell(news(receiver.url), None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_refusal_is_final_and_carries_what_the_receiver_said(
    notifier: Any, receiver: Any, news: Any, status: int
) -> None:
    receiver.answer = answering(status, "no such\nhook")
    with pytest.raises(Refused, match=f"answered {status}: no such hook"):
        await notifier.tell(news(receiver.url), None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(notifier: Any, receiver: Any, news: Any, status: int) -> None:
    receiver.answer = answering(status)
    with pytest.raises(Unavailable):
        await notifier.tell(news(receiver.url), None)


@pytest.mark.parametrize(
    ("value", "wait"),
    [("120", timedelta(minutes=2)), ("0", timedelta(0)), ("Mon, 04 May 2026 12:30:00 GMT", timedelta(minutes=30))],
)
async def test_retry_after_is_honoured(notifier: Any, receiver: Any, news: Any, value: str, wait: timedelta) -> None:
    for status in (429, 503):
        receiver.answer = answering(status, Retry_After=value)
        with pytest.raises(RateLimited) as caught:
            await notifier.tell(news(receiver.url), None)
        assert caught.value.retry_at - NOW == wait


@pytest.mark.parametrize("value", ["", "soon", "-5", "999999999999", "1.5", "Mon, 04 May 2020 12:30:00 GMT", "²"])
async def test_an_odd_retry_after_is_passed_over(notifier: Any, receiver: Any, news: Any, value: str) -> None:
    receiver.answer = answering(429, Retry_After=value)
    with pytest.raises(Unavailable):
        await notifier.tell(news(receiver.url), None)


async def test_a_redirect_is_not_followed(notifier: Any, receiver: Any, news: Any) -> None:
    """It could lead anywhere, also to where the guard would not let the job's author go."""
    receiver.answer = answering(307, Location="/elsewhere")
    with pytest.raises(Refused, match="redirects are not followed"):
        await notifier.tell(news(receiver.url), None)
    assert len(receiver.requests) == 1


async def test_an_endless_answer_is_not_read_to_its_end(notifier: Any, receiver: Any, news: Any) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    receiver.answer = endless
    with pytest.raises(Refused) as caught:
        await notifier.tell(news(receiver.url), None)
    assert len(str(caught.value)) < 500


async def test_a_receiver_that_does_not_answer_is_left(opened: Any, receiver: Any, news: Any) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response()

    receiver.answer = hang
    async with opened(allow_private=True, timeout=0.2) as notifier:
        with pytest.raises(Unavailable, match="did not answer"):
            await notifier.tell(news(receiver.url), None)


async def test_nobody_there_is_tried_again(notifier: Any, news: Any, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await notifier.tell(news(f"http://127.0.0.1:{unused_tcp_port}/"), None)


async def test_errors_do_not_repeat_the_path_where_some_services_keep_a_secret(
    notifier: Any, receiver: Any, news: Any
) -> None:
    receiver.answer = answering(500)
    with pytest.raises(Unavailable) as caught:
        await notifier.tell(news(receiver.url), None)
    assert "k=v" not in str(caught.value)
    assert "/hook" not in str(caught.value)


async def test_a_missing_secret_is_final_and_nothing_is_posted(notifier: Any, receiver: Any, news: Any) -> None:
    with pytest.raises(CredentialError):
        await notifier.tell(news(receiver.url, secret="secret://env/none"), None)
    assert receiver.requests == []


async def test_a_certificate_nobody_vouches_for_is_not_accepted(notifier: Any, news: Any, tmp_path: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="certificate"):
            await notifier.tell(news(f"https://127.0.0.1:{port}/"), None)


def _self_signed(folder: Any) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("on", "news", "wanted"),
    [
        (None, ("finished", Outcome.SUCCEEDED), True),
        (None, ("queued", None), False),
        (["failed"], ("finished", Outcome.FAILED), True),
        (["failed"], ("finished", Outcome.ERRORED), False),
        (["finished"], ("finished", Outcome.LOST), True),
        (["queued", "failed"], ("queued", None), True),
        (["queued"], ("running", None), False),
    ],
)
async def test_on_says_which_news(notifier: Any, build: Any, on: Any, news: Any, wanted: object) -> None:
    phase, outcome = news
    options = {} if on is None else {"on": on}
    assert notifier.wants(phase, replace(build, outcome=outcome), options) is wanted


async def test_no_news_overwrites_another(notifier: Any, build: Any) -> None:
    options = {"url": "https://a.example/"}
    keys = {
        notifier.order_key(build, options),
        notifier.order_key(replace(build, state=State.RUNNING), options),
        notifier.order_key(replace(build, attempt=2), options),
        notifier.order_key(replace(build, id="b_2"), options),
        notifier.order_key(build, {"url": "https://b.example/"}),
    }
    assert len(keys) == 5


GOOD = {"url": "https://hooks.example.com/ci", "secret": "secret://env/hook"}


@pytest.mark.parametrize(
    "block",
    [
        GOOD,
        {**GOOD, "url": "https://hooks.example.com"},
        {**GOOD, "url": "https://hooks.example.com:8443/a?b=@c"},
        {**GOOD, "url": "http://localhost:8000/x"},
        {**GOOD, "url": "http://127.0.0.1/"},
        {**GOOD, "url": "http://[::1]:80/"},
        {**GOOD, "url": "http://hooks.example.com/", "plain_http": True},
        {**GOOD, "on": ["failed", "queued"]},
    ],
)
def test_a_good_block_fits_the_schema(block: dict[str, Any]) -> None:
    [kind] = headgate_notifiers()
    jsonschema.Draft202012Validator(kind.schema).validate(block)


@pytest.mark.parametrize(
    "block",
    [
        {"url": GOOD["url"]},
        {**GOOD, "secret": "hunter2"},
        {**GOOD, "url": "http://hooks.example.com/"},
        {**GOOD, "url": "http://hooks.example.com/", "plain_http": False},
        {**GOOD, "url": "http://localhost.evil.org/"},
        {**GOOD, "url": "http://127.0.0.1.evil.org/"},
        {**GOOD, "url": "https://user:pw@hooks.example.com/"},
        {**GOOD, "url": "http://localhost@evil.org/"},
        {**GOOD, "url": "file:///etc/passwd"},
        {**GOOD, "url": "https:///x"},
        {**GOOD, "url": "https://a b/"},
        {**GOOD, "on": ["fixed"]},
        {**GOOD, "on": []},
    ],
)
def test_a_bad_block_does_not(block: dict[str, Any]) -> None:
    [kind] = headgate_notifiers()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(kind.schema).validate(block)


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://u:p@hooks.example.com/", "ftp://a/", "/x", "http://["]
)
async def test_a_block_kept_from_before_the_schema_is_refused_all_the_same(notifier: Any, news: Any, url: str) -> None:
    with pytest.raises(Refused):
        await notifier.tell(news(url), None)
