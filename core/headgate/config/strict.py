"""jsonschema set to our strictness: `1.0` is no integer, and our formats are checked; not its wording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import FormatError
from jsonschema.validators import extend

from headgate.config.formats import Formats

Strict: TypeAlias = Any
"""A validator as `jsonschema.protocols.Validator` describes it."""

_TYPES = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_VALIDATOR: Any = extend(Draft202012Validator, type_checker=_TYPES)  # type: ignore[no-untyped-call]  # jsonschema's lack


def strict_validator(schema: Mapping[str, Any], formats: Formats) -> Strict:
    """A validator for `schema`, whose errors jsonschema words and `headgate.config.explain` words better."""
    return _VALIDATOR(schema, format_checker=_FormatCheck(formats))


class _FormatCheck:
    """What jsonschema asks about formats: the one method of its `FormatChecker` that it calls."""

    def __init__(self, formats: Formats) -> None:
        self._formats = formats

    def check(self, instance: object, name: str) -> None:
        """Raises `FormatError` when a text is not of the format."""
        if isinstance(instance, str) and (fault := self._formats.fault(name, instance)):
            raise FormatError(fault.message)
