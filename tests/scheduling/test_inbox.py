"""The inbox: every recorded delivery is routed once, now or after a restart, whatever it holds."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from flow_parts import WEB, A, B, make_job, push

from headgate import api
from headgate.plugins.circuits import FAULTS
from headgate.scheduling import crowds
from headgate.scheduling import inbox as inbox_module
from headgate.scheduling.inbox import Inbox
from headgate.scheduling.readings import OpenConnection
from headgate.storage import builds, deliveries
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id


class Provider:
    """Reads what a test put into the body."""

    readings: dict[bytes, object]

    def __init__(self):
        self.readings = {}

    def authenticate(self, delivery):
        return api.Seal()

    def parse(self, delivery):
        reading = self.readings[delivery.body]
        if isinstance(reading, Exception):
            raise reading
        return reading


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def connections(provider):
    return {"acme": OpenConnection(name="acme", provider=provider, normalise=str.lower)}


@pytest.fixture
def running(database, world, connections, log):
    asked = []

    async def poll(connection, key, delivery_id):
        asked.append((connection, key))
        return "asked acme/web: nothing moved"

    @asynccontextmanager
    async def start():
        inbox = Inbox(
            database=database,
            flow=world.flow,
            connection=connections.get,
            poll=poll,
            default_branch=lambda *_: "main",
            log=log,
            now=lambda: datetime.now(UTC),
        )
        inbox.asked = asked
        task = asyncio.create_task(inbox.run())
        yield inbox
        task.cancel()
        await asyncio.wait([task])

    return start


def new_delivery(body, connection="acme"):
    now = datetime.now(UTC)
    return NewDelivery(
        delivery=api.Delivery(id=new_id("d", now), connection=connection, received_at=now, headers=(), body=body)
    )


async def record(database, body, connection="acme"):
    new = new_delivery(body, connection)
    await database.writer.add(deliveries.record, new)
    return new


async def settled(database, delivery_id, *, within=5.0):
    async with asyncio.timeout(within):
        while True:
            async with database.reading() as connection:
                found = await deliveries.get(connection, delivery_id)
            if found.state != "recorded":
                return found
            await asyncio.sleep(0.01)


async def count(database):
    async with database.reading() as connection:
        return len((await builds.page(connection, limit=200)).items)


async def test_what_an_earlier_life_recorded_is_routed_at_the_start_and_once(running, provider, database, world):
    world.use(make_job("web"))
    provider.readings[b"1"] = api.Parsed(events=(push(None, A),))
    new = await record(database, b"1")
    for _ in range(2):
        async with running():
            assert (await settled(database, new.delivery.id)).state == "routed"
    assert await count(database) == 1


async def test_each_kind_of_delivery_ends_where_it_belongs(running, provider, database, world, monkeypatch):
    monkeypatch.setattr("headgate.scheduling.inbox.RETRY_SECONDS", 0.01)
    world.use(make_job("web"))
    provider.readings = {
        b"ignored": api.Ignored(reason="stars build nothing"),
        b"unreadable": api.Unreadable("no repository"),
        b"bug": ZeroDivisionError("in a plugin"),
        b"nul": api.Parsed(events=(push(None, A, ref="refs/heads/a\0b"),)),
        b"ping": api.Parsed(events=(api.Ping(repository=WEB),)),
        b"poll": api.Parsed(events=(api.PollRequested(repository=WEB),)),
    }
    async with running() as inbox:
        found = {}
        for body in provider.readings:
            new = await record(database, body)
            inbox.received(new, None)
            found[body] = await settled(database, new.delivery.id)
    assert (found[b"ignored"].state, found[b"ignored"].reason) == ("ignored", "stars build nothing")
    assert (found[b"unreadable"].state, found[b"unreadable"].reason) == ("unreadable", "no repository")
    assert found[b"bug"].state == "unreadable"
    assert (found[b"nul"].state, "holds a NUL" in found[b"nul"].reason) == ("unreadable", True)
    assert "ZeroDivisionError" in found[b"bug"].reason
    assert found[b"ping"].state == "routed"
    assert (found[b"poll"].state, found[b"poll"].reason) == ("routed", "asked acme/web: nothing moved")
    assert inbox.asked == [("acme", "acme/web")]


async def test_deliveries_wait_for_a_provider_that_breaks_and_are_routed_when_it_is_well(
    running, provider, connections, database, monkeypatch
):
    monkeypatch.setattr("headgate.scheduling.inbox.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("headgate.scheduling.inbox.LATER", 0.01)
    monkeypatch.setattr("headgate.plugins.circuits.FIRST_PAUSE", 0.2)
    bodies = [str(number).encode() for number in range(FAULTS + 1)]
    provider.readings = dict.fromkeys(bodies, ZeroDivisionError("in a plugin"))
    guard = connections["acme"].guard
    async with running() as inbox:
        new = [await record(database, body) for body in bodies]
        for one in new:
            inbox.received(one, None)
        async with asyncio.timeout(5):
            while not guard.is_open("parse"):
                await asyncio.sleep(0.01)
        async with database.reading() as connection:
            kept = [await deliveries.get(connection, one.delivery.id) for one in new]
        assert {one.state for one in kept} == {"recorded"}
        provider.readings = dict.fromkeys(bodies, api.Parsed(events=(api.Ping(repository=WEB),)))
        for one in new:
            assert (await settled(database, one.delivery.id)).state == "routed"
        assert not guard.is_open("parse")


async def test_a_delivery_waits_for_its_connection_and_is_not_lost(running, provider, connections, database, world):
    world.use(make_job("web"))
    provider.readings[b"1"] = api.Parsed(events=(push(None, A),))
    new = await record(database, b"1")
    gone = connections.pop("acme")
    async with running() as inbox:
        await asyncio.sleep(0.2)
        async with database.reading() as connection:
            assert (await deliveries.get(connection, new.delivery.id)).state == "recorded"
        connections["acme"] = gone
        inbox.look_again()
        assert (await settled(database, new.delivery.id)).state == "routed"


async def test_more_than_fits_in_memory_is_still_all_routed(running, provider, database, world, monkeypatch):
    monkeypatch.setattr(inbox_module, "IN_MEMORY", 3)
    world.use(make_job("web"))
    async with running() as inbox:
        sent = []
        for number in range(20):
            body = str(number).encode()
            provider.readings[body] = api.Parsed(events=(push(None, f"{number + 1:040x}", ref=f"refs/heads/{number}"),))
            new = await record(database, body)
            inbox.received(new, None)
            sent.append(new)
        for new in sent:
            await settled(database, new.delivery.id)
    assert await count(database) == 20


@pytest.mark.parametrize(("most", "held"), [(1_000, 1_400), (10**9, 8_000)])
async def test_bodies_in_memory_are_bounded_also_while_they_are_routed(  # noqa: PLR0917 - fixtures
    running, provider, database, world, monkeypatch, most, held
):
    """Half were left by an earlier run, half come now, and none is settled yet; with no bound (the control) all are held."""
    monkeypatch.setattr(inbox_module, "BYTES_IN_MEMORY", most)
    world.use(make_job("web"))
    new = [new_delivery(f"{number:0400}".encode()) for number in range(20)]
    for number, one in enumerate(new):
        provider.readings[one.delivery.body] = api.Parsed(
            events=(push(None, f"{number + 1:040x}", ref=f"refs/heads/{number}"),)
        )
    for one in new[:10]:
        await database.writer.add(deliveries.record, one)
    admit, gate, alive = world.flow.admit, asyncio.Event(), 0

    async def held_up(facts, **more):
        nonlocal alive
        alive += 400
        await gate.wait()
        return await admit(facts, **more)

    monkeypatch.setattr(world.flow, "admit", held_up)
    async with running() as inbox:
        for one in new[10:]:
            await database.writer.add(deliveries.record, one)
            inbox.received(one, None)
        seen = -1
        while seen != alive or alive < min(most, 8_000):
            seen = alive
            await asyncio.sleep(0.3)
        assert alive <= held
        assert (alive > 1_400) == (most > 1_000)
        gate.set()
        for one in new:
            assert (await settled(database, one.delivery.id)).state == "routed"
        assert inbox._bytes == 0
    assert await count(database) == 20


@pytest.mark.parametrize(("places", "size", "routed"), [(6, 10**9, True), (10**9, 6_000, True), (10**9, 10**9, False)])
async def test_who_waits_for_a_host_that_hangs_holds_up_nobody_else(  # noqa: PLR0917 - fixtures
    running, provider, connections, database, world, monkeypatch, places, size, routed
):
    """And without bounds (the control) they take every place there is, also that of other connections."""
    monkeypatch.setattr(crowds, "PLACES", places)
    monkeypatch.setattr(crowds, "BYTES", size)
    monkeypatch.setattr(crowds, "STUCK", 0.05)
    monkeypatch.setattr(inbox_module, "UNSETTLED", inbox_module.ROUND + 4)
    connections["well"] = OpenConnection(name="well", provider=provider, normalise=str.lower)
    world.use(make_job("web"))
    admit, gate, order = world.flow.admit, asyncio.Event(), []

    async def held_up(facts, *, settled):
        if facts[0].connection == "acme":
            await gate.wait()
            order.append(settled.id)
        return await admit(facts, settled=settled)

    monkeypatch.setattr(world.flow, "admit", held_up)
    async with running() as inbox:
        sent = []
        for number in range(40):
            body = f"{number:01000}".encode()
            provider.readings[body] = api.Parsed(events=(push(None, f"{number + 1:040x}", ref=f"refs/heads/{number}"),))
            sent.append(await record(database, body))
            inbox.received(sent[-1], None)
        other = await record(database, body, "well")
        inbox.received(other, None)
        if routed:
            assert (await settled(database, other.delivery.id)).state == "routed"
        else:
            with pytest.raises(TimeoutError):
                await settled(database, other.delivery.id, within=1)
        assert not order
        gate.set()
        for new in sent:
            assert (await settled(database, new.delivery.id)).state == "routed"
        assert order == [new.delivery.id for new in sent]
        assert inbox._bytes == 0
    assert await count(database) == 40


@pytest.mark.parametrize(("patience", "routed"), [(0.05, True), (3600.0, False)])
async def test_a_server_that_never_rests_routes_by_and_by(  # noqa: PLR0917 - fixtures
    running, provider, database, world, monkeypatch, patience, routed
):
    """And without that patience (the control) requests that never end would keep deliveries waiting for ever."""
    monkeypatch.setattr(inbox_module, "PATIENCE", patience)
    monkeypatch.setattr(inbox_module, "QUIET", 3600.0)
    monkeypatch.setattr(Inbox, "_is_at_ease", lambda self: False)
    world.use(make_job("web"))
    provider.readings[b"1"] = reading = api.Parsed(events=(push(None, A),))
    async with running() as inbox:
        new = await record(database, b"1")
        inbox.received(new, reading)
        if routed:
            assert (await settled(database, new.delivery.id)).state == "routed"
        else:
            with pytest.raises(TimeoutError):
                await settled(database, new.delivery.id, within=0.5)
    assert await count(database) == routed


async def test_without_looking_at_tasks_the_order_would_be_lost(running, provider, database, world, monkeypatch):
    """Negative control of the test below."""
    monkeypatch.setattr(Inbox, "_is_behind", lambda self, places: False)
    with pytest.raises(AssertionError):
        await test_what_is_read_already_and_what_is_not_keep_their_order(
            running, provider, database, world, monkeypatch
        )


async def test_what_is_read_already_and_what_is_not_keep_their_order(running, provider, database, world, monkeypatch):
    """One kind is judged at once, the other by a task: of one repository they are admitted as they came."""
    route_apart = Inbox._route_apart

    async def later(self, one, places):
        await asyncio.sleep(0.05)  # every task; what does not wait for it is judged long before
        await route_apart(self, one, places)

    monkeypatch.setattr(Inbox, "_route_apart", later)
    world.use(make_job("web"))
    heads = [f"{number + 1:040x}" for number in range(12)]
    async with running() as inbox:
        sent = []
        for number, (before, after) in enumerate(pairwise([None, *heads])):
            body = str(number).encode()
            provider.readings[body] = reading = api.Parsed(events=(push(before, after),))
            new = await record(database, body)
            sent.append(new)
            inbox.received(new, reading if number % 3 else None)
        for new in sent:
            await settled(database, new.delivery.id)
    async with database.reading() as connection:
        found = (await builds.page(connection, limit=200)).items
    assert [build.sha for build in sorted(found, key=lambda build: build.number)] == heads


@pytest.mark.parametrize("page", [2, 256])
async def test_who_comes_during_a_look_at_the_database_does_not_overtake_what_is_there(  # noqa: PLR0917 - fixtures
    running, provider, database, world, monkeypatch, page
):
    world.use(make_job("web"))
    heads = [f"{number + 1:040x}" for number in range(6)]
    new = []
    for number, (before, after) in enumerate(pairwise([None, *heads])):
        body = str(number).encode()
        provider.readings[body] = api.Parsed(events=(push(before, after),))
        new.append(new_delivery(body))
    *earlier, last = new
    for one in earlier:
        await database.writer.add(deliveries.record, one)
    looks = 0

    async def pending(connection, **more):
        nonlocal looks
        found = await look(connection, **more)
        looks += 1
        if looks == 1:
            await database.writer.add(deliveries.record, last)
            inbox.received(last, provider.readings[last.delivery.body])
        return found

    look = deliveries.pending
    monkeypatch.setattr(deliveries, "pending", pending)
    monkeypatch.setattr(inbox_module, "PAGE", page)
    async with running() as inbox:
        for one in new:
            await settled(database, one.delivery.id)
    async with database.reading() as connection:
        found = (await builds.page(connection, limit=200)).items
    assert [build.sha for build in sorted(found, key=lambda build: build.number)] == heads


async def test_a_fault_below_leaves_the_delivery_recorded_and_tries_again(
    running, provider, database, world, monkeypatch
):
    monkeypatch.setattr(inbox_module, "RETRY_SECONDS", 0.05)
    world.use(make_job("web"))
    provider.readings[b"1"] = api.Parsed(events=(push(None, B),))
    admit = world.flow.admit
    failures = iter([RuntimeError("disk full"), RuntimeError("disk full")])

    async def sometimes(*args, **more):
        if error := next(failures, None):
            raise error
        return await admit(*args, **more)

    monkeypatch.setattr(world.flow, "admit", sometimes)
    async with running() as inbox:
        new = await record(database, b"1")
        inbox.received(new, None)
        await settled(database, new.delivery.id)
    assert await count(database) == 1
