"""How much a request may be, and how long it may take to arrive; not what it says."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import hdrs, web

from headgate.web.problems import Refusal

MAX_HEADERS: Final = 100
"""Header lines of one request; the largest provider sends 20, proxies add a dozen."""

MAX_HEADER_LINE: Final = 8190
MAX_HEADER_BYTES: Final = 32_768
"""All header lines together."""


def check_headers(request: web.BaseRequest) -> None:
    """431 when the header lines are more or longer than the limits; aiohttp itself bounds each line and the count."""
    lines = request.raw_headers
    if len(lines) > MAX_HEADERS or sum([len(name) + len(value) for name, value in lines]) > MAX_HEADER_BYTES:
        raise Refusal(431, f"The request has more than {MAX_HEADERS} header lines or {MAX_HEADER_BYTES} bytes of them.")


def check_encoding(request: web.BaseRequest) -> None:
    """415 for a compressed body: a few kilobytes could become gigabytes, and a seal is over what was sent."""
    values = request.headers.getall(hdrs.CONTENT_ENCODING, ())
    if values and (len(values) > 1 or values[0].strip().lower() != "identity"):
        raise Refusal(
            415,
            "Compressed bodies are not accepted; send it without Content-Encoding.",
            headers={"Accept-Encoding": ""},
        )


def content_type(request: web.BaseRequest) -> str | None:
    """The media type in lower case without its parameters; `None` when there is none, 415 when there are two."""
    values = request.headers.getall(hdrs.CONTENT_TYPE, ())
    if len(values) > 1:
        raise Refusal(415, "Content-Type was sent twice.")
    return values[0].partition(";")[0].strip().lower() if values else None


async def read_body(request: web.BaseRequest, *, max_body: int, deadline: float) -> bytes:
    """The whole body: 413 beyond `max_body` bytes, 408 when it takes longer than `deadline` seconds.

    A declared length is checked before a byte is read, a chunked body while it arrives.
    """
    declared = request.content_length
    if declared is not None and declared > max_body:
        raise _too_large(max_body)
    await _answer_expectation(request)
    content = request.content
    if content.is_eof():  # it came with the headers: no timer, no waiting
        body = content.read_nowait()
        if len(body) > max_body:
            raise _too_large(max_body)
        return body
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(deadline):
            while chunk := await content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > max_body:
                    raise _too_large(max_body)
    except TimeoutError:
        raise Refusal(408, f"The body did not arrive within {deadline:g} seconds.", headers=_CLOSE) from None
    except (web.RequestPayloadError, ConnectionError, ValueError):  # a sender that hangs up is no fault of ours
        raise Refusal(
            400, "The body ended before it was complete, or its chunks are malformed.", headers=_CLOSE
        ) from None
    return b"".join(chunks)


async def _answer_expectation(request: web.BaseRequest) -> None:
    """`Expect: 100-continue` is answered here, after the checks that need no body."""
    expectation = request.headers.get(hdrs.EXPECT)
    if expectation is None:
        return
    if expectation.strip().lower() != "100-continue":
        raise Refusal(417, "The only expectation we can meet is 100-continue.")
    if not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # else aiohttp believes that the answer has begun


def _too_large(max_body: int) -> Refusal:
    return Refusal(413, f"The body is larger than the {max_body} bytes accepted here.", headers=_CLOSE)


_CLOSE = {"Connection": "close"}
