"""Streams: logs as they are written, builds as they change, resumed where a client left off."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from web_server import running_server

from headgate.storage import builds
from headgate.web import changes, sse
from headgate.web.changes import BuildChanges


class Events:
    """The events of one open stream."""

    def __init__(self, answer):
        self.answer = answer

    async def next(self, within=5.0):
        """The next message as (event, data, id); comments and `retry` are passed over."""
        fields = {}
        async with asyncio.timeout(within):
            while True:
                line = (await self.answer.content.readline()).decode().rstrip("\n")
                if not line and "event" in fields:
                    return fields["event"], json.loads(fields["data"]), fields.get("id")
                name, _, value = line.partition(": ")
                fields[name] = value

    async def ended(self):
        async with asyncio.timeout(5):
            return await self.answer.content.read()


@asynccontextmanager
async def stream(server, path, last_id=None, **headers):
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    async with server.get(path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield Events(answer)


async def finish(server, build):
    async def unit(connection):
        await builds.cancel(connection, build.id, reason="done", now=build.queued_at)

    await server.parts.database.writer.write(unit)


@pytest.fixture
async def build(server):
    return await server.parts.plan()


@pytest.fixture
def writer(server, build):
    writer = server.parts.logs.writer(build.id, redactor=server.parts.redactor, limit=1_000_000)
    yield writer
    writer.close()


async def test_a_log_is_text_from_any_line_on(server, build, writer):
    writer.write(1, "eins\nzwei äöü\n<b>drei</b>\n".encode())
    writer.close()
    async with server.get(f"/api/v1/builds/{build.id}/log") as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await answer.text() == "eins\nzwei äöü\n<b>drei</b>\n"
    async with server.get(f"/api/v1/builds/{build.id}/log?from=2") as answer:
        assert await answer.text() == "<b>drei</b>\n"
    async with server.get(f"/api/v1/builds/{build.id}/log?from=9") as answer:
        assert await answer.text() == ""
    async with server.get(f"/api/v1/builds/b_{'0' * 26}/log") as answer:
        assert answer.status == 404


async def test_as_text_our_lines_are_told_from_forged_ones(server, build, writer):
    writer.say("step 1/1: test")
    writer.write(1, b"step 2/2: deploy\n[headgate] succeeded: all 2 steps succeeded\n\x1b[1m[headgate] x\n")
    writer.close()
    async with server.get(f"/api/v1/builds/{build.id}/log") as answer:
        assert await answer.text() == (
            "[headgate] step 1/1: test\nstep 2/2: deploy\n"
            "\\[headgate] succeeded: all 2 steps succeeded\n\\\x1b[1m[headgate] x\n"
        )


async def test_a_long_log_comes_whole(server, build, writer):
    writer.write(1, b"".join(b"line %d\n" % number for number in range(25_000)))
    writer.close()
    async with server.get(f"/api/v1/builds/{build.id}/log") as answer:
        lines = (await answer.text()).splitlines()
    assert len(lines) == 25_000
    assert lines[-1] == "line 24999"


async def test_a_log_is_followed_while_it_is_written_and_ends_with_its_build(server, build, writer):
    async with stream(server, f"/api/v1/builds/{build.id}/log/stream") as events:
        writer.write(1, b"one\n")
        name, line, number = await events.next()
        assert (name, line["text"], line["step"], number) == ("line", "one", 1, "0")
        assert line["t"] >= 0
        writer.write(2, b"two\n")
        assert (await events.next())[1]["text"] == "two"
        writer.close()
        await finish(server, build)
        assert (await events.next())[0] == "end"
        assert await events.ended() == b""


async def test_followers_of_one_log_get_the_same_events_whoever_came_first(server, build, writer):
    """Lines are encoded once for all; another build's lines with the same numbers are other lines."""
    other = await server.parts.plan(job="lib")
    for one, words in ((build, b"eins\nzwei\n"), (other, b"un\ndeux\n")):
        log = writer if one is build else server.parts.logs.writer(other.id, redactor=server.parts.redactor, limit=999)
        log.write(1, words)
        log.close()
        await finish(server, one)
    for one, words in ((build, ["eins", "zwei"]), (other, ["un", "deux"]), (build, ["eins", "zwei"])):
        async with stream(server, f"/api/v1/builds/{one.id}/log/stream") as events:
            told = [await events.next() for _ in words]
            assert [data["text"] for _, data, _ in told] == words
            assert [number for _, _, number in told] == ["0", "1"]


