"""Numbers and booleans that are meant as texts: `1.10` where a schema wants a text is "1.10"; not for quoted texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headgate.config.fitting import Fitting
from headgate.config.nodes import Node, children, resolve, root_of, types_of, word_for_type
from headgate.config.yaml import Document, KeyPath


def take_as_written(document: Document, below: KeyPath, value: Any, fitting: Fitting) -> bool:
    """Change `value`, which stands at `below`, where its schema wants a text and a number or boolean was written.

    Gives whether anything was changed.
    """
    changed = False
    depth = len(below)
    for path, text in document.texts.items():
        if len(path) <= depth or path[:depth] != below:
            continue
        *way, last = path[depth:]
        try:
            parent = value
            for step in way:
                parent = parent[step]
            parent[last]
        except LookupError:  # a whole block that was wrong has been cut out
            continue
        if parent[last] is not None and _takes_text(fitting, path[depth:], value, parent[last]):
            parent[last] = text
            changed = True
    return changed


def _takes_text(fitting: Fitting, path: Sequence[str | int], value: Any, leaf: Any) -> bool:
    """Whether at `path` below `value` a text may stand, but nothing of the type of `leaf`, which stands there."""
    here = list(_branches(fitting, fitting.schema, fitting.schema, value))
    for step in path:
        value = value[step]
        here = [
            branch
            for node, root in here
            for child in children(node, step)
            for branch in _branches(fitting, child, root, value)
        ]
    types = {word for node, _ in here for word in types_of(node)}
    found = word_for_type(leaf)
    return "string" in types and found not in types and not (found == "integer" and "number" in types)


def _branches(
    fitting: Fitting, node: Node, root: Mapping[str, Any], value: Any
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """A schema and all that it applies to the same value, always or in some case, each with its root."""
    if isinstance(node, bool):
        return
    root = root_of(node, root)
    yield node, root
    if "$ref" in node:
        yield from _branches(fitting, resolve(node["$ref"], root), root, value)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for branch in node.get(keyword, ()):
            yield from _branches(fitting, branch, root, value)
    if "if" in node:
        chosen = "then" if fitting.of(node["if"], root)(value) else "else"
        yield from _branches(fitting, node.get(chosen, True), root, value)
