"""Ids sort as their times do."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.storage.columns import Moment
from headgate.storage.ids import EPOCH, microseconds, new_id

TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(4000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive


@given(TIMES, TIMES)
def test_ids_sort_as_their_times(one, other):
    if one != other:
        assert (new_id("d", one) < new_id("d", other)) == (one < other)


@given(TIMES)
def test_moments_come_back_to_the_microsecond(moment):
    stored = Moment().process_bind_param(moment, None)
    assert Moment().process_result_value(stored, None) == moment


def test_ids_of_one_moment_differ():
    now = datetime.now(UTC)
    ids = {new_id("b", now) for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(re.fullmatch(r"b_[0-9a-v]{26}", one) for one in ids)


def test_other_time_zones_are_the_same_moment_and_none_is_refused():
    assert microseconds(EPOCH + timedelta(seconds=1)) == 1_000_000
    with pytest.raises(ValueError, match="without time zone"):
        microseconds(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_a_forked_process_gives_ids_of_its_own():
    """Random bytes are drawn in advance; a child must not go on with its parent's."""
    now = datetime.now(UTC)
    new_id("b", now)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, new_id("b", now).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != new_id("b", now)
    os.close(reading)
    os.close(writing)
