"""jsonschema set to our strictness: `1.0` is no integer, and our formats are checked; not its wording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from headgate.config.formats import Formats

Strict: TypeAlias = Any
"""A validator as `jsonschema.protocols.Validator` describes it."""


def strict_validator(schema: Mapping[str, Any], formats: Formats) -> Strict:
    """A validator for `schema`, whose errors jsonschema words and `headgate.config.explain` words better."""

    def check_format(_: Any, name: object, instance: object, __: object) -> Iterator[ValidationError]:
        if isinstance(instance, str) and (fault := formats.fault(name, instance)):
            yield ValidationError(fault.message)

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    kind: Any = extend(  # type: ignore[no-untyped-call]  # jsonschema does not say its types here
        Draft202012Validator, {"format": check_format}, type_checker=types
    )
    return kind(schema)
