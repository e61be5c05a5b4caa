"""Globs and expressions as admins write them: what matches, what is refused, and that no pattern takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import api


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("main", ["main"], ["main2", "Main", "x/main", "main\n"]),
        ("release/*", ["release/1", "release/"], ["release/1/x", "release"]),
        ("release/**", ["release/1", "release/1/x"], ["release", "prerelease/1"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax", "a/x/b"]),
        ("**", ["", "a", "a/b"], []),
        ("v?", ["v1"], ["v", "v12", "v/"]),
        ("[ab]c", ["ac", "bc"], ["cc", "abc"]),
        ("[!a]c", ["bc"], ["ac", "/c"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("{a,b/*}.md", ["a.md", "b/x.md"], ["c.md", "b.md"]),
        ("a.b+c(d)", ["a.b+c(d)"], ["aXb+c(d)"]),
        ("a,b}", ["a,b}"], []),
        ("feature/é*", ["feature/été"], ["feature/e"]),
    ],
)
def test_globs(pattern, matching, others):
    globs = api.Globs([pattern])
    assert [text for text in matching if globs.match(text) != pattern] == []
    assert [text for text in others if globs.match(text) is not None] == []


def test_the_last_pattern_that_matches_decides():
    globs = api.Globs(["release/**", "!release/old/**", "release/old/keep"])
    assert globs.match("release/1") == "release/**"
    assert globs.match("release/old/1") is None
    assert globs.match("release/old/keep") == "release/old/keep"


def test_patterns_that_only_exclude_are_refused_with_what_to_write():
    with pytest.raises(ValueError, match=r"match nothing.*; write \[\"\*\*\", \"!wip\", \"!x/\*\"\]$"):
        api.Globs(["!wip", "!x/*"])
    assert api.Globs(["**", "!wip", "!x/*"]).match("main") == "**"
    assert api.Globs(["!wip", "main"]).match("main") == "main"


@pytest.mark.parametrize("pattern", ["", "!", "[a", "{a", "{a,b", "[z-a]"])
def test_a_bad_glob_is_a_value_error(pattern):
    with pytest.raises(ValueError, match=r"."):
        api.Globs([pattern])


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{1001}", "[", "\\"])
def test_what_is_not_re2_is_a_value_error(pattern):
    with pytest.raises(ValueError, match="not RE2"):
        api.compile_regex(pattern)


def test_an_expression_takes_linear_time():
    started = time.monotonic()
    assert api.compile_regex("(a+)+$").search("a" * 100_000 + "b") is None
    assert api.Globs(["**/" * 20 + "x"]).match("a/" * 20_000) is None
    assert time.monotonic() - started < 2


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_pattern_matches_or_is_a_value_error(pattern, text):
    try:
        api.Globs([pattern]).match(text)
    except ValueError:
        return


@given(st.text("abc/.-_", min_size=1, max_size=30))
def test_a_name_without_wildcards_matches_itself_only(name):
    globs = api.Globs([name])
    assert globs.match(name) == name
    assert globs.match(name + "x") is None
    assert globs.literal_prefixes() == (name,)


@given(st.lists(st.text("ab/*?", min_size=1, max_size=8), min_size=1, max_size=3), st.text("ab/", max_size=8))
def test_what_matches_starts_with_a_literal_prefix(patterns, text):
    globs = api.Globs(patterns)
    if globs.match(text) is not None:
        assert text.startswith(globs.literal_prefixes())
