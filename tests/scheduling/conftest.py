"""A flow over a real database, shared with tests/flow."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flow_parts import NoHistory

from headgate.flow import Flow
from headgate.plugins import load_plugins
from headgate.routing.index import make_snapshot
from headgate.storage.database import open_database
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics


class Silent:
    """A log that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def warning(self, event, **values):
        self.lines.append((event, values))

    debug = info = error = warning


@pytest.fixture
def log():
    return Silent()


@pytest.fixture
async def database(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)

    def fatal(error):
        raise error

    async with open_database(url, on_fatal=fatal) as opened:
        yield opened


class World:
    """A flow whose jobs a test may change."""

    def __init__(self, database):
        self.snapshot = make_snapshot((), load_plugins().kinds, normalise={})
        self.metrics = Metrics()
        self.health = Health()
        self.flow = Flow(
            database=database,
            snapshot=lambda: self.snapshot,
            history=NoHistory(),
            notifiers={},
            seal=lambda text, _: text,
            metrics=self.metrics,
            now=lambda: datetime.now(UTC),
            planned=lambda _: None,
        )

    def use(self, *jobs):
        normalise = dict.fromkeys((job.source.connection for job in jobs), str.lower)
        self.snapshot = make_snapshot(jobs, load_plugins().kinds, normalise=normalise)


@pytest.fixture
def world(database):
    return World(database)
