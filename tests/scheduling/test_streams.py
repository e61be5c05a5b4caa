"""The sixth door: what streams tell is kept once, whatever breaks and whenever; with the controls that show it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from flow_parts import WEB, A, B, C, make_job, push

from headgate import api
from headgate.api.capabilities import CaughtUp, Streamed
from headgate.plugins.guard import lone_guards
from headgate.scheduling import streams as streams_module
from headgate.scheduling.inbox import Inbox
from headgate.scheduling.readings import OpenConnection
from headgate.scheduling.streams import FIRST_PAUSE, LONGEST_PAUSE, Streams
from headgate.storage import builds, deliveries, events, streams
from headgate.storage.errors import Busy
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics

END, HANG = object(), object()

LONG = 20.0
"""A pause of a test that is not quite nothing: a plugin that is not called would be refused all the time else."""


def message(event, key=None, **more):
    """A stream's message that means `event`."""
    return Streamed(body=msgspec.json.encode(event), key=key, **more)


class Forge:
    """A host with a log of what it told: whoever opens its stream hears what happened since, then what happens."""

    def __init__(self):
        self.log = []  # (when, message)
        self.opened = []  # the `since` of each opening
        self.closed = 0
        self.live = asyncio.Queue()
        self.before = []  # what each opening does first: an exception to raise, HANG, or nothing

    def happens(self, what, at=None):
        """Kept in the log, and told to whoever listens."""
        self.log.append((at or datetime.now(UTC), what))
        self.live.put_nowait(what)

    def authenticate(self, delivery):
        return api.Seal()

    def parse(self, delivery):
        if delivery.body == b"broken":
            raise api.Unreadable("no event")
        if delivery.body == b"bug":
            raise ZeroDivisionError("in a plugin")
        if delivery.body == b"star":
            return api.Ignored(reason="stars build nothing")
        return api.Parsed(events=(msgspec.json.decode(delivery.body, type=api.Event),))

    async def stream(self, since):
        self.opened.append(since)
        try:
            first = self.before.pop(0) if self.before else None
            if isinstance(first, BaseException):
                raise first
            if first is HANG:
                await asyncio.Event().wait()
            self.live = asyncio.Queue()
            if since is not None:
                for at, told in list(self.log):
                    if at >= since:
                        yield told
            yield CaughtUp()
            while (told := await self.live.get()) is not END:
                if isinstance(told, BaseException):
                    raise told
                yield told
        finally:
            self.closed += 1


class Deaf(Forge):
    """Has the capability, and is not configured for it."""

    def stream(self, since):
        self.opened.append(since)


class Rooms:
    """Streams before an inbox, as the server has them."""

    def __init__(self, database, world, log, connections):
        self.database, self.world, self.connections = database, world, connections
        self.health, self.metrics, self.pauses = Health(), Metrics(), []
        self.at_pauses = []  # what health and metrics said of `acme` then
        self.inbox = Inbox(
            database=database,
            flow=world.flow,
            connection=self.connections.get,
            poll=None,
            default_branch=lambda *_: "main",
            log=log,
            now=lambda: datetime.now(UTC),
        )
        self.streams = Streams(
            database=database,
            connections=lambda: self.connections,
            received=self.inbox.received,
            numbers=self.metrics.streams,
            health=self.health,
            max_body=10_000,
            log=log,
            now=lambda: datetime.now(UTC),
            sleep=self.pause,
            draw=lambda: 1.0,
        )

    async def pause(self, seconds):
        self.pauses.append(seconds)
        self.at_pauses.append((self.shown(), self.is_connected()))
        await asyncio.sleep(0 if seconds < LONG else 0.005)

    async def kept(self, connection="acme"):
        async with self.database.reading() as reading:
            page = await deliveries.page(reading, connection=connection, limit=200)
            return [await deliveries.get(reading, one.id) for one in reversed(page.items)]

    async def builds(self):
        async with self.database.reading() as reading:
            return (await builds.page(reading, limit=200)).items

    async def until(self, check, within=5.0):
        async with asyncio.timeout(within):
            while True:
                found = check()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.005)

    def is_connected(self, name="acme"):
        return self.metrics.value("headgate_stream_connected", connection=name) == 1

    def shown(self, name="acme"):
        return next((one for one in self.health.report().components if one.name == f"stream {name}"), None)

    async def settled(self, count, connection="acme"):
        async def check():
            found = await self.kept(connection)
            return found if len(found) >= count and all(one.state != "recorded" for one in found) else None

        return await self.until(check)


