"""What a value that fits becomes: durations as seconds, sizes as bytes, paths absolute; not whether it fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from headgate.config.fitting import Fitting
from headgate.config.formats import CONVERTED
from headgate.config.keywords import Fits
from headgate.config.nodes import Node, resolve, root_of

Convert: TypeAlias = Callable[[Any], Any]


class Converting:
    """One schema's conversions. Where a schema has none, nothing is copied."""

    def __init__(self, schema: Mapping[str, Any], fitting: Fitting) -> None:
        """`fitting`: of the same schema; it decides between the branches of `anyOf` and its like."""
        self._schema = schema
        self._fitting = fitting
        self._converts: dict[tuple[int, int], Convert | None] = {}

    def convert(self, value: Any) -> Any:
        """What `value`, which fits, becomes."""
        convert = self._convert_of(self._schema, self._schema)
        return value if convert is None else convert(value)

    def _convert_of(self, node: Node, root: Mapping[str, Any]) -> Convert | None:
        """What makes the value of it; `None` where nothing changes."""
        if isinstance(node, bool):
            return None
        root = root_of(node, root)
        key = (id(node), id(root))
        if key not in self._converts:

            def later(value: Any) -> Any:
                made = self._converts[key]
                return value if made is None else made(value)

            self._converts[key] = later  # what a schema that refers to itself finds
            self._converts[key] = self._make_convert(node, root)
        return self._converts[key]

    def _make_convert(self, node: Mapping[str, Any], root: Mapping[str, Any]) -> Convert | None:
        steps: list[Convert] = []
        name = node.get("format")
        if name in CONVERTED:
            steps.append(lambda value: self._fitting.formats.convert(name, value) if isinstance(value, str) else value)
        if "$ref" in node and str(node["$ref"]).startswith("#"):
            steps.append(self._convert_of(resolve(node["$ref"], root), root) or _same)
        steps.extend(self._convert_of(branch, root) or _same for branch in node.get("allOf", ()))
        for keyword in ("anyOf", "oneOf"):
            branches = [(self._fitting.of(b, root), self._convert_of(b, root)) for b in node.get(keyword, ())]
            if any(convert for _, convert in branches):
                steps.append(_convert_first(branches))
        if "if" in node:
            steps.append(
                _convert_chosen(
                    self._fitting.of(node["if"], root),
                    self._convert_of(node.get("then", True), root),
                    self._convert_of(node.get("else", True), root),
                )
            )
        steps.append(self._convert_members(node, root) or _same)
        steps.append(self._convert_items(node, root) or _same)
        real = tuple(step for step in steps if step is not _same)
        if not real:
            return None

        def convert(value: Any) -> Any:
            for step in real:
                value = step(value)
            return value

        return convert

    def _convert_members(self, node: Mapping[str, Any], root: Mapping[str, Any]) -> Convert | None:
        known = {name: self._convert_of(child, root) for name, child in node.get("properties", {}).items()}
        patterns = [(re.compile(p), self._convert_of(c, root)) for p, c in node.get("patternProperties", {}).items()]
        further = self._convert_of(node.get("additionalProperties", True), root)
        if further is None and not any(known.values()) and not any(convert for _, convert in patterns):
            return None

        def of(name: str) -> Convert | None:
            if name in known:
                return known[name]
            return next((convert for pattern, convert in patterns if pattern.search(name)), further)

        def convert(value: Any) -> Any:
            if not isinstance(value, dict):
                return value
            return {name: member if (change := of(name)) is None else change(member) for name, member in value.items()}

        return convert

    def _convert_items(self, node: Mapping[str, Any], root: Mapping[str, Any]) -> Convert | None:
        first = [self._convert_of(child, root) for child in node.get("prefixItems", ())]
        rest = self._convert_of(node.get("items", True), root)
        if rest is None and not any(first):
            return None

        def convert(value: Any) -> Any:
            if not isinstance(value, list):
                return value
            changes = [*first, *[rest] * max(0, len(value) - len(first))]
            return [
                member if change is None else change(member)
                for member, change in zip(value, changes[: len(value)], strict=True)
            ]

        return convert


def _same(value: Any) -> Any:
    return value


def _convert_first(branches: Sequence[tuple[Fits, Convert | None]]) -> Convert:
    def convert(value: Any) -> Any:
        for fits, change in branches:
            if fits(value):
                return value if change is None else change(value)
        return value

    return convert


def _convert_chosen(condition: Fits, then: Convert | None, other: Convert | None) -> Convert:
    if then is None and other is None:
        return _same

    def convert(value: Any) -> Any:
        change = then if condition(value) else other
        return value if change is None else change(value)

    return convert
