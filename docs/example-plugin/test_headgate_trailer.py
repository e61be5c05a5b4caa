"""What the condition says, and what it compared; no server, because a rule is a pure function."""

from __future__ import annotations

import headgate_trailer

from headgate import api
from headgate.api.testing import NOW, ConditionContract

(KIND,) = headgate_trailer.headgate_conditions()

PUSH = api.Push(
    repository=api.Repository(host="git.example.org", path="team/app"),
    ref="refs/heads/main",
    before=None,
    after="a" * 40,
)


def subject(message):
    return api.Subject(event=PUSH, observer="webhook", now=NOW, message=message)


class TestTrailer(ConditionContract):
    """The contract of every condition: strict schema, pure, verdicts that name their rule. Ours are the examples."""

    kind = KIND
    passing = (
        ({"name": "CI"}, subject("Faster queue\n\nCI: full\n")),
        ({"name": "CI", "value": "full"}, subject("Faster queue\n\nThe why.\n\nci: full\nSigned-off-by: A")),
    )
    failing = (
        ({"name": "CI", "value": "full"}, subject("Faster queue\n\nCI: quick")),
        ({"name": "CI"}, subject("CI: a subject line is no trailer")),
        ({"name": "CI"}, subject(None)),
    )
    refused = ({}, {"name": "two words"})


def test_the_verdict_shows_what_was_compared():
    verdict = KIND.compile({"name": "CI", "value": "full"}).judge(subject("x\n\nCI: quick"))
    assert verdict.compared == {"name": "CI", "wanted": "full", "found": "quick"}