@pytest.fixture
def forge():
    return Forge()


def connection(provider, name="acme", **more):
    return OpenConnection(name=name, provider=provider, normalise=str.lower, **more)


@pytest.fixture
def connections(forge):
    return {"acme": connection(forge)}


@pytest.fixture
def living(database, world, log, connections):
    """One life of a server; its end is as abrupt as a cancellation is."""

    @asynccontextmanager
    async def start(**changes):
        rooms = Rooms(database, world, log, connections)
        for name, value in changes.items():
            setattr(rooms.streams, f"_{name}", value)
        tasks = [asyncio.create_task(rooms.streams.run()), asyncio.create_task(rooms.inbox.run())]
        try:
            yield rooms
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert not [one for one in asyncio.all_tasks() if one.get_name() == "stream acme"]

    return start


async def test_what_a_stream_tells_is_kept_judged_and_built_like_a_webhook(living, forge, world):
    world.use(make_job("web"))
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        forge.happens(message(push(None, A), key="1", headers=(("X-Event", "push"),)))
        (record,) = await rooms.settled(1)
        (build,) = await rooms.builds()
    assert (record.state, record.key, record.delivery.method) == ("routed", "1", "STREAM")
    assert record.delivery.headers == (("x-event", "push"),)
    assert build.sha == A
    assert build.delivery_id == record.delivery.id
    async with rooms.database.reading() as reading:
        (event,) = await events.of_delivery(reading, record.delivery.id)
    assert event.observer == "stream"


async def test_each_message_ends_where_it_belongs(living, forge, connections):
    connections["acme"] = connection(forge, event_header="x-event")
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        for body in (b"star", b"broken"):
            forge.happens(Streamed(body=body, key=body.decode(), headers=(("x-event", "a" * 200),)))
        forge.happens(Streamed(body=b"x" * 10_001))
        forge.happens(Streamed(body=b"star", key="star"))
        star, broken = await rooms.settled(2)
        await rooms.until(
            lambda: rooms.metrics.value("headgate_stream_messages_total", connection="acme", result="duplicate")
        )
    assert (star.state, star.reason) == ("ignored", "stars build nothing")
    assert (broken.state, broken.reason) == ("unreadable", "no event")
    assert star.event == "a" * 100
    results = ("recorded", "ignored", "unreadable", "duplicate", "refused")
    counted = {
        one: rooms.metrics.value("headgate_stream_messages_total", connection="acme", result=one) for one in results
    }
    assert counted == {"recorded": 0, "ignored": 1, "unreadable": 1, "duplicate": 1, "refused": 1}


async def test_a_message_on_which_the_provider_breaks_is_kept(living, forge, monkeypatch):
    monkeypatch.setattr("headgate.scheduling.inbox.RETRY_SECONDS", 0.01)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        forge.happens(Streamed(body=b"bug"))
        (record,) = await rooms.settled(1)
    assert record.state == "unreadable"
    assert "ZeroDivisionError" in record.reason


async def test_one_event_by_webhook_and_stream_is_kept_once(living, forge, database, world):
    world.use(make_job("web"))
    now = datetime.now(UTC)
    told = message(push(None, A), key="same")
    by_webhook = api.Delivery(id="d_0", connection="acme", received_at=now, headers=(), body=told.body)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        new = deliveries.NewDelivery(delivery=by_webhook, key="same")
        await database.writer.add(deliveries.record, new)
        rooms.inbox.received(new, None)
        forge.happens(told)
        forge.happens(message(push(A, B), key="other"))
        records = await rooms.settled(2)
        shas = [one.sha for one in await rooms.builds()]
    assert [one.key for one in records] == ["same", "other"]
    assert sorted(shas) == [A, B]


async def test_one_move_by_webhook_and_stream_under_different_keys_is_built_once(living, forge, database, world):
    """The ledger takes a stream for one who tells of moves, as a webhook is."""
    world.use(make_job("web"))
    now = datetime.now(UTC)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        body = msgspec.json.encode(push(None, A))
        new = deliveries.NewDelivery(
            delivery=api.Delivery(id="d_0", connection="acme", received_at=now, headers=(), body=body), key="hook"
        )
        await database.writer.add(deliveries.record, new)
        rooms.inbox.received(new, None)
        await rooms.settled(1)
        forge.happens(message(push(None, A), key="stream"))
        await rooms.settled(2)
        assert len(await rooms.builds()) == 1


