"""The OpenAPI 3.1 document, made from the route table; written by nobody, so it cannot be out of date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from headgate.web import problems
from headgate.web.problems import ProblemShape
from headgate.web.routes import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_PATTERN, OPEN, Reply, Route

DESCRIPTIONS: Final[Mapping[int, str]] = {
    400: "The request is malformed; `detail` names the place.",
    401: "No token we know.",
    403: "The token lacks the permission.",
    404: "There is no such thing.",
    408: "The body took too long.",
    409: "It does not go with the state of things.",
    413: "The body is too large.",
    415: "The body is compressed or of another type.",
    417: "An expectation other than 100-continue.",
    422: "What is asked for cannot be done; `detail` says what to do instead.",
    429: "Too many; see Retry-After.",
    431: "Too many or too long headers.",
    500: "Our fault.",
    502: "Something this needs is not usable.",
    503: "Nothing can be stored right now; see Retry-After.",
}

_EVERY: Final = (400, 431, 500, 503)
_EVERY_GUARDED: Final = (401, 403)
_REF: Final = "#/components/schemas/{name}"


def openapi_document(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """The document as JSON values. Routes of plugins are left out: nobody declared what they answer."""
    published = [route for route in routes if route.published]
    shapes: list[Any] = [ProblemShape]
    for route in published:
        shapes += [reply.shape for reply in route.replies if reply.shape is not None]
        shapes += [shape for shape in (route.body, route.query) if shape is not None]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    schema_of = {id(shape): schema for shape, schema in zip(shapes, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    queries = {route.query.__name__ for route in published if route.query is not None}
    for route in published:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headgate",
            "version": version,
            "description": "From a change on a Git host to an explained build.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in sorted(components.items()) if name not in queries},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schema_of: Mapping[int, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_placeholders(route), *_arguments(route, components), *_headers(route)],
        "responses": _responses(route, schema_of),
    }
    if route.description:
        operation["description"] = route.description
    if route.permission != OPEN:
        operation["security"] = [{"token": []}]
        operation["x-permission"] = route.permission
    if route.raw_body:
        content: dict[str, Any] = {media_type: {} for media_type in route.raw_body}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": schema_of[id(route.body)]}},
        }
    return operation


def _placeholders(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _arguments(route: Route, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    shape = components[route.query.__name__]
    required = shape.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
        for name, schema in shape["properties"].items()
    ]


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query argument is left out, never null."""
    given = {key: value for key, value in schema.items() if key != "default" or value is not None}
    choices = [choice for choice in given.get("anyOf", ()) if choice != {"type": "null"}]
    if choices:
        del given["anyOf"]
        return {**given, **choices[0]} if len(choices) == 1 else {**given, "anyOf": choices}
    if "enum" in given:
        given["enum"] = [value for value in given["enum"] if value is not None]
    return given


def _headers(route: Route) -> list[dict[str, Any]]:
    if not route.takes_idempotency_key:
        return []
    schema = {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN}
    return [{"name": IDEMPOTENCY_KEY, "in": "header", "required": False, "schema": schema}]


def _responses(route: Route, schema_of: Mapping[int, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for reply in route.replies:
        response = responses.setdefault(str(reply.status), {"description": reply.description, "content": {}})
        response["content"].update(_content(reply, schema_of))
    for status in sorted({*route.errors, *_EVERY, *(() if route.permission == OPEN else _EVERY_GUARDED)}):
        response = responses.setdefault(str(status), {"description": DESCRIPTIONS[status], "content": {}})
        response["content"][problems.CONTENT_TYPE] = {"schema": schema_of[id(ProblemShape)]}
    return dict(sorted(responses.items()))


def _content(reply: Reply, schema_of: Mapping[int, Any]) -> dict[str, Any]:
    if reply.shape is not None:
        return {reply.content_type: {"schema": schema_of[id(reply.shape)]}}
    if reply.events:
        event = {
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {"enum": list(reply.events)},
                "data": {"type": "string", "contentMediaType": "application/json"},
                "id": {"type": "string"},
            },
        }
        return {reply.content_type: {"schema": event}}
    return {reply.content_type: {"schema": {"type": "string"}}}


def _operation_id(route: Route) -> str:
    inside = route.path.removeprefix("/api/v1")
    words = re.findall(r"\w+", inside)
    return "_".join([route.method.lower(), *words] if inside != route.path else [route.method.lower(), "root", *words])
