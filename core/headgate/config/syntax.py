"""Why a text is no YAML, in an admin's words; not what strict YAML refuses beyond that.

What the parser says is about its own state. Where it is known what people mostly did, that is said instead. No text
of the file is repeated: it may be a secret in a wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import yaml

from headgate.api import Problem

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""

_Meant: TypeAlias = tuple[Any, str, str | None]
"""Where something stands (a mark of PyYAML's), what is wrong with it, and what to write."""

# What libyaml says, and what an admin can do about it.
_WORDS: Mapping[str, str] = {
    "found character that cannot start any token": "this character cannot stand here",
    "mapping values are not allowed in this context": "a second `:` on this line, or a line indented too far; put texts that hold `: ` in quotes",
    "found unexpected end of stream": "the file ends inside a quoted text",
    "did not find expected key": "expected a key; look at the indentation of this line and the quotes before it",
    "could not find expected ':'": "expected `:` after a key",
    "found unknown directive name": "directives (`%…`) are refused",
    "block sequence entries are not allowed in this context": "a list starts on a line of its own, below its key",
    "did not find expected '-' indicator": "expected `- `; look at the indentation of this line",
    "did not find expected ',' or ']'": "expected `,` or `]`",
    "did not find expected ',' or '}'": "expected `,` or `}`",
    "did not find expected node content": "expected a value",
    "did not find expected <document start>": "expected the document to end; look at the indentation of this line",
}  # fmt: skip


def syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """The one problem for which `text` could not be read to its end."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        if (meant := _unquoted(error, text) or _unfinished_key(error, text)) is not None:
            mark, message, hint = meant
        else:
            said = error.problem or error.context or "this is not YAML"
            message, hint = _WORDS.get(said, said), None
            if error.context and error.context_mark and error.context_mark.line != mark.line:
                hint = f"{error.context} that starts in line {error.context_mark.line + 1}"
        return Problem(file=file, line=mark.line + 1, column=mark.column + 1, message=message, hint=hint)
    if isinstance(error, yaml.reader.ReaderError):
        # Characters that are not allowed stop the reading before there are marks.
        at = next((at for at, character in enumerate(text) if ord(character) == error.character), 0)
        line, column = place_of(text, at)
        message = f"the character U+{ord(text[at]) if text else 0:04X} is not allowed"
        return Problem(file=file, line=line, column=column, message=message)
    return Problem(file=file, message=f"this is not YAML: {error}")


def _unquoted(error: yaml.MarkedYAMLError, text: str) -> _Meant | None:
    """A text without quotes whose first character means something to YAML, or a tab."""
    if error.problem in {"found character that cannot start any token", _TAB}:
        mark = error.problem_mark
    elif error.context in {"while scanning an alias", "while scanning an anchor", "while scanning a tag"}:
        mark = error.context_mark
    else:
        return None
    if mark is None:
        return None
    first = text[mark.index : mark.index + 1]
    if first == "\t":
        return mark, "this is a tab; indentation needs spaces", None
    hint = f'such as "{_PATTERNS[first]}"' if first in _PATTERNS else None
    return (mark, f"a text that starts with {first} needs quotes", hint) if first in _SPECIAL else None


_TAB = "found a tab character that violates indentation"
_SPECIAL = frozenset("*&!@`%")
_PATTERNS: Mapping[str, str] = {"*": "*", "!": "!wip"}


def _unfinished_key(error: yaml.MarkedYAMLError, text: str) -> _Meant | None:
    """A line where a key should stand: mostly the text of a block (`run: |`) that is not indented deeper than its key."""
    mark = error.context_mark
    if error.context != "while scanning a simple key" or mark is None:
        return None
    before = text[: mark.index].rstrip().rpartition("\n")[2]
    if block := _BLOCK.fullmatch(before):
        wanted = len(block["indent"]) + 2
        message = f"the text of `{block['key']}` has to be indented deeper than its key"
        return mark, message, f"start each of its lines with {wanted} spaces"
    return mark, "expected a key with `:` after it", None


_BLOCK = re.compile(r"(?P<indent> *(?:- +)*)(?P<key>[\w.-]{1,60}: *[|>][-+0-9]*)(?: +#.*)?")
"""The line before the text of a block."""


def place_of(text: str, at: int) -> Place:
    """The place of the character with that number, from 0."""
    before = text[:at]
    return before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
