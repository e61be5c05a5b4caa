"""One function for each JSON Schema keyword that can be checked quickly; not how a whole schema is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from headgate.config.formats import Formats
from headgate.config.nodes import TYPES, Node, equal, resolve

Fits: TypeAlias = Callable[[Any], bool]


class Schemas(Protocol):
    """What a keyword asks for the schemas within its own."""

    @property
    def formats(self) -> Formats:
        """What the formats mean here."""

    def of(self, node: Node, root: Mapping[str, Any]) -> Fits:
        """The function of a schema within."""


Maker: TypeAlias = Callable[[Schemas, Any, Mapping[str, Any], Mapping[str, Any]], "Fits | None"]
"""Gets the keyword's value, its schema and the root of that; gives `None` where jsonschema has to decide."""


def _type(_: Schemas, argument: Any, *__: object) -> Fits | None:
    words = [argument] if isinstance(argument, str) else argument
    checks = [TYPES[word] for word in words]
    return checks[0] if len(checks) == 1 else lambda value: any(check(value) for check in checks)


def _enum(_: Schemas, argument: Any, *__: object) -> Fits | None:
    if any(isinstance(value, (dict, list)) for value in argument):
        return None
    known = {(isinstance(value, bool), value) for value in argument}

    def fits(value: Any) -> bool:
        return not isinstance(value, (dict, list)) and (isinstance(value, bool), value) in known

    return fits


def _const(of: Schemas, argument: Any, *__: object) -> Fits | None:
    return _enum(of, [argument])


def _required(_: Schemas, argument: Any, *__: object) -> Fits:
    names = tuple(argument)
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _items(of: Schemas, argument: Any, node: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    check = of.of(argument, root)
    start = len(node.get("prefixItems", ()))
    return lambda value: not isinstance(value, list) or all(check(member) for member in value[start:])


def _prefix_items(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    checks = [of.of(child, root) for child in argument]
    return lambda value: (
        not isinstance(value, list) or all(check(member) for check, member in zip(checks, value, strict=False))
    )


def _property_names(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    check = of.of(argument, root)
    return lambda value: not isinstance(value, dict) or all(check(name) for name in value)


def _pattern(_: Schemas, argument: Any, *__: object) -> Fits:
    search = re.compile(argument).search
    return lambda value: not isinstance(value, str) or search(value) is not None


def _format(of: Schemas, argument: Any, *__: object) -> Fits:
    formats = of.formats
    return lambda value: not isinstance(value, str) or formats.fault(argument, value) is None


def _length(kind: type[str | list[Any] | dict[str, Any]], *, at_least: bool) -> Maker:
    def make(_: Schemas, argument: Any, *__: object) -> Fits:
        if at_least:
            return lambda value: not isinstance(value, kind) or len(value) >= argument
        return lambda value: not isinstance(value, kind) or len(value) <= argument

    return make


def _bound(fits: Callable[[Any, Any], bool]) -> Maker:
    is_number = TYPES["number"]

    def make(_: Schemas, argument: Any, *__: object) -> Fits:
        return lambda value: not is_number(value) or fits(value, argument)

    return make


def _unique(_: Schemas, argument: Any, *__: object) -> Fits:
    if not argument:
        return lambda _value: True

    def fits(value: Any) -> bool:
        if not isinstance(value, list) or len(value) <= 1:
            return True
        if all(isinstance(member, str) for member in value):
            return len(set(value)) == len(value)
        return not any(equal(one, other) for at, one in enumerate(value) for other in value[at + 1 :])

    return fits


def _all_of(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    checks = [of.of(branch, root) for branch in argument]
    return lambda value: all(check(value) for check in checks)


def _any_of(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    checks = [of.of(branch, root) for branch in argument]
    return lambda value: any(check(value) for check in checks)


def _one_of(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    checks = [of.of(branch, root) for branch in argument]
    return lambda value: sum(check(value) for check in checks) == 1


def _not(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    check = of.of(argument, root)
    return lambda value: not check(value)


def _if(of: Schemas, argument: Any, node: Mapping[str, Any], root: Mapping[str, Any]) -> Fits:
    condition = of.of(argument, root)
    then = of.of(node.get("then", True), root)
    other = of.of(node.get("else", True), root)
    return lambda value: then(value) if condition(value) else other(value)


def _dependent_required(_: Schemas, argument: Any, *__: object) -> Fits:
    return lambda value: (
        not isinstance(value, dict)
        or all(other in value for name, others in argument.items() if name in value for other in others)
    )


def _ref(of: Schemas, argument: Any, _: Mapping[str, Any], root: Mapping[str, Any]) -> Fits | None:
    if not argument.startswith("#"):
        return None
    return of.of(resolve(argument, root), root)


MAKERS: Mapping[str, Maker] = {
    "$ref": _ref,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _const,
    "dependentRequired": _dependent_required,
    "enum": _enum,
    "exclusiveMaximum": _bound(lambda value, bound: value < bound),
    "exclusiveMinimum": _bound(lambda value, bound: value > bound),
    "format": _format,
    "if": _if,
    "items": _items,
    "maxItems": _length(list, at_least=False),
    "maxLength": _length(str, at_least=False),
    "maxProperties": _length(dict, at_least=False),
    "maximum": _bound(lambda value, bound: value <= bound),
    "minItems": _length(list, at_least=True),
    "minLength": _length(str, at_least=True),
    "minProperties": _length(dict, at_least=True),
    "minimum": _bound(lambda value, bound: value >= bound),
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "prefixItems": _prefix_items,
    "propertyNames": _property_names,
    "required": _required,
    "type": _type,
    "uniqueItems": _unique,
}
