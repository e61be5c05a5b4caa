"""What was expected of one value and what was found, in words; not where it stands, nor which error is worth telling."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headgate.api import BASE_URL_PATTERN
from headgate.config.examples import as_meant, needs
from headgate.config.formats import shown
from headgate.config.nearest import listed, nearest

_PATTERNS: Mapping[str, str] = {
    BASE_URL_PATTERN: "https://host or https://host/path (http:// on this machine only), without user, query or fragment"
}
"""What the patterns that plugins share ask for, in words."""

EXPECTED = "x-headgate-expected"
"""Annotates a pattern: what it asks for, in words."""

_LONGEST_PATTERN = 40
"""Characters of a pattern that people are shown; of a longer one its description says more."""

LATER = "x-headgate-later"
"""Annotates an object or an enum: keys or words that are known and not yet supported."""

_TYPE_WORDS: Mapping[str, str] = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}

BOUNDS: Mapping[str, Callable[[Any, Any], str]] = {
    "minimum": lambda bound, value: f"expected at least {bound}, found {value}",
    "maximum": lambda bound, value: f"expected at most {bound}, found {value}",
    "exclusiveMinimum": lambda bound, value: f"expected more than {bound}, found {value}",
    "exclusiveMaximum": lambda bound, value: f"expected less than {bound}, found {value}",
    "multipleOf": lambda step, value: f"expected a multiple of {step}, found {value}",
    "minLength": lambda least, value: (
        "must not be empty" if least == 1 else f"expected at least {least} characters, found {len(value)}"
    ),
    "maxLength": lambda most, value: f"expected at most {most} characters, found {len(value)}",
    "minItems": lambda least, _: "must not be empty" if least == 1 else f"expected at least {least} items",
    "maxItems": lambda most, value: f"expected at most {most} items, found {len(value)}",
    "uniqueItems": lambda _, value: f"{said(_repeated(value))} stands here twice",
    "minProperties": lambda least, _: "must not be empty" if least == 1 else f"expected at least {least} keys",
    "maxProperties": lambda most, value: (
        f"expected one key, found {', '.join(f'`{key}`' for key in value)}; start each with a `- ` of its own"
        if most == 1
        else f"expected at most {most} keys, found {len(value)}"
    ),
    "dependentRequired": lambda wanted, value: "; ".join(
        f"`{name}` needs {' and '.join(f'`{other}`' for other in others if other not in value)} beside it"
        for name, others in wanted.items()
        if name in value and not set(others) <= set(value)
    ),
}


def found(value: Any) -> str:
    """A value in a message."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return shown(value)
    return said(value)


def exclusion(names: Sequence[str]) -> str:
    """That keys must not stand together."""
    return f"{' and '.join(f'`{name}`' for name in dict.fromkeys(names))} exclude each other"


def expected_values(value: Any, values: Sequence[Any]) -> tuple[str, str | None]:
    """Message and hint for a value that is none of `values`."""
    words = [said(one) for one in values]
    expected = words[0] if len(words) == 1 else f"one of {listed(words)}"
    near = nearest(str(value), map(str, values)) if isinstance(value, (str, bool, int)) else None
    return f"expected {expected}, found {found(value)}", f"did you mean `{near}`?" if near else None


def pattern_problem(pattern: str, value: Any, node: Mapping[str, Any]) -> tuple[str, str | None]:
    """Message and hint for a text that does not match; a pattern is shown only where nothing else says what it wants."""
    if expected := node.get(EXPECTED) or _PATTERNS.get(pattern):
        return f"expected {expected}, found {found(value)}", None
    about = first_sentence(node.get("description"))
    if about is None or len(pattern) <= _LONGEST_PATTERN:
        return f"{found(value)} does not match the pattern `{pattern}`", about
    example = next((one for one in node.get("examples", ()) if isinstance(one, str)), None)
    return f"{found(value)} is not of the form that is wanted", about + (f", such as {example}" if example else "")


def later_word(value: Any, node: Mapping[str, Any]) -> tuple[str, str] | None:
    """Message and hint for a word that the schema knows and does not offer yet."""
    if value not in node.get(LATER, ()):
        return None
    known = " or ".join(said(one) for one in node.get("enum", ()))
    return f"{found(value)} is not supported by this version of Headgate", f"write {known}"


def type_problem(types: Any, value: Any, node: Mapping[str, Any]) -> tuple[str, str | None]:  # noqa: PLR0911 - one for each thing people write
    """Message and hint for a value of another type, with what was probably meant."""
    words = {types} if isinstance(types, str) else set(types)
    items = node.get("items")
    if isinstance(value, str) and isinstance(items, dict) and items.get("format") == "secret":
        # What stands there may be the secret itself.
        return f"expected {type_words(types)}, found a text", "write [secret://store/name]"
    if isinstance(value, str) and any(_IN_QUOTES[word].fullmatch(value) for word in words & _IN_QUOTES.keys()):
        return f"expected {type_words(types)}, found the text {found(value)}", "write it without quotes"
    message = f"expected {type_words(types)}, found {found(value)}"
    is_block, is_list = "object" in words, "array" in words
    if value is not None and (is_block or is_list) and (example := as_meant(value, node)):
        return message, f"write {example}"
    if is_list and isinstance(value, dict) and as_meant("x", node):
        return message, "start each of its items with `- `"
    if is_block and not isinstance(value, list) and (needed := needs(node)):
        return message, f"it needs {needed}"
    if is_block and value is None:
        return message, "write `{}` for a block without options"
    return message, first_sentence(node.get("description"))


_IN_QUOTES: Mapping[str, re.Pattern[str]] = {
    "integer": re.compile(r"-?[0-9]{1,20}"),
    "number": re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?"),
    "boolean": re.compile("true|false"),
}
"""Texts that would be of the type, were they not in quotes."""


def type_words(types: Any) -> str:
    """A type or several, in words."""
    return " or ".join(_TYPE_WORDS[word] for word in ([types] if isinstance(types, str) else types))


def said(value: Any) -> str:
    """A value that a schema names."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "nothing" if value is None else f"`{value}`"


def _repeated(values: Sequence[Any]) -> Any:
    return next(value for at, value in enumerate(values) if value in values[:at])


def first_sentence(text: Any) -> str | None:
    """A description, cut to what fits into a hint."""
    if not isinstance(text, str) or not text:
        return None
    return re.split(r"(?<=[.;]) ", text, maxsplit=1)[0].rstrip(".;")
