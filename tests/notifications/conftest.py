"""A real SQLite file, a clock that can be turned, and notifiers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from headgate.api import Build, Notification, Outcome, Provider, Repository, State
from headgate.notifications.outbox import Outbox
from headgate.storage import notifications
from headgate.storage.database import open_database
from headgate.storage.notifications import NewNotification
from headgate.storage.schema import migrate

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class Clock:
    """`now()`, turned by hand."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def turn(self, **delta: float) -> None:
        self.moment += timedelta(**delta)


class Teller:
    """A notifier that remembers what it was told and does what `answer` says."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.answer: Callable[[Notification], Awaitable[None]] | None = None
        self.running: set[str] = set()
        self.most_at_once = 0

    def wants(self, phase: Any, build: Any, options: Any) -> bool:
        return True

    def order_key(self, build: Build, options: dict[str, Any]) -> str:
        return build.id

    async def tell(self, notification: Notification, provider: Provider | None) -> None:
        self.told.append(notification)
        assert notification.build.id not in self.running, "one order key, told twice at once"
        self.running.add(notification.build.id)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if self.answer is not None:
                await self.answer(notification)
        finally:
            self.running.discard(notification.build.id)


class Counted:
    """Metrics as a list."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def notification(self, *, notifier: str, result: str) -> None:
        self.results.append(result)


def build(id: str = "b_1", state: State = State.QUEUED) -> Build:  # noqa: A002 - the word everybody says
    return Build(
        id=id,
        job="web",
        number=1,
        state=state,
        outcome=Outcome.SUCCEEDED if state is State.FINISHED else None,
        reason="push",
        trigger="push",
        connection="acme",
        repository=Repository(host="github.com", path="acme/web"),
        ref="refs/heads/main",
        sha="a" * 40,
        before=None,
        change=None,
        definition="d",
        parameters={},
        priority=50,
        event_id="e",
        decision_id="x",
        delivery_id=None,
        queued_at=START,
    )


class Bench:
    """The outbox over a database, with one notifier called `bell`."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.clock = Clock()
        self.teller = Teller()
        self.metrics = Counted()
        self.outbox = self.another()

    def another(self, **more: Any) -> Outbox:
        values: dict[str, Any] = {
            "database": self.database,
            "notifiers": {"bell": self.teller},
            "provider_of": lambda connection: None,
            "now": self.clock,
            "metrics": self.metrics,
            "public_url": "https://ci.example.org/",
        }
        return Outbox(**values | more)

    async def add(
        self,
        id: str,  # noqa: A002 - the word everybody says
        *,
        key: str = "b_1",
        sequence: int = 1,
        notifier: str = "bell",
        options: dict[str, Any] | None = None,
        connection: str = "acme",
    ) -> None:
        news = NewNotification(
            id=id,
            build_id=key,
            notifier=notifier,
            options=options or {"loud": True},
            phase="queued",
            order_key=key,
            sequence=sequence,
            build=structs.replace(build(key), connection=connection),
            created_at=self.clock.moment,
        )
        await self.database.writer.write(lambda conn: notifications.add(conn, [news]))
        self.outbox.wake()

    async def record(self, id: str) -> Any:  # noqa: A002
        async with self.database.reading() as conn:
            return await notifications.get(conn, id)

    async def until(self, id: str, state: str, *, attempts: int | None = None) -> Any:  # noqa: A002
        """The record once it is so; an error when it is not soon."""
        async with asyncio.timeout(20):
            while True:
                record = await self.record(id)
                if record.state == state and (attempts is None or record.attempts == attempts):
                    return record
                await asyncio.sleep(0.005)


@pytest.fixture
async def database(tmp_path):
    """An open database."""
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)
    fatal: list[BaseException] = []
    async with open_database(url, on_fatal=fatal.append) as database:
        yield database
    assert not fatal


@pytest.fixture
def idle_bench(database):
    """The outbox, not running."""
    return Bench(database)


@pytest.fixture
async def bench(idle_bench):
    """The outbox, running."""
    task = asyncio.create_task(idle_bench.outbox.run())
    yield idle_bench
    assert not task.done(), "the outbox ended by itself"
    task.cancel()
    await asyncio.wait([task])