# -- nothing is lost, and nothing is built twice


async def lives(living, forge, world, *, marks=True):
    """A message is told and the server dies before it is on disk; gives what a next life has of it."""
    world.use(make_job("web"))
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        forge.happens(message(push(None, A), key="1"))
        await rooms.settled(1)
        add, died = rooms.database.writer.add, asyncio.Event()

        async def dies(batch, value):
            if batch is deliveries.record:
                died.set()
                await asyncio.Event().wait()
            return await add(batch, value)

        rooms.database.writer.add = dies
        forge.happens(message(push(A, B), key="2"))
        await died.wait()
    rooms.database.writer.add = add
    forge.happens(message(push(B, C), key="3"))  # while nobody listens
    if not marks:

        async def forgets(writing):
            await streams.put(
                writing, streams.StreamMark(connection="acme", complete_to=datetime.now(UTC) + timedelta(minutes=1))
            )

        await rooms.database.writer.write(forgets)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        await rooms.settled(1)
        return [one.key for one in await rooms.kept()], [one.sha for one in await rooms.builds()]


async def test_a_server_killed_between_message_and_commit_hears_it_again(living, forge, world):
    keys, shas = await lives(living, forge, world)
    assert keys == ["1", "2", "3"]
    assert sorted(shas) == [A, B, C]


async def test_control_without_what_is_written_down_it_would_be_lost(living, forge, world):
    """The negative control of the one above: with a mark that lies, the next life asks for nothing."""
    keys, _ = await lives(living, forge, world, marks=False)
    assert keys == ["1"]


async def test_a_server_killed_while_it_catches_up_asks_for_all_of_it_again(living, forge, world):
    """What it has kept of it by then must not make it believe that it has all."""
    world.use(make_job("web"))
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
    for number in range(5):
        forge.happens(message(push(f"{number}" * 40, f"{number + 1}" * 40), key=str(number)))
    async with living() as rooms:
        add, count = rooms.database.writer.add, 0

        async def dies(batch, value):
            nonlocal count
            count += batch is deliveries.record
            if count > 2:
                await asyncio.Event().wait()
            return await add(batch, value)

        rooms.database.writer.add = dies
        await rooms.until(lambda: count > 2)
    rooms.database.writer.add = add
    assert len(await rooms.kept()) == 2
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        assert [one.key for one in await rooms.settled(5)] == ["0", "1", "2", "3", "4"]


async def told_twice(living, forge, world, key):
    world.use(make_job("web", triggers={"change_request": {}}))
    change = api.ChangeRequest(
        repository=WEB,
        number=7,
        action="opened",
        title="A thing",
        source=api.ChangeSource(repository=WEB, branch="thing", sha=A),
        target=api.ChangeTarget(branch="main"),
        author="ada",
    )
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        forge.happens(message(change, key=key))
        await rooms.settled(1)
        forge.live.put_nowait(END)
        await rooms.until(lambda: len(forge.opened) == 2 and rooms.is_connected())  # the message is told again
        forge.happens(message(push(None, B), key="last"))
        await rooms.until(
            lambda: rooms.metrics.value("headgate_stream_messages_total", connection="acme", result="recorded") >= 2
        )
        await rooms.settled(2)
        return await rooms.kept(), await rooms.builds()


async def test_a_message_told_again_is_known_by_its_key_and_built_once(living, forge, world):
    forge.stream = overlapping(forge)
    kept, built = await told_twice(living, forge, world, "1")
    assert [one.key for one in kept] == ["1", "last"]
    assert len(built) == 1


async def test_control_without_a_key_it_is_kept_twice(living, forge, world):
    """The negative control: what has no key is new each time; that it is one move is for the ledger to see."""
    forge.stream = overlapping(forge)
    kept, built = await told_twice(living, forge, world, None)
    assert [one.key for one in kept] == [None, None, "last"]
    assert len(built) == 1


def overlapping(forge):
    """As the contract asks: from somewhat earlier than `since`."""
    original = forge.stream
    return lambda since: original(since and since - timedelta(minutes=5))


