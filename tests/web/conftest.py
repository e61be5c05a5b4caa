"""A real server for each test; `web_server` says what stands behind it."""

from __future__ import annotations

import pytest
from web_server import running_server


@pytest.fixture
async def server(tmp_path):
    """Listens on loopback and on a Unix socket."""
    async with running_server(tmp_path) as running:
        yield running
