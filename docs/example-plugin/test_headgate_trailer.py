"""What the condition says, and what it compared; no server, because a rule is a pure function."""

from __future__ import annotations

from datetime import UTC, datetime

import headgate_trailer
import pytest

from headgate import api

PUSH = api.Push(
    repository=api.Repository(host="git.example.org", path="team/app"),
    ref="refs/heads/main",
    before=None,
    after="a" * 40,
)


def subject(message):
    return api.Subject(event=PUSH, observer="webhook", now=datetime(2026, 1, 1, tzinfo=UTC), message=message)


@pytest.mark.parametrize(
    ("options", "message", "passed"),
    [
        ({"name": "CI"}, "Faster queue\n\nCI: full\n", True),
        ({"name": "CI", "value": "full"}, "Faster queue\n\nThe why.\n\nci: full\nSigned-off-by: A", True),
        ({"name": "CI", "value": "full"}, "Faster queue\n\nCI: quick", False),
        ({"name": "CI"}, "CI: a subject line is no trailer", False),
        ({"name": "CI"}, None, False),
    ],
)
def test_a_trailer_asks_for_a_build(options, message, passed):
    assert headgate_trailer.compile_trailer(options).judge(subject(message)).passed is passed


def test_the_verdict_shows_what_was_compared():
    verdict = headgate_trailer.compile_trailer({"name": "CI", "value": "full"}).judge(subject("x\n\nCI: quick"))
    assert verdict.compared == {"name": "CI", "wanted": "full", "found": "quick"}


def test_the_kind_is_offered_as_conditions_trailer():
    (kind,) = headgate_trailer.headgate_conditions()
    assert (kind.name, kind.compile) == ("trailer", headgate_trailer.compile_trailer)
