"""What tests of running builds share: processes to look for, and deadlines instead of waiting."""

from __future__ import annotations

import os

import pytest
from build_desk import Desk
from marked import Marked

from headgate.builds.processes import Processes
from headgate.storage.database import open_database
from headgate.storage.schema import migrate


@pytest.fixture
async def processes():
    async with Processes(ready=1) as pool:
        yield pool


@pytest.fixture
def marked():
    mark = Marked()
    yield mark
    for pid in mark.pids():
        os.kill(pid, 9)


@pytest.fixture
async def database(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/headgate.db"
    migrate(url)
    fatal = []
    async with open_database(url, on_fatal=fatal.append) as database:
        yield database
    assert not fatal


@pytest.fixture
def desk(database, tmp_path):
    return Desk(database, tmp_path)
