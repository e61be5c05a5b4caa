"""Takes one browser's redirect on this machine (RFC 8252 7.3), and no other; not a server of pages.

Written by hand because it hears a single line: whoever finds its port must learn nothing and can end nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

PATH = "/callback"

_LONGEST_HEAD = 16_384
"""Bytes of a request before its body; browsers send a few hundred."""

_HEAD_WITHIN = 10.0
"""Seconds: browsers open connections that they do not use."""

_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
)


class Loopback:
    """Listens on 127.0.0.1. `redirect_uri` is what the browser has to be sent to."""

    def __init__(self) -> None:
        """Nothing is ours yet."""
        self.redirect_uri = ""
        self._is_ours: Callable[[str], bool] = lambda _: False
        self._answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    async def answered(self, is_ours: Callable[[str], bool]) -> Mapping[str, str]:
        """The arguments of the redirect whose `state` is ours, however many others come before it."""
        self._is_ours = is_ours
        return await self._answer

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            async with asyncio.timeout(_HEAD_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
            status, text = self._judge(head.split(b"\r\n", 1)[0])
            body = text.encode()
            writer.write(_HEAD.format(status=status, length=len(body)).encode() + body)
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # no browser, or one that changed its mind
        finally:
            writer.close()

    def _judge(self, line: bytes) -> tuple[str, str]:
        """What to say to a request line. Only its `state` makes it ours; nothing of it is repeated."""
        method, _, rest = line.decode("ascii", "replace").partition(" ")
        try:
            parts = urlsplit(rest.partition(" ")[0])
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=16)
        except ValueError:
            return "400 Bad Request", "This cannot be read.\n"
        arguments = dict(pairs)
        if method != "GET" or parts.path != PATH:
            return "404 Not Found", "There is nothing here.\n"
        if len(arguments) != len(pairs) or not self._is_ours(arguments.get("state", "")):
            return "400 Bad Request", "This answers something else than what was asked. Go on where you were sent to.\n"
        if not self._answer.done():
            self._answer.set_result(arguments)
        return "200 OK", "Headgate has its answer. You may close this window.\n"


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Loopback]:
    """A listener on `port`, 0 for any that is free. Raises `OSError` when it is taken."""
    loopback = Loopback()
    server = await asyncio.start_server(loopback.take, "127.0.0.1", port, limit=_LONGEST_HEAD)
    loopback.redirect_uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"
    try:
        yield loopback
    finally:
        server.close()  # without waiting: a browser may hold another connection open
