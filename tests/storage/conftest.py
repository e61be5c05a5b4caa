"""Real SQLite files for every test, and values to put into them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headgate.api import Delivery, Repository
from headgate.storage.builds import NewBuild
from headgate.storage.database import open_database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.storage.schema import migrate

NOW = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def now():
    """A moment with microseconds."""
    return NOW


@pytest.fixture
def url(tmp_path):
    """A database that has our tables and is closed."""
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)
    return url


@pytest.fixture
def fatal():
    """What `on_fatal` was told."""
    return []


@pytest.fixture
async def database(url, fatal):
    """An open database."""
    async with open_database(url, on_fatal=fatal.append) as database:
        yield database
    assert not fatal


@pytest.fixture
def make_delivery():
    """Makes a delivery to be recorded."""

    def make(*, key=None, connection="acme", body=b'{"a": 1}', seconds=0, **more):
        moment = NOW + timedelta(seconds=seconds)
        more.setdefault("headers", (("x-event", "push"), ("x-event", "twice")))
        delivery = Delivery(
            id=new_id("d", moment), connection=connection, received_at=moment, body=body, remote="127.0.0.1", **more
        )
        return NewDelivery(delivery=delivery, key=key, event="push")

    return make


@pytest.fixture
def make_build():
    """Makes a build to be planned."""

    def make(*, seconds=0, **more):
        moment = NOW + timedelta(seconds=seconds)
        values = {
            "id": new_id("b", moment),
            "job": "web",
            "reason": "a push",
            "trigger": "push",
            "connection": "acme",
            "repository": Repository(host="git.example.org", path="acme/web"),
            "repository_key": "acme/web",
            "ref": "refs/heads/main",
            "sha": "a" * 40,
            "definition": "f" * 64,
            "event_id": "e_1",
            "decision_id": "x_1",
            "queued_at": moment,
        }
        return NewBuild(**(values | more))

    return make
