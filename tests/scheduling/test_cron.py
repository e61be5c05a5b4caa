"""`H` in cron lines, and weekdays that mean what a crontab says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from headgate.scheduling.cron import resolve_cron
from headgate_plugins.triggers.cron import check_cron


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


def due(line, days):
    """On which of the next `days` days the scheduler comes, as names."""
    trigger = CronTrigger.from_crontab(resolve_cron(line, seed=0), "UTC")
    moment, end, found = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days), []
    while (moment := trigger.get_next_fire_time(None, moment)) and moment < end:
        found.append(moment.strftime("%a").lower())
        moment += timedelta(minutes=1)
    return set(found)


@pytest.mark.parametrize(
    ("weekdays", "named"),
    [
        ("sun-tue", "sun mon tue"),
        ("0-2", "sun mon tue"),
        ("SUN-Tue", "sun mon tue"),
        ("sat-sun", "sat sun"),
        ("6-7", "sat sun"),
        ("fri-sun", "fri sat sun"),
        ("sun", "sun"),
        ("mon-fri/2", "mon wed fri"),
        ("1-fri", "mon tue wed thu fri"),
        ("*/2", "sun tue thu sat"),
        ("3/2", "wed fri"),
        ("sun,wed", "sun wed"),
        ("*", "mon tue wed thu fri sat sun"),
    ],
)
def test_weekdays_are_those_of_a_crontab(weekdays, named):
    assert due(f"0 2 * * {weekdays}", 14) == set(named.split())


def test_control_the_scheduler_itself_reads_them_otherwise():
    with pytest.raises(ValueError, match="minimum"):
        CronTrigger.from_crontab("0 2 * * sun-tue", "UTC")
    thursday = datetime(2026, 1, 1, 3, tzinfo=UTC)
    due = CronTrigger.from_crontab("0 2 * * mon-thu/2", "UTC").get_next_fire_time(None, thursday - timedelta(hours=2))
    assert due.strftime("%a") == "Thu", "the step is passed over in silence: Thursday is none of mon, wed"


@pytest.mark.parametrize(
    ("line", "resolved"),
    [
        ("*/60 * * * *", "0 * * * *"),
        ("0-5/6 0 1 jan *", "0 0 1 1 *"),
        ("0 0 1 Jan-dec/5 *", "0 0 1 1,6,11 *"),
        ("50/5 0 31 * *", "50,55 0 31 * *"),
    ],
)
def test_steps_and_months_are_written_out(line, resolved):
    assert resolve_cron(line, seed=0) == resolved
    assert CronTrigger.from_crontab(resolved, "UTC")


PART = r"(\*|H(\([0-9]{1,2}-[0-9]{1,2}\))?|[0-9]{1,2}(-[0-9]{1,2})?|(sun|tue|jan|dec)(-(wed|sun|mar))?)(/[0-9]{1,2})?"


@given(st.integers(0, 4), st.lists(st.from_regex(PART, fullmatch=True), min_size=1, max_size=2), st.integers(0, 2**48))
def test_what_a_job_file_may_say_can_be_scheduled(position, parts, seed):
    """The trigger that checks a job file and the poller that schedules it must not differ."""
    fields = ["*"] * 5
    fields[position] = ",".join(parts)
    line = " ".join(fields)
    try:
        check_cron(line)
    except ValueError:
        return
    assert CronTrigger.from_crontab(resolve_cron(line, seed=seed), "UTC")


@pytest.mark.parametrize("line", ["", "* * * *", "Hx * * * *", "H(50-70) * * * *", "H/0 * * * *", "0 0 * * 5-1"])
def test_a_bad_line_is_refused(line):
    with pytest.raises(ValueError, match=r"cron line|is no "):
        resolve_cron(line, seed=1)
