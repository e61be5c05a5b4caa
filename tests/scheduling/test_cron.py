"""`H` in cron lines, and weekdays that mean what a crontab says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from headgate.scheduling.cron import resolve_cron


@given(st.integers(0, 2**48))
def test_every_seed_gives_a_line_that_the_scheduler_takes_within_the_range(seed):
    for line in ("H * * * *", "H/5 * * * *", "H(0-29) H(1-5) * * *", "H H H H H"):
        resolved = resolve_cron(line, seed=seed)
        assert "H" not in resolved
        assert CronTrigger.from_crontab(resolved, "UTC")
    minute = int(resolve_cron("H(0-29) * * * *", seed=seed).split()[0])
    assert 0 <= minute <= 29


def test_the_same_repository_keeps_its_minute_and_others_have_others():
    assert resolve_cron("H * * * *", seed=7) == resolve_cron("H * * * *", seed=7)
    assert len({resolve_cron("H * * * *", seed=seed) for seed in range(60)}) == 60


def test_a_weekday_number_counts_from_sunday_as_in_crontab():
    """APScheduler counts from Monday: without the names, a job for Sunday would run on Monday."""
    line = resolve_cron("0 2 * * 0", seed=0)
    due = CronTrigger.from_crontab(line, "UTC").get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC))
    assert due.strftime("%A") == "Sunday"
    naive = CronTrigger.from_crontab("0 2 * * 0", "UTC").get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC))
    assert naive.strftime("%A") == "Monday", "the control: what happens to numbers that are passed on"
    assert resolve_cron("0 2 * * 1-5", seed=0).endswith("mon,tue,wed,thu,fri")


@pytest.mark.parametrize("line", ["", "* * * *", "Hx * * * *", "H(50-70) * * * *", "H/0 * * * *", "0 0 * * 5-1"])
def test_a_bad_line_is_refused(line):
    with pytest.raises(ValueError, match=r"cron line|is no "):
        resolve_cron(line, seed=1)
