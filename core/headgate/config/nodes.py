"""A JSON Schema as a tree that can be walked: references, children, the types a node names; not what fits it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Node: TypeAlias = "Mapping[str, Any] | bool"

KINDS = "x-headgate-kinds"
"""Annotates an object or an enum whose names are kinds: the group they are of."""

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def word_for_type(value: Any) -> str:
    """The JSON type of a value."""
    return next((word for word, is_one in TYPES.items() if is_one(value)), "null")


def root_of(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that references in `node` count from: the nearest with an `$id`."""
    return node if "$id" in node else root


def resolve(reference: str, root: Mapping[str, Any]) -> Node:
    """What `#/$defs/name` stands for; nothing is known of a reference that leaves the schema."""
    node: Any = root
    if not reference.startswith("#"):
        return True
    for step in reference.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - the pointer's own escapes
        node = node[int(step)] if isinstance(node, list) else node[step]
    resolved: Node = node
    return resolved


def children(node: Mapping[str, Any], step: str | int) -> list[Node]:
    """The schemas a node sets for one member (by name) or item (by number)."""
    if isinstance(step, int):
        first = node.get("prefixItems", ())
        return [first[step] if step < len(first) else node.get("items", True)]
    found: list[Node] = [node["properties"][step]] if step in node.get("properties", {}) else []
    found += [child for pattern, child in node.get("patternProperties", {}).items() if re.search(pattern, step)]
    return found or [node.get("additionalProperties", True)]


def types_of(node: Mapping[str, Any]) -> set[str]:
    """The types a schema names itself."""
    types = node.get("type", ())
    if types:
        return {types} if isinstance(types, str) else set(types)
    values = list(node.get("enum", ())) + ([node["const"]] if "const" in node else [])
    return {word_for_type(value) for value in values}


def equal(one: Any, other: Any) -> bool:
    """Equal as JSON has it: `true` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return bool(one == other)


def elsewhere(schema: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    """Where else in an object `key` may stand: the shortest way to the mapping that knows it, by named keys only."""
    level: list[tuple[tuple[str, ...], Node]] = [((), schema)]
    for _ in range(_SEARCHED):
        below: list[tuple[tuple[str, ...], Node]] = []
        for way, node in level:
            for branch in [] if isinstance(node, bool) else [node, *_inner(node, schema)]:
                for name, child in branch.get("properties", {}).items():
                    if name == key:
                        return way or None
                    below.append(((*way, name), child))
        level = below
    return None


_SEARCHED = 4
"""How many levels of keys `elsewhere` looks at."""


def _inner(node: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a node hands its value or items on to."""
    inner: list[Any] = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ()), node.get("items", True)]
    if "$ref" in node:
        inner.append(resolve(node["$ref"], root))
    return [child for child in inner if isinstance(child, dict)]
