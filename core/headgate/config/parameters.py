"""A job's parameters: their definitions, and values given for them on any way into the queue; not how a build gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headgate.api import ParameterDefinition, QueueError, compile_regex
from headgate.config.formats import shown
from headgate.config.nearest import listed, suggestion
from headgate.config.reserved import is_reserved

MAX_BYTES = 65_536
"""The longest value, in UTF-8: an environment variable has to hold it."""

_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][-+]?[0-9]{1,2})?")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "choices": ("choice",),
    "pattern": ("string", "text"),
    "minimum": ("number",),
    "maximum": ("number",),
}
"""Keys that mean something for some types only."""


def validate(
    definitions: Sequence[ParameterDefinition], given: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The values of all parameters, defaults filled in, and apart from them those of type password.

    Raises `QueueError` that lists every fault: an unknown name with the nearest known one, a missing value, a
    value that is no choice, no number, out of bounds or not of the pattern. No message repeats a password.
    """
    known = [definition.name for definition in definitions]
    faults = [_unknown(name, known) for name in given if name not in known]
    values: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for definition in definitions:
        value = given.get(definition.name, definition.default)
        if value is None:
            faults.append(f"{definition.name} needs a value")
            continue
        value, fault = _normal(definition, value)
        if fault is not None:
            faults.append(f"{definition.name}: {fault}")
        elif definition.type == "password":
            secrets[definition.name] = value
        else:
            values[definition.name] = value
    if faults:
        raise QueueError("; ".join(faults))
    return values, secrets


def _unknown(name: str, known: Sequence[str]) -> str:
    hint = suggestion(name, known, noun="parameters")
    return f"there is no parameter {shown(name)}" + (f" ({hint})" if hint else "")


def _normal(definition: ParameterDefinition, value: str) -> tuple[str, str | None]:  # noqa: PLR0911 - one for each type
    """The value as the build gets it, and what is wrong with it."""
    if len(value.encode(errors="replace")) > MAX_BYTES:
        return value, f"longer than {MAX_BYTES} bytes"
    if not value.isprintable() and (fault := _character_fault(definition, value)):
        return value, fault
    match definition.type:
        case "boolean":
            word = value.casefold()
            return word, None if word in {"true", "false"} else f"expected true or false, found {shown(value)}"
        case "choice":
            if value not in definition.choices:
                return value, _no_choice(value, definition.choices)
        case "number":
            return value, _number_fault(definition, value)
        case "string" | "text":
            if definition.pattern is not None and not compile_regex(definition.pattern).fullmatch(value):
                return value, f"{shown(value)} does not match the pattern `{definition.pattern}`"
        case "password":
            pass
    return value, None


def _character_fault(definition: ParameterDefinition, value: str) -> str | None:
    if "\0" in value:
        return "a NUL character cannot be passed on"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "half of a surrogate pair is no character"
    if definition.type not in {"text", "password"} and re.search(r"[\r\n]", value):
        return "only a parameter of type text may have several lines"
    return None


def _no_choice(value: str, choices: Sequence[str]) -> str:
    hint = suggestion(value, choices)
    near = f" ({hint})" if hint and hint.startswith("did you mean") else ""
    return f"expected one of {listed(choices)}, found {shown(value)}{near}"


def _number_fault(definition: ParameterDefinition, value: str) -> str | None:
    if not _NUMBER.fullmatch(value):
        return f"expected a number, found {shown(value)}"
    number = float(value)
    if definition.minimum is not None and number < definition.minimum:
        return f"expected at least {definition.minimum:g}, found {value}"
    if definition.maximum is not None and number > definition.maximum:
        return f"expected at most {definition.maximum:g}, found {value}"
    return None


def define(
    name: str, block: Mapping[str, Any], *, default: str | None, choices: Sequence[str]
) -> tuple[ParameterDefinition, list[tuple[str, str]]]:
    """A definition from a block that fits its schema, and what the schema could not see: (key, message) pairs.

    `default` and `choices` are the texts as they were written. An empty key is the parameter itself.
    """
    definition = ParameterDefinition(
        name=name,
        type=block.get("type", "string"),
        default=default,
        description=block.get("description", ""),
        choices=tuple(choices),
        pattern=block.get("pattern"),
        minimum=block.get("minimum"),
        maximum=block.get("maximum"),
    )
    return definition, list(_definition_faults(definition, block))


def _definition_faults(definition: ParameterDefinition, block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if is_reserved(definition.name):
        yield "", f"`{definition.name}` cannot be a parameter: programs, or Headgate itself, obey it"
    for key, types in _KEYS.items():
        if key in block and definition.type not in types:
            yield key, f"`{key}` is for type {' and '.join(types)}, and this is of type {definition.type}"
    rule_faults = list(_rule_faults(definition))
    yield from rule_faults
    if definition.default is None or rule_faults:
        return
    if definition.type == "password":
        yield "default", "a password has no default: it would stand in the file for all to read"
    elif fault := _normal(definition, definition.default)[1]:
        yield "default", fault


def _rule_faults(definition: ParameterDefinition) -> Iterator[tuple[str, str]]:
    """Faults of what values are checked by."""
    if definition.type == "choice" and not definition.choices:
        yield "", "a parameter of type choice needs `choices`"
    if definition.minimum is not None and definition.maximum is not None and definition.minimum > definition.maximum:
        yield "maximum", "`maximum` is less than `minimum`"
    if definition.pattern is not None:
        try:
            compile_regex(definition.pattern)
        except ValueError as error:
            yield "pattern", str(error)
