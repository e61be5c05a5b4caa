"""A value of the wrong shape as it was probably meant: `make test` as `[{run: make test}]`; not what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from headgate.config.nearest import nearest
from headgate.config.nodes import KINDS, Node, types_of

_LONGEST = 60
_MANY = 4
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*")
"""Texts that need no quotes between brackets."""


def as_meant(value: Any, node: Node) -> str | None:
    """How to write `value` where `node` is the schema, when there is one way to mean it; else `None`.

    A text becomes the one item of a list, the one key that a mapping requires, or the name of a kind.
    """
    if isinstance(node, bool):
        return _text(value)
    types = types_of(node)
    if isinstance(value, list):
        return _list(value, node, types)
    if value is None or isinstance(value, dict):
        return None
    if "array" in types:
        inner = as_meant(value, node.get("items", True))
        return f"[{inner}]" if inner else None
    if "object" in types:
        return _mapping(value, node)
    return _text(value)


def _list(value: list[Any], node: Mapping[str, Any], types: set[str]) -> str | None:
    if "array" in types:
        inner = [as_meant(item, node.get("items", True)) for item in value]
        return f"[{', '.join(map(str, inner))}]" if all(inner) and 0 < len(inner) <= _MANY else None
    if KINDS not in node:
        return _mapping(value, node)
    named: list[tuple[Any, Any]] = []
    for item in value:
        named += item.items() if isinstance(item, dict) else [(item, None)]
    blocks = [_kind(name, node, block) for name, block in named if isinstance(name, str)]
    if len(blocks) < len(named):
        return None
    return f"{{{', '.join(map(str, blocks))}}}" if all(blocks) and 0 < len(blocks) <= _MANY else None


def _mapping(value: Any, node: Mapping[str, Any]) -> str | None:
    if KINDS in node:
        kind = _kind(value, node) if isinstance(value, str) else None
        return f"{{{kind}}}" if kind else None
    required = node.get("required", ())
    if len(required) != 1:
        return None
    inner = as_meant(value, node.get("properties", {}).get(required[0], True))
    return f"{{{required[0]}: {inner}}}" if inner else None


def _kind(name: str, node: Mapping[str, Any], block: Any = None) -> str | None:
    """A kind with its block, which is left open where something is or has to be in it."""
    known = node.get("properties", {})
    near = name if name in known else nearest(name, known)
    return f"{near}: {{{'…' if block or needs(known[near]) else ''}}}" if near else None


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or _PLAIN.fullmatch(value):
        text = str(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if value != "" and len(text) <= _LONGEST and text.isprintable() else None


def needs(node: Node) -> str | None:
    """The keys without which a block is not complete, in words; `None` where an empty one may do."""
    if isinstance(node, bool):
        return None
    if required := node.get("required"):
        return " and ".join(f"`{name}`" for name in required)
    for keyword in ("oneOf", "anyOf"):
        branches = [branch.get("required", ()) if isinstance(branch, dict) else () for branch in node.get(keyword, ())]
        if branches and all(branches):
            return " or ".join(" with ".join(f"`{name}`" for name in names) for names in branches)
    if node.get("minProperties"):
        return " or ".join(f"`{name}`" for name in node.get("properties", {})) or None
    return None
