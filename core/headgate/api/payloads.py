"""From a body's bytes to a typed native shape, within limits; not what the shape means.

`json` alone would keep the last of two equal keys, and a body of a hundred thousand brackets would be our
problem: what one parser signs and another reads must be one thing.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, TypeVar

import msgspec

from headgate.api.errors import Unreadable

MAX_DEPTH = 64
"""How deep objects and arrays may nest; recorded payloads of all providers stay under 12."""

MAX_DIGITS = 32
"""How many characters a number may have; the largest ids in the field have 20."""

T = TypeVar("T")


def read_json(body: bytes, shape: type[T]) -> T:
    """The body as a `shape` (a msgspec Struct naming only what we use; unknown keys are passed over).

    Raises `Unreadable` for anything that is not UTF-8 JSON, nests or counts beyond the limits, repeats a key,
    or does not fit; the message names the place (`$.commits[0].id`).
    """
    return fit(read_plain_json(body), shape)


def fit(value: Any, shape: type[T]) -> T:
    """A plain JSON value as a `shape`, or `Unreadable` naming the place that does not fit."""
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise Unreadable(f"the payload is not of the form its type promises: {error}") from None


def read_plain_json(body: bytes, *, repeated_text: bool = False) -> Any:
    """The body as dicts, lists and scalars, within the same limits as `read_json`.

    `repeated_text`: a key may stand twice with the same text, which is one thing to every reader. Not for a body that
    carries its own proof.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    try:
        value = (_LENIENT if repeated_text else _DECODER).decode(text)
    except RecursionError:
        raise Unreadable(f"the body nests deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise Unreadable(f"the body is not JSON: {error}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        _check_characters(value)
    return value


def _check_depth(value: Any) -> None:
    """Level by level: the reader itself gives up at Python's own limit, which is safe and far too deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise Unreadable(f"the body nests deeper than {MAX_DEPTH} levels")


def _check_characters(value: Any) -> None:
    r"""`"\ud800"` is half a character: JSON's grammar allows it, and nothing could store or send it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unreadable("the body holds half of a surrogate pair, which is no character") from None


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:80]!r} stands twice in one object")
            seen.add(key)
    return result


def _object_with_repeated_text(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs) or all(type(value) is str and result[key] == value for key, value in _doubled(pairs)):
        return result
    return _object_without_doubles(pairs)


def _doubled(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    counts = Counter(key for key, _ in pairs)
    return [(key, value) for key, value in pairs if counts[key] > 1]


def _short_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} characters")
    return int(text)


def _short_float(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} characters")
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_LIMITS: dict[str, Any] = {"parse_int": _short_int, "parse_float": _short_float, "parse_constant": _no_constant}
_DECODER = json.JSONDecoder(object_pairs_hook=_object_without_doubles, **_LIMITS)
_LENIENT = json.JSONDecoder(object_pairs_hook=_object_with_repeated_text, **_LIMITS)
