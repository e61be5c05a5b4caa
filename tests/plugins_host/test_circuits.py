"""Circuits: when they open, what they let through, and what closes them; by a clock that tests turn."""

from __future__ import annotations

import pytest

from headgate.plugins.circuits import BLOCKS, FAULTS, FIRST_PAUSE, LONGEST_PAUSE, MEMORY, TRIAL, Circuit


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit(clock)


def opened(circuit):
    for _ in range(FAULTS):
        circuit.failed("broken")
    return circuit


def test_faults_in_a_row_open_it(circuit):
    for _ in range(FAULTS - 1):
        circuit.failed("broken")
        assert circuit.admits()
    circuit.failed("broken")
    assert circuit.opened
    assert circuit.reason == "broken"
    assert not circuit.admits()


def test_what_works_in_between_starts_the_count_anew(circuit):
    for _ in range(10 * FAULTS):
        circuit.failed("broken")
        circuit.worked()
    assert not circuit.opened
    assert circuit.quiet


def test_old_faults_do_not_count(circuit, clock):
    for _ in range(10 * FAULTS):
        circuit.failed("broken")
        clock.now += MEMORY + 1
    assert not circuit.opened


def test_after_a_pause_one_trial_is_let_through_and_closes_it_when_it_works(circuit, clock):
    opened(circuit)
    clock.now += FIRST_PAUSE
    assert circuit.admits()
    assert not circuit.admits()
    circuit.worked()
    assert not circuit.opened
    assert circuit.admits()


def test_what_began_before_it_opened_closes_nothing(circuit):
    opened(circuit).worked()
    assert circuit.opened


def test_a_trial_that_fails_opens_it_for_twice_as_long_up_to_a_limit(circuit, clock):
    opened(circuit)
    pauses = []
    for _ in range(10):
        pauses.append(circuit.seconds_left)
        clock.now += circuit.seconds_left
        assert circuit.admits()
        circuit.failed("broken still")
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_trial_nobody_hears_of_is_followed_by_another(circuit, clock):
    opened(circuit)
    clock.now += FIRST_PAUSE
    assert circuit.admits()
    clock.now += TRIAL
    assert circuit.admits()


def test_blocks_count_although_the_calls_work(circuit, clock):
    for _ in range(BLOCKS):
        assert not circuit.opened
        circuit.blocked("slept")
        circuit.worked()
        clock.now += 1
    assert circuit.opened
    clock.now += FIRST_PAUSE
    assert circuit.admits()
    circuit.blocked("slept again")
    circuit.worked()
    assert circuit.opened
