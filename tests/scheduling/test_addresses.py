"""The networks that hosts publish: asked for, kept over restarts, and not given up for a host that says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import structlog

from headgate import api
from headgate.plugins.guard import lone_guard
from headgate.scheduling import addresses as module
from headgate.scheduling.addresses import Addresses
from headgate.storage import sender_addresses
from headgate.storage.errors import StorageFull

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Host:
    def __init__(self, *said):
        self.said = list(said)
        self.asked = 0

    async def sender_addresses(self):
        self.asked += 1
        answer = self.said.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def addresses(database, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.0)
    monkeypatch.setattr(module, "AGAIN", 0.0)

    def make(host, published):
        return Addresses(
            database=database,
            wanted=lambda: {"hub": SimpleNamespace(provider=host, guard=lone_guard())},
            published=published,
            log=structlog.get_logger(),
            now=lambda: NOW,
        )

    return make


async def kept(database):
    async with database.reading() as connection:
        return {one.connection: one.networks for one in await sender_addresses.all(connection)}


async def test_what_a_host_says_is_published_and_kept(addresses, database):
    published = {}
    asking = addresses(Host(("192.0.2.0/24",), ("192.0.2.0/24",), ("198.51.100.0/24",)), published)
    await asking.look()
    first = published["hub"]
    assert await kept(database) == {"hub": ("192.0.2.0/24",)}
    await asking.look()
    assert published["hub"] is first, "nobody has to read again what did not change"
    await asking.look()
    assert published["hub"] == ("198.51.100.0/24",)
    assert await kept(database) == published


@pytest.mark.parametrize("silence", [api.Unavailable("down"), ZeroDivisionError("a bug"), ()])
async def test_the_last_good_answer_stays(addresses, database, silence):
    published = {}
    asking = addresses(Host(("192.0.2.0/24",), silence), published)
    await asking.look()
    await asking.look()
    assert published == {"hub": ("192.0.2.0/24",)}
    assert await kept(database) == published


@pytest.mark.parametrize("beside", [True, False], ids=["side by side", "control"])
async def test_a_host_that_hangs_keeps_no_other_waiting(database, monkeypatch, beside):
    """Negative control: asked one after another, the second waits for the first."""
    ends, published = asyncio.Event(), {}

    async def one_by_one(*asked):
        for one in asked:
            await one

    if not beside:
        monkeypatch.setattr(asyncio, "gather", one_by_one)

    class Hanging(Host):
        async def sender_addresses(self):
            await ends.wait()
            raise api.Unavailable("down")

    hosts = {"hung": Hanging(), "hub": Host(("192.0.2.0/24",))}
    asking = Addresses(
        database=database,
        wanted=lambda: {name: SimpleNamespace(provider=host, guard=lone_guard()) for name, host in hosts.items()},
        published=published,
        log=structlog.get_logger(),
        now=lambda: NOW,
    )
    look = asyncio.create_task(asking.look())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while not published:
                await asyncio.sleep(0.01)
    assert bool(published) is beside
    assert not look.done()
    ends.set()
    await look


async def test_a_full_disk_is_no_reason_to_end(addresses, database, monkeypatch):
    published = {}
    asking = addresses(Host(("192.0.2.0/24",), ("192.0.2.0/24",)), published)

    async def full(_):
        raise StorageFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr(database.writer, "write", full)
        await asking.look()
    assert published == {"hub": ("192.0.2.0/24",)}
    assert await kept(database) == {}
    await asking.look()
    assert await kept(database) == published


async def test_what_was_learned_is_there_after_a_restart_before_anybody_answers(addresses, database):
    await addresses(Host(("192.0.2.0/24",)), {}).look()
    published = {}

    again = addresses(Host(), published)
    seen = []

    async def stop(*_):
        seen.append(dict(published))
        raise StopAsyncIteration

    again._ask = stop
    with pytest.raises(StopAsyncIteration):
        await again.run()
    assert seen == [{"hub": ("192.0.2.0/24",)}]


async def test_a_host_is_not_asked_again_before_its_time(addresses, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 3600.0)
    host = Host(("192.0.2.0/24",), ("192.0.2.0/24",))
    asking = addresses(host, {})
    await asking.look()
    await asking.look()
    assert host.asked == 1
