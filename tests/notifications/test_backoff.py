"""When to tell again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headgate.notifications.backoff import TRIES, next_try

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_waits_grow_from_seconds_to_about_a_day_in_all(chance: float) -> None:
    waits = [next_try(n, NOW, chance=chance) - NOW for n in range(1, TRIES)]
    assert timedelta(seconds=4) <= waits[0] <= timedelta(seconds=6)
    assert waits == sorted(waits)
    assert timedelta(hours=17) < sum(waits, timedelta()) < timedelta(hours=27)
    assert next_try(TRIES, NOW, chance=chance) is None


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({next_try(3, NOW, chance=n / 10) for n in range(10)}) == 10


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(-60, 1, 3), (0, 1, 3), (3600, 3600, 3602), (10**7, 86400, 86400)]
)
def test_a_target_is_not_asked_before_it_said_and_not_left_for_more_than_a_day(
    asked: int, least: int, most: int
) -> None:
    for chance in (0.0, 1.0):
        wait = next_try(1, NOW, chance=chance, asked=NOW + timedelta(seconds=asked)) - NOW
        assert timedelta(seconds=least) <= wait <= timedelta(seconds=most)


def test_even_a_target_that_always_asks_for_patience_is_given_up() -> None:
    assert next_try(TRIES, NOW, chance=0.5, asked=NOW + timedelta(seconds=1)) is None