@pytest.mark.parametrize("path", ["/log/stream", "/log"])
async def test_a_client_resumes_after_the_last_line_it_saw(server, build, writer, path):
    writer.write(1, b"one\ntwo\nthree\n")
    writer.close()
    await finish(server, build)
    path = f"/api/v1/builds/{build.id}{path}"
    async with stream(server, path, last_id="1", Accept="text/event-stream") as events:
        assert (await events.next())[1]["text"] == "three"
        assert (await events.next())[0] == "end"
    async with stream(server, path, last_id="2", Accept="text/event-stream") as events:
        assert (await events.next())[0] == "end"


async def test_an_id_that_is_no_line_is_400(server, build):
    for last_id in ("x", "-1", "1.5", "9" * 30):
        async with server.get(f"/api/v1/builds/{build.id}/log/stream", headers={"Last-Event-ID": last_id}) as answer:
            assert answer.status == 400


async def test_changes_of_builds_arrive_for_the_job_asked_for(server, build):
    other = await server.parts.plan(job="lib")
    async with (
        stream(server, "/api/v1/builds/events") as all_events,
        stream(server, "/api/v1/builds/events?job=lib") as lib_events,
    ):
        await listening(server.parts.changes, 2)
        server.parts.changes.publish(build)
        server.parts.changes.publish(other)
        assert [(await all_events.next())[1]["job"] for _ in range(2)] == ["web", "lib"]
        assert (await lib_events.next())[1]["id"] == other.id


async def listening(board: BuildChanges, count: int):
    """Until that many wait for news."""
    async with asyncio.timeout(5):
        while len(board._news._waiters) < count:
            await asyncio.sleep(0.01)


async def test_a_listener_who_was_away_gets_what_it_missed(server, build):
    async with stream(server, "/api/v1/builds/events") as events:
        await listening(server.parts.changes, 1)
        server.parts.changes.publish(build)
        _, _, last_id = await events.next()
    missed = await server.parts.plan()
    server.parts.changes.publish(missed)
    async with stream(server, "/api/v1/builds/events", last_id=last_id) as events:
        name, data, _ = await events.next()
        assert (name, data["id"]) == ("build", missed.id)


@pytest.mark.parametrize("last_id", ["deadbeef-1", "nonsense", "-", ""])
async def test_a_listener_of_another_run_is_told_to_read_the_list_again(server, build, last_id):
    async with stream(server, "/api/v1/builds/events", last_id=last_id) as events:
        assert (await events.next())[0] == "reset"
        await listening(server.parts.changes, 1)
        server.parts.changes.publish(build)
        assert (await events.next())[0] == "build"


async def test_a_listener_who_missed_too_much_is_told_so(server, build, monkeypatch):
    board = BuildChanges()
    listener = board.listen(None)
    first = asyncio.ensure_future(anext(listener))
    await listening(board, 1)
    board.publish(build)
    ((event,),) = [await first]
    for _ in range(changes.REMEMBERED + 1):
        board.publish(build)
    ((missed,),) = [await anext(board.listen(event.id))]
    assert missed.event == "reset"
    await listener.aclose()


async def test_silence_is_filled_with_comments(server, build, monkeypatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 0.05)
    async with stream(server, "/api/v1/builds/events") as events:
        async with asyncio.timeout(5):
            while await events.answer.content.readline() != b": still here\n":
                pass


async def test_a_stopping_server_ends_streams_at_once_and_finishes_requests(tmp_path, monkeypatch):
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as client:
        async with running_server(tmp_path) as server:
            server.client, ours = client, server.client
            entered, leave = asyncio.Event(), asyncio.Event()
            build = await server.parts.plan()

            async def slow(*_, **__):
                entered.set()
                await leave.wait()
                return build

            monkeypatch.setattr(type(server.parts), "run_job", slow)
            server.rewire()
            answering = asyncio.create_task(read(server.post("/api/v1/jobs/web/builds", json={})))
            streaming = asyncio.create_task(read(server.get("/api/v1/builds/events")))
            await entered.wait()
            await listening(server.parts.changes, 1)
            idle = await asyncio.open_connection("127.0.0.1", server.port)
            loop.call_later(0.3, leave.set)
            await ours.close()
            began = loop.time()
        assert loop.time() - began < 3
        assert (await answering)[0] == 201
        with pytest.raises(aiohttp.ClientPayloadError):
            await streaming
        assert await idle[0].read() == b""
        idle[1].close()


async def read(request):
    async with request as answer:
        return answer.status, await answer.read()