async def test_a_message_that_cannot_be_written_is_told_again(living, forge, log):
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        add, refused = rooms.database.writer.add, []

        async def busy(batch, value):
            if batch is deliveries.record and not refused:
                refused.append(value)
                raise Busy("too many writes wait")
            return await add(batch, value)

        rooms.database.writer.add = busy
        forge.happens(message(push(None, A), key="1"))
        (record,) = await rooms.settled(1)
        rooms.database.writer.add = add
    assert refused
    assert record.key == "1"
    assert "too many writes" in json.dumps([values for _, values in log.lines], default=str)


# -- since when


async def test_the_first_time_nothing_is_asked_for_and_then_what_happened_since(living, forge):
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        before = datetime.now(UTC)
        forge.happens(Streamed(body=b"star", key="1"))
        await rooms.settled(1)
        forge.live.put_nowait(END)
        await rooms.until(lambda: len(forge.opened) == 2)
    async with living() as rooms:
        await rooms.until(lambda: len(forge.opened) == 3)
    first, again, next_life = forge.opened
    assert first is None
    assert before <= again <= datetime.now(UTC)
    assert next_life >= before


async def test_a_stream_that_only_listened_knows_since_when(living, forge):
    """Nothing was told, and yet a next life need not know less."""
    began = datetime.now(UTC)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
    async with living() as rooms:
        await rooms.until(lambda: len(forge.opened) == 2)
    assert began <= forge.opened[1] <= datetime.now(UTC)


async def test_how_far_it_was_heard_is_written_down_now_and_then(living, forge, database, monkeypatch):
    """Not with each message: that what is kept is told again costs a little, a write for each costs more."""
    monkeypatch.setattr(streams_module, "MARKED_EVERY", -1.0)
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        forge.happens(Streamed(body=b"star", key="1"))
        (record,) = await rooms.settled(1)

        async def marked():
            async with database.reading() as reading:
                return await streams.complete_to(reading, "acme") == record.delivery.received_at

        await rooms.until(marked)


# -- a broken stream is tried again and shown


async def test_a_broken_stream_is_tried_again_with_growing_pauses_and_shown(living, forge):
    forge.before = [api.Unavailable("no route to forge.example")] * 12
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        assert rooms.shown().status == "ok"
        assert "connected since" in rooms.shown().reason
        assert "12 reconnects" in rooms.shown().reason
        assert rooms.metrics.value("headgate_stream_reconnects_total", connection="acme") == 12
        assert rooms.metrics.value("headgate_stream_changed_timestamp_seconds", connection="acme") > 0
    for tries, (shown, connected) in enumerate(rooms.at_pauses, 1):
        assert not connected
        assert shown.status == "degraded"
        assert "not connected since" in shown.reason
        assert f"tried {tries} times: no route to forge.example" in shown.reason
    assert rooms.pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert rooms.pauses[-1] == LONGEST_PAUSE
    assert forge.closed == len(forge.opened)


async def test_the_pause_has_jitter_and_begins_anew_after_a_good_time(living, forge, monkeypatch):
    monkeypatch.setattr(streams_module, "STEADY", -1.0)
    async with living(draw=lambda: 0.5) as rooms:
        for number in range(3):
            await rooms.until(lambda number=number: len(forge.opened) == number + 1 and rooms.is_connected())
            forge.live.put_nowait(END)
            await rooms.until(lambda number=number: len(rooms.pauses) == number + 1)
    assert rooms.pauses == [0.75 * FIRST_PAUSE] * 3


async def test_a_host_that_names_a_time_is_left_alone_until_then(living, forge):
    forge.before = [api.RateLimited("enough", retry_at=datetime.now(UTC) + timedelta(hours=1))]
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
    assert 3500 < rooms.pauses[0] <= 3600


async def test_a_stream_that_says_nothing_before_it_caught_up_is_given_up(living, forge, monkeypatch):
    monkeypatch.setattr(streams_module, "CONNECTS_WITHIN", 0.01)
    forge.before = [HANG]
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        assert "1 reconnects" in rooms.shown().reason
        forge.happens(Streamed(body=b"star"))
        await rooms.settled(1)


