"""A host's own description of its API (OpenAPI 2 or 3), and whether a request is one that it knows; it asks nobody."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from urllib.parse import unquote

from corpus import corpus_path
from needs import need_folder

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


@cache
def description(name, *, base="", several=frozenset()):
    """The file `name` of `../shared/openapi`; a test that needs it is skipped without it. See `Description`."""
    file = need_folder(corpus_path().parent / "openapi", "the descriptions of APIs") / name
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    if ".json" in name:
        return Description(json.loads(raw), base=base, several=several)
    import yaml

    return Description(yaml.load(raw, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), base=base, several=several)


class Description:
    """Operations by method and path. `base`: what stands before the described paths; `several`: the names of path
    parameters that may hold slashes, beside those that say so themselves (`x-multi-segment`)."""

    def __init__(self, document, *, base="", several=frozenset()):
        self._document = document
        self._base = base
        self._several = several
        self._paths = [(self._pattern(path, item), path, item) for path, item in document["paths"].items()]

    def operation(self, method, path):
        """The described path and operation that a request is one of; of several the most literal; `None`: none."""
        if not path.startswith(self._base):
            return None
        rest = path.removeprefix(self._base)
        fitting = [
            (len(re.sub(r"\{[^}]+\}", "", described)), described, item)
            for pattern, described, item in self._paths
            if pattern.fullmatch(rest) and method.lower() in item
        ]
        if not fitting:
            return None
        _, described, item = max(fitting, key=lambda one: one[0])
        return described, item[method.lower()]

    def problems(self, method, path, query=(), body=None):
        """What the description does not know of a request: its path, parameters of its query, keys of a JSON body."""
        found = self.operation(method, path)
        if found is None:
            return [f"{method} {path} is not described"]
        described, operation = found
        parameters = [self._resolved(one) for one in operation.get("parameters", [])]
        parameters += [self._resolved(one) for one in self._document["paths"][described].get("parameters", [])]
        known = {one["name"] for one in parameters if one["in"] == "query"}
        needed = {one["name"] for one in parameters if one["in"] == "query" and one.get("required")}
        where = f"{method} {described}"
        problems = [f"{where}: no parameter {name}" for name in sorted(set(query) - known)]
        problems += [f"{where}: needs the parameter {name}" for name in sorted(needed - set(query))]
        schema = self._body_schema(operation, parameters)
        if body is not None and schema is None:
            problems.append(f"{where}: takes no JSON")
        elif body is not None:
            problems += [f"{where}: {problem}" for problem in self._differences(body, schema, "body")]
        return problems

    def _pattern(self, path, item):
        flagged = {
            parameter["name"]
            for operation in [item, *(one for one in item.values() if isinstance(one, dict))]
            for parameter in map(self._resolved, operation.get("parameters", []))
            if parameter.get("x-multi-segment")
        } | set(self._several)
        parts = re.split(r"\{([^}]+)\}", path)
        return re.compile(
            "".join(
                re.escape(part) if index % 2 == 0 else (".+" if part in flagged else "[^/]+")
                for index, part in enumerate(parts)
            )
        )

    def _resolved(self, value):
        while "$ref" in value:
            where = self._document
            for key in value["$ref"].removeprefix("#/").split("/"):
                where = where[unquote(key).replace("~1", "/").replace("~0", "~")]
            value = where
        return value

    def _body_schema(self, operation, parameters):
        """OpenAPI 3 has a request body, 2 a parameter."""
        content = self._resolved(operation.get("requestBody", {})).get("content", {})
        if "application/json" in content:
            return content["application/json"].get("schema", {})
        return next((one["schema"] for one in parameters if one["in"] == "body"), None)

    def _differences(self, value, schema, place):
        """Keys that are not described or missing, words that are none of an `enum`, types that are others."""
        schema = self._resolved(schema)
        for several in ("oneOf", "anyOf"):
            if several in schema:
                rest = {key: inner for key, inner in schema.items() if key != several}
                best = min((self._differences(value, one, place) for one in schema[several]), key=len)
                return [
                    *best,
                    *(self._differences(value, rest, place) if rest.keys() & {"properties", "items"} else []),
                ]
        if value is None:
            return [] if schema.get("nullable") or "type" not in schema else [f"{place} may not be null"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{place}: {value!r} is none of {schema['enum']}"]
        wanted = schema.get("type", _TYPES[type(value)])
        if _TYPES[type(value)] != wanted and not (type(value) is int and wanted == "number"):
            return [f"{place} is no {wanted}"]
        if isinstance(value, dict):
            return self._object_differences(value, schema, place)
        return self._list_differences(value, schema, place) if isinstance(value, list) else []

    def _list_differences(self, value, schema, place):
        if len(value) > schema.get("maxItems", len(value)):
            return [f"{place} has more than {schema['maxItems']}"]
        items = schema.get("items", {})
        return [one for index, item in enumerate(value) for one in self._differences(item, items, f"{place}[{index}]")]

    def _object_differences(self, value, schema, place):
        properties, required = dict(schema.get("properties", {})), set(schema.get("required", []))
        for part in map(self._resolved, schema.get("allOf", [])):
            properties |= part.get("properties", {})
            required |= set(part.get("required", []))
        closed = bool(properties) and not schema.get("additionalProperties")
        found = [f"{place}: no key {key}" for key in value if closed and key not in properties]
        found += [f"{place}: needs the key {key}" for key in sorted(required - set(value))]
        for key, inner in value.items():
            if key in properties:
                found += self._differences(inner, properties[key], f"{place}.{key}")
        return found
