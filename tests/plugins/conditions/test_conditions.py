"""The built-in conditions: the contract every condition keeps, and what each decides."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from headgate import api
from headgate.api.testing import ConditionContract, sample_events, sample_subject
from headgate_plugins import conditions

KINDS = {kind.name: kind for kind in conditions.headgate_conditions()}
EVENT = sample_events()[0]


def said(message):
    return sample_subject(EVENT, message=message)


def by(author):
    return sample_subject(EVENT, author=author)


def at(text, zone="UTC"):
    """2026-01-05 is a Monday."""
    return sample_subject(EVENT, now=datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


class TestMessage(ConditionContract):
    kind = KINDS["message"]
    passing = (
        ({"matching": "^release"}, said("release 1.0")),
        ({"not_matching": r"\[skip ci\]"}, said("Fix it")),
        ({"not_matching": r"\[skip ci\]"}, said(None)),
        ({"matching": "a", "not_matching": "b"}, said("a")),
    )
    failing = (
        ({"matching": "^release"}, said("Fix it")),
        ({"matching": "."}, said(None)),
        ({"not_matching": r"\[skip ci\]"}, said("Fix it [skip ci]")),
        ({"not_matching": r"\[skip ci\]"}, said("Fix it\n\n[skip ci]\n")),
        ({"matching": "a", "not_matching": "b"}, said("ab")),
    )
    refused = ({}, {"matching": "("}, {"matching": ""}, {"not_matching": "(?=x)"}, {"matching": 7})


class TestAuthor(ConditionContract):
    kind = KINDS["author"]
    passing = (
        ({"is": ["ada", "grace"]}, by("Ada")),
        ({"not": ["renovate-bot"]}, by("ada")),
        ({"not": ["renovate-bot"]}, by(None)),
        ({"not": ["bot"]}, by("robot")),
    )
    failing = (
        ({"is": ["ada"]}, by("mallory")),
        ({"is": ["ada"]}, by(None)),
        ({"is": ["ada"]}, by("")),
        ({"not": ["renovate-bot"]}, by("Renovate-Bot")),
        ({"is": ["ada"], "not": ["ada"]}, by("ada")),
    )
    refused = ({}, {"is": []}, {"is": "ada"}, {"not": [""]})


OFFICE = {"from": "08:00", "to": "20:00", "days": "mon-fri", "timezone": "Europe/Berlin"}
NIGHT = {"from": "22:00", "to": "06:00", "days": "fri"}


class TestTimeWindow(ConditionContract):
    kind = KINDS["time_window"]
    passing = (
        (OFFICE, at("2026-01-05T08:00", "Europe/Berlin")),
        (OFFICE, at("2026-01-05T19:59:59", "Europe/Berlin")),
        (OFFICE, at("2026-01-05T07:00")),
        (OFFICE, at("2026-07-06T06:00")),
        (NIGHT, at("2026-01-09T23:00")),
        (NIGHT, at("2026-01-10T05:59")),
        ({"days": "sat,sun"}, at("2026-01-10T12:00")),
        ({"days": "sat-mon"}, at("2026-01-05T12:00")),
        ({"from": "12:00"}, at("2026-01-05T23:59:59")),
        ({"to": "24:00"}, at("2026-01-05T23:59")),
    )
    failing = (
        (OFFICE, at("2026-01-05T20:00", "Europe/Berlin")),
        (OFFICE, at("2026-01-05T07:59:59", "Europe/Berlin")),
        (OFFICE, at("2026-01-10T12:00", "Europe/Berlin")),
        (OFFICE, at("2026-01-05T06:59")),
        (OFFICE, at("2026-07-06T05:59")),
        (NIGHT, at("2026-01-09T05:00")),
        (NIGHT, at("2026-01-10T06:00")),
        (NIGHT, at("2026-01-10T23:00")),
        ({"days": "sat,sun"}, at("2026-01-09T12:00")),
    )
    refused = (
        {},
        {"from": "8:00"},
        {"from": "24:00"},
        {"to": "25:00"},
        {"days": "mon-"},
        {"days": "monday"},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
    )


def test_the_verdict_says_what_was_compared():
    found = KINDS["time_window"].compile(OFFICE).judge(at("2026-01-10T12:00", "Europe/Berlin"))
    assert (found.rule, found.reason) == ("conditions.time_window.days", "sat is no day of the window")
    assert found.compared == {**OFFICE, "now": "2026-01-10T12:00:00+01:00", "weekday": "sat"}


def test_a_long_message_is_cut_in_the_verdict_but_not_for_the_expression():
    condition = KINDS["message"].compile({"not_matching": "end$"})
    found = condition.judge(said("x" * 5000 + "end"))
    assert not found.passed
    assert len(found.compared["message"]) == 200


def test_conditions_judge_what_is_no_push_too():
    for event in (api.Manual(job="web", actor="ada"), api.Tick(job="web", scheduled_for=at("2026-01-05").now)):
        subject = sample_subject(event, author="ada")
        assert KINDS["author"].compile({"is": ["ada"]}).judge(subject).passed