async def test_what_could_not_be_asked_for_is_shown(living, forge, log):
    async def stream(since):
        yield CaughtUp(unknown="pushes to branches")
        await asyncio.Event().wait()

    forge.stream = stream
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        assert "pushes to branches" in rooms.shown().reason
    assert any(values.get("reason") == "pushes to branches" for _, values in log.lines)


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError("bug"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()]
)
async def test_what_one_stream_raises_harms_no_other(living, forge, connections, fault):
    other = Forge()
    other.before = [fault] * 3
    guards = lone_guards()
    connections |= {
        "acme": connection(forge, guard=guards.of("provider", "forge")),
        "other": connection(other, "other", guard=guards.of("provider", "forge")),
    }
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        await rooms.until(lambda: rooms.is_connected("other"))
        forge.happens(Streamed(body=b"star"))
        await rooms.settled(1)
        assert len(forge.opened) == 1
        assert rooms.shown("other").status == "ok"
    assert guards.of("provider", "forge").health().faults == 3


async def test_a_plugin_that_breaks_always_is_not_called_for_a_while_and_its_other_stream_goes_on(
    living, forge, connections
):
    other, guard = Forge(), lone_guards().of("provider", "forge")
    connections |= {"acme": connection(forge, guard=guard), "other": connection(other, "other", guard=guard)}
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        await rooms.until(lambda: rooms.is_connected("other"))
        other.before = [ZeroDivisionError("bug")] * 50
        other.live.put_nowait(ZeroDivisionError("bug"))
        await rooms.until(lambda: guard.is_open("stream"))
        forge.happens(Streamed(body=b"star"))
        await rooms.settled(1)
        await rooms.until(lambda: max(rooms.pauses) > LONG)
        assert len(forge.opened) == 1


@pytest.mark.parametrize(
    "nonsense", [None, 7, Streamed(body="text"), Streamed(body=b"", key=7), Streamed(body=b"", headers=(("a",),))]
)
async def test_what_is_no_message_is_a_fault_of_the_plugin(living, forge, connections, nonsense):
    guard = lone_guards().of("provider", "forge")
    connections["acme"] = connection(forge, guard=guard)

    async def stream(since, told=forge.stream):
        if not forge.opened:
            forge.opened.append(since)
            yield nonsense
        else:
            async for one in told(since):
                yield one

    forge.stream = stream
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        assert await rooms.kept() == []
    if nonsense is not None:  # which is taken for the end
        assert guard.health().faults == 1
        assert "no message" in guard.health().last_fault


async def test_a_stream_that_does_not_end_is_left_and_no_longer_heard(database, world, log, connections, monkeypatch):
    monkeypatch.setattr(streams_module, "ENDS_WITHIN", 0.05)
    listens, goes_on, release = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Stubborn(Forge):
        async def stream(self, since):
            yield CaughtUp()
            listens.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    goes_on.set()
            yield Streamed(body=b"star", key="late")

    connections["acme"] = connection(Stubborn())
    connections["other"] = connection(Forge(), "other")
    rooms = Rooms(database, world, log, connections)
    running = asyncio.create_task(rooms.streams.run())
    await rooms.until(listens.is_set)
    left = next(task for task in asyncio.all_tasks() if task.get_name() == "stream acme")
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.done()
    assert goes_on.is_set()
    release.set()
    await asyncio.wait([left], timeout=5)
    assert left.done()
    assert await rooms.kept() == []
    assert rooms.shown() is None


# -- which connections


async def test_connections_that_come_and_go_are_followed(living, forge, connections):
    async with living() as rooms:
        await rooms.until(rooms.is_connected)
        task = next(one for one in asyncio.all_tasks() if one.get_name() == "stream acme")
        rooms.streams.look_again()  # other jobs, the same connections
        connections["more"] = connection(Forge(), "more")
        rooms.streams.look_again()
        await rooms.until(lambda: rooms.is_connected("more"))
        assert not task.done()
        assert len(forge.opened) == 1
        fresh = Forge()  # the configuration was read again: another object of the same name
        connections["acme"] = connection(fresh)
        del connections["more"]
        rooms.streams.look_again()
        await rooms.until(lambda: fresh.opened)
        assert forge.closed == 1
        assert fresh.opened[0] is not None
        await rooms.until(lambda: rooms.shown("more") is None)
        assert 'headgate_stream_connected{connection="more"}' not in rooms.metrics.exposition().decode()


async def test_what_does_not_stream_is_left_alone(living, connections):
    class Plain:
        authenticate = parse = None

    connections |= {"acme": connection(Plain()), "deaf": connection(deaf := Deaf(), "deaf")}
    async with living() as rooms:
        await rooms.until(lambda: deaf.opened)
        await asyncio.sleep(0)
        assert rooms.shown() is None
        assert rooms.shown("deaf") is None
        assert rooms.pauses == []
    assert len(deaf.opened) == 1
