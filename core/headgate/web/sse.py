"""Server-sent events: a stream of small messages a client can resume; not what they say.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from headgate.web.problems import HEADERS, Refusal

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the connection and we notice a dead one."""

STALLED = 60.0
"""Seconds for which a client may take nothing of what waits for it."""

RETRY = 2_000
"""Milliseconds a client waits before it connects again."""


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One message: `data` is sent as JSON; `id` comes back as `Last-Event-ID` when the client resumes."""

    event: str
    data: Any
    id: str | None = None


Batch: TypeAlias = bytes | Sequence[ServerEvent]
"""Events that are sent together; bytes where they are encoded already, once for many."""


class Streams:
    """The streams that are open now: no more than leave room for requests, and a stopping server can end them."""

    def __init__(self, *, most: int) -> None:
        """`most` at once: they are never silent, so among connections none of them would make room for a webhook."""
        self._most = most
        self._tasks: set[asyncio.Task[Any]] = set()

    async def send(self, request: web.BaseRequest, batches: AsyncIterator[Batch]) -> web.StreamResponse:
        """Send events, as they come in batches, until they or the client end; the iterator is closed either way.

        A client that takes nothing for `STALLED` seconds is cut off, and can resume. Raises `Refusal` when too many
        are open.
        """
        if len(self._tasks) >= self._most:
            raise Refusal(503, "Too many streams are open; try again later.", headers={"Retry-After": "30"})
        response = web.StreamResponse(
            headers={
                **HEADERS,
                "Content-Type": "text/event-stream",
                "X-Accel-Buffering": "no",  # nginx would hold the lines back
            }
        )
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is sent by a task")
        self._tasks.add(task)
        try:
            await response.prepare(request)
            await response.write(f"retry: {RETRY}\n\n".encode())
            async for chunk in _with_heartbeats(batches):
                async with asyncio.timeout(STALLED):
                    await response.write(chunk)
            await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._tasks.discard(task)
        return response

    def end(self) -> None:
        """Cut every stream; clients come back by themselves, with the last id they saw."""
        for task in self._tasks:
            task.cancel()


async def _with_heartbeats(batches: AsyncIterator[Batch]) -> AsyncIterator[bytes]:
    """The events' bytes, and a comment whenever nothing happened for a while.

    A task of its own waits for the next event: `wait_for` would cancel the generator in the middle.
    """
    waiting: asyncio.Task[Batch] | None = None
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(batches))
            done, _ = await asyncio.wait({waiting}, timeout=HEARTBEAT)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                batch = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield batch if isinstance(batch, bytes) else b"".join([encode(event) for event in batch])
    finally:
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await waiting
        if isinstance(batches, AsyncGenerator):
            await batches.aclose()


def encode(event: ServerEvent) -> bytes:
    """One message on the wire. JSON has no raw line breaks, so `data` is always one line."""
    identity = f"id: {event.id}\n" if event.id is not None else ""
    return f"{identity}event: {event.event}\ndata: ".encode() + msgspec.json.encode(event.data) + b"\n\n"
