"""A flow over a real SQLite file, with jobs whose rules are the bundled ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flow_parts import NoHistory

from headgate.flow import Flow
from headgate.plugins import load_plugins
from headgate.routing.index import make_snapshot
from headgate.storage.database import open_database
from headgate.storage.schema import migrate
from headgate.telemetry.metrics import Metrics


@pytest.fixture
def url(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)
    return url


@pytest.fixture
async def database(url):
    def fatal(error):
        raise error

    async with open_database(url, on_fatal=fatal) as opened:
        yield opened


@pytest.fixture
def history():
    return NoHistory()


@pytest.fixture
def flow_of(database, history):
    """`flow_of(job, …)`; its `planned` list holds what it woke the worker for."""
    kinds = load_plugins().kinds

    def build(*jobs, notifiers=None):
        snapshot = make_snapshot(jobs, kinds, normalise={"acme": str.lower})
        planned = []
        flow = Flow(
            database=database,
            snapshot=lambda: snapshot,
            history=history,
            notifiers=notifiers or {},
            seal=lambda text, bound_to: f"sealed({len(text)}, {bound_to})",
            metrics=Metrics(),
            now=lambda: datetime.now(UTC),
            planned=planned.extend,
        )
        flow.woken_for = planned
        return flow

    return build
