"""Health: the worst part decides, and silence is not health."""

from __future__ import annotations

from headgate.telemetry.health import Component, Health


def test_an_expected_part_that_never_reported_is_down():
    health = Health(expected=["database"])
    assert not health.report().ready
    health.set("database", "ok")
    assert health.report().ready


def test_the_worst_part_decides_and_degraded_is_still_ready():
    health = Health()
    health.set("worker", "ok")
    health.set("plugins", "degraded", "sourcehut cannot be imported")
    report = health.report()
    assert (report.status, report.ready) == ("degraded", True)
    health.set("database", "down", "the disk is full")
    assert (health.report().status, health.report().ready) == ("down", False)
    assert health.report().components[0] == Component(name="database", status="down", reason="the disk is full")
    health.remove("database")
    assert health.report().status == "degraded"


def test_nothing_expected_and_nothing_said_is_ok():
    assert Health().report().status == "ok"
