"""Snapshots of small jobs."""

from __future__ import annotations

import pytest
from routing_parts import Kinds, make_job

from headgate.routing.index import make_snapshot


@pytest.fixture
def snapshot_of():
    def build(*jobs):
        return make_snapshot(jobs, Kinds(), normalise={"acme": str.lower})

    return build


@pytest.fixture
def job():
    return make_job
