"""Where a secret may travel."""

from __future__ import annotations

import pytest

from headgate.credentials.hosts import allows, check_rule


@pytest.mark.parametrize(
    ("rules", "host", "allowed"),
    [
        ([], "github.com", False),
        (["github.com"], "github.com", True),
        (["GitHub.com."], "github.COM", True),
        (["github.com"], "github.com.", True),
        (["github.com"], "evil-github.com", False),
        (["github.com"], "github.com.evil.org", False),
        (["github.com"], "api.github.com", False),
        (["*.github.com"], "api.github.com", True),
        (["*.github.com"], "a.b.github.com", True),
        (["*.github.com"], "github.com", False),
        (["*.github.com"], ".github.com", False),
        (["*.github.com"], "evilgithub.com", False),
        (["*."], "github.com", False),
        (["git*.com"], "github.com", False),
        (["[a-z]ithub.com"], "github.com", False),
        (["*"], "anything.example", True),
        (["*"], "", False),
        (["*"], "host/path", False),
        (["*"], "user@host", False),
        (["*"], "a b", False),
        (["::1"], "[::1]", True),
        (["localhost", "127.0.0.1"], "127.0.0.1", True),
    ],
)
def test_a_host_fits_exactly_or_below_a_star(rules: list[str], host: str, allowed: object) -> None:
    assert allows(rules, host) is allowed


@pytest.mark.parametrize("rule", ["https://github.com", "github.com/acme", "git hub", "", "a.*.com", "**", "*.", "x@y"])
def test_a_rule_that_no_host_fits_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        check_rule(rule)


def test_a_rule_gets_its_one_spelling() -> None:
    assert [check_rule(rule) for rule in ("GitHub.com.", "*.Example.ORG", "*", "[::1]")] == [
        "github.com",
        "*.example.org",
        "*",
        "::1",
    ]
