"""Routes for what builds wrote: as text, and as it is written; not how it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from headgate.api import NotFound, State
from headgate.storage import builds
from headgate.storage.database import Database
from headgate.telemetry.plain import attributed
from headgate.web.ports import LogLine, Logs
from headgate.web.problems import HEADERS, Refusal
from headgate.web.routes import Call, Reply, Route
from headgate.web.shapes import Closed, LogEvent
from headgate.web.sse import Batch, ServerEvent, Streams

PAGE = 2_000
"""Lines read at once."""

SHARED = 16
"""Batches kept encoded for those who come to the same lines a moment later."""

OUR_STEP = 0
"""The step of what Headgate itself says."""


class LogQuery(Closed, frozen=True, kw_only=True, rename={"start": "from"}):
    """From which line on; 0 is the first."""

    start: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


def log_routes(*, database: Database, logs: Logs, streams: Streams) -> tuple[Route, ...]:
    """The routes for the log of a build."""

    async def check_build(build_id: str) -> None:
        async with database.reading() as connection:
            if await builds.get(connection, build_id) is None:
                raise NotFound(f"There is no build {build_id[:80]!r}.")

    async def show_log(call: Call) -> web.StreamResponse:
        if hdrs.ACCEPT in call.request.headers and "text/event-stream" in call.request.headers[hdrs.ACCEPT]:
            return await follow_log(call)
        build_id = call.path["build"]
        await check_build(build_id)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(call.request)
        query: LogQuery = call.query
        reader, first, more = logs.reader(build_id), query.start, True
        while more:
            page = await asyncio.to_thread(reader.page, first, PAGE)
            lines = [f"{attributed(line.text, ours=line.step == OUR_STEP)}\n" for line in page.lines]
            await response.write("".join(lines).encode(errors="replace"))
            first, more = page.next, page.more
        await response.write_eof()
        return response

    async def follow_log(call: Call) -> web.StreamResponse:
        build_id = call.path["build"]
        query: LogQuery = call.query
        first = max(query.start, _after(call.request))
        await check_build(build_id)
        return await streams.send(call.request, events(build_id, first))

    shared = _Encoded()

    async def events(build_id: str, first: int) -> AsyncIterator[Batch]:
        async def done() -> bool:
            async with database.reading() as connection:
                build = await builds.get(connection, build_id)
            return build is None or build.state == State.FINISHED

        async for lines in logs.follow(build_id, first=first, done=done):
            yield shared.of(build_id, lines)
        yield (ServerEvent(event="end", data={}),)

    text = Reply(
        content_type="text/plain",
        description="The lines, without times; ours start with `[headgate]`, which no line of a build can.",
    )
    stream = Reply(
        content_type="text/event-stream", events=("line", "end"), description="Events `line`, then one `end`."
    )
    resuming = (
        "Events `line` carry the time in milliseconds, the step and the text; `end` comes once the build is finished. "
        "Resume with Last-Event-ID, the number of the last line seen."
    )
    return (
        Route(
            method="GET",
            path="/api/v1/builds/{build}/log",
            answer=show_log,
            permission="builds:read",
            summary="A build's log, as text",
            description="With `Accept: text/event-stream` it is followed. " + resuming,
            tag="builds",
            query=LogQuery,
            replies=(text, stream),
            errors=(400, 404),
        ),
        Route(
            method="GET",
            path="/api/v1/builds/{build}/log/stream",
            answer=follow_log,
            permission="builds:read",
            summary="A build's log, as it is written",
            description=resuming,
            tag="builds",
            query=LogQuery,
            replies=(stream,),
            errors=(400, 404),
        ),
    )


class _Encoded:
    """Lines as events on the wire, made once for all who follow a log closely: a line never changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, int], bytes] = {}

    def of(self, build_id: str, lines: Sequence[LogLine]) -> bytes:
        key = (build_id, lines[0].number, lines[-1].number)
        encoded = self._kept.get(key)
        if encoded is None:
            json = msgspec.json.Encoder().encode
            encoded = b"".join(
                [
                    b"id: %d\nevent: line\ndata: %b\n\n"
                    % (line.number, json(LogEvent(t=line.milliseconds, step=line.step, text=line.text)))
                    for line in lines
                ]
            )
            while len(self._kept) >= SHARED:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = encoded
        return encoded


def _after(request: web.BaseRequest) -> int:
    """The line after the one a resuming client saw last."""
    given = request.headers.get("Last-Event-ID")
    if given is None or not given:
        return 0
    if not (given.isascii() and given.isdecimal() and len(given) <= _MAX_ID):
        raise Refusal(400, "Last-Event-ID must be the number of a line of this log.")
    return int(given) + 1


_MAX_ID = 15
