"""Patterns admins write: globs for refs, paths and repositories, RE2 for text; linear time whatever they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2

WILDCARDS = frozenset("*?[{")
"""A text with one of these is a pattern for many, one without names itself."""


class Globs:
    """Some globs, at least one of which has to match the whole text.

    `*` and `?` stop at `/`, `**` does not (`release/**` also matches nothing less than `release/x`; `**/x`
    also matches `x`), `[abc]` is a set, `{a,b}` an alternative, a leading `!` excludes what earlier patterns
    matched. Matching is case-sensitive.
    """

    __slots__ = ("_rules", "patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        """`patterns` in the order they were written; raises `ValueError` naming the bad one, or when all exclude."""
        self.patterns = tuple(patterns)
        self._rules = tuple((not p.startswith("!"), _compile_glob(p.removeprefix("!"))) for p in self.patterns)
        if self._rules and not any(including for including, _ in self._rules):
            lets_in = ", ".join(f'"{pattern}"' for pattern in ("**", *self.patterns))
            raise ValueError(
                f"patterns with ! alone match nothing, as they only take back what others let in; write [{lets_in}]"
            )

    def match(self, text: str) -> str | None:
        """The pattern that let `text` in, the last one that decides; `None` when none does."""
        found: str | None = None
        for pattern, (including, expression) in zip(self.patterns, self._rules, strict=True):
            if including is (found is None) and expression.fullmatch(text):
                found = pattern if including else None
        return found

    def literal_prefixes(self) -> tuple[str, ...]:
        """For each including pattern what every match must start with; the whole text where it has no wildcard."""
        return tuple(_literal_prefix(pattern) for pattern in self.patterns if not pattern.startswith("!"))


def compile_regex(pattern: str) -> Any:
    """An RE2 expression (no look-around, no back-references, linear time); `ValueError` says what is wrong.

    `search` and `fullmatch` are what callers use. Syntax: https://github.com/google/re2/wiki/Syntax
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        raise ValueError(f"the expression {pattern!r} is not RE2: {reason}") from None


def glob_to_regex(pattern: str) -> str:  # noqa: C901 - one branch for each thing a glob can say
    """The RE2 text of one glob, for `fullmatch`; raises `ValueError` for an open set or brace."""
    result: list[str] = []
    braces = 0
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            result.append("(?:.*/)?")
            at += 3
            continue
        if pattern.startswith("**", at):
            result.append(".*")
            at += 2
            continue
        if character == "*":
            result.append("[^/]*")
        elif character == "?":
            result.append("[^/]")
        elif character == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise ValueError(f"the pattern {pattern!r} opens a set with [ and does not close it")
            negated = pattern[at + 1] in "!^"
            inner = pattern[at + 2 if negated else at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            result.append(f"[{'^/' if negated else ''}{inner}]")
            at = end
        elif character == "{":
            braces += 1
            result.append("(?:")
        elif character == "}" and braces:
            braces -= 1
            result.append(")")
        elif character == "," and braces:
            result.append("|")
        else:
            result.append(re2.escape(character))
        at += 1
    if braces:
        raise ValueError(f"the pattern {pattern!r} opens a brace and does not close it")
    return "(?s)" + "".join(result)


def _compile_glob(pattern: str) -> Any:
    if not pattern:
        raise ValueError("a pattern must not be empty")
    return compile_regex(glob_to_regex(pattern))


def _literal_prefix(pattern: str) -> str:
    for at, character in enumerate(pattern):
        if character in WILDCARDS:
            return pattern[:at]
    return pattern
