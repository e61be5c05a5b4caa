"""The declared route: path, permission, shapes in and out; not how a request finds it.

From one table come the dispatching, the checks of what comes in, and the OpenAPI document, so they cannot differ.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast
from urllib.parse import unquote

import msgspec
from aiohttp import web

from headgate.api import Unreadable, read_plain_json
from headgate.web.access import PERMISSIONS, Actor, Permission
from headgate.web.problems import HEADERS, Refusal

OPEN: Final = "open"
"""Declared instead of a permission by the few routes anybody may ask."""

MAY_BE_OPEN: Final = frozenset(
    {"/webhooks/{connection}", "/webhooks/{connection}/{hook}", "/health", "/ready"},
)

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IDEMPOTENCY_KEY_PATTERN: Final = "^[!-~]{1,255}$"

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as a route's function meets it: allowed, and with everything declared already checked.

    `path` holds the placeholders' values; `query` and `body` are of the types the route declares, `None` where it
    declares none. An open route has no `actor`.
    """

    request: web.BaseRequest
    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    actor: Actor | None = None
    idempotency_key: str | None = None

    @property
    def who(self) -> str:
        """The actor's name, for reasons and logs."""
        return self.actor.name if self.actor else "anybody"


Answer: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One way a route answers. `shape` is the JSON's type; `None`: a body of another `content_type`, or none."""

    status: int = 200
    description: str = "Done."
    shape: Any = None
    content_type: str = "application/json"
    events: tuple[str, ...] = ()
    """The names of a stream's events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `errors` are the statuses it may answer with beside those that every route may."""

    method: Method
    path: str
    answer: Answer
    permission: Permission | Literal["open"]
    summary: str
    tag: str
    description: str = ""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    raw_body: tuple[str, ...] = ()
    """Media types of a body that the route reads itself."""
    takes_idempotency_key: bool = False
    replies: tuple[Reply, ...] = (Reply(),)
    errors: tuple[int, ...] = ()
    published: bool = True
    """Whether the OpenAPI document names it; not those of plugins, whose answers we do not know."""
    pattern: re.Pattern[str] = field(init=False)
    """The path as one expression; a placeholder is anything without a slash."""

    def __post_init__(self) -> None:
        """Compile the path once."""
        parts = re.split(r"\{(\w+)(:path)?\}", self.path)
        text = re.escape(parts[0])
        for name, whole, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            text += f"(?P<{name}>{'.*' if whole else '[^/]+'})" + re.escape(literal)
        object.__setattr__(self, "pattern", re.compile(text, re.DOTALL))


class RouteTable:
    """All routes of the server, found by their first segment, then in the order given."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Raises `ValueError` for a route without a permission we know, or an open one that must not be."""
        self.routes = tuple(routes)
        self._by_segment: dict[str, list[Route]] = {}
        seen: set[tuple[str, str]] = set()
        for route in self.routes:
            check_route(route)
            if (route.method, route.path) in seen:
                raise ValueError(f"{route.method} {route.path} is declared twice")
            seen.add((route.method, route.path))
            self._by_segment.setdefault(route.path.split("/", 2)[1], []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route and its placeholders' values for a raw path; a 404 or 405 `Refusal` when there is none.

        `HEAD` is not offered: no client of ours asks for it, and a log's length is not known before it is read.
        """
        segments = path.split("/", 2)
        allowed: list[str] = []
        for route in self._by_segment.get(segments[1] if len(segments) > 1 else "", ()):
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == method:
                return route, {name: unquote(value, errors="replace") for name, value in match.groupdict().items()}
            allowed.append(route.method)
        if allowed:
            choices = ", ".join(dict.fromkeys(allowed))
            raise Refusal(405, f"This path answers {choices} only.", headers={"Allow": choices})
        raise Refusal(404, "There is nothing here; /api/v1/openapi.json lists what there is.")


def check_route(route: Route) -> None:
    """Fail closed: `ValueError` unless somebody wrote down who may use the route."""
    if route.permission == OPEN:
        if route.path not in MAY_BE_OPEN:
            raise ValueError(f"{route.method} {route.path} must not be open; declare one of {sorted(PERMISSIONS)}")
    elif route.permission not in PERMISSIONS:
        raise ValueError(
            f"{route.method} {route.path} declares no permission we know ({route.permission!r}); "
            f"the permissions are {sorted(PERMISSIONS)}"
        )
    if (
        route.permission != OPEN
        and (route.method == "GET") != route.permission.endswith(":read")
        and route.permission != "admin"
    ):
        raise ValueError(f"{route.method} {route.path} does not go with the permission {route.permission}")


def read_query(given: Iterable[tuple[str, str]], shape: type[T]) -> T:
    """The query arguments as a `shape`; a 400 `Refusal` names the one that is unknown, doubled or malformed."""
    names = _query_arguments(cast("Hashable", shape))
    values: dict[str, str | int] = {}
    for name, value in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            known = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(names)) or 'none'}."
            raise Refusal(400, f"There is no query argument {name[:80]!r}; {known}")
        if name in values:
            raise Refusal(400, f"The query argument {name} was given twice.")
        values[name] = int(value) if names[name] and _WHOLE_NUMBER.fullmatch(value) else value
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"A query argument is wrong: {error}.") from None


_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


@functools.cache
def _query_arguments(shape: Any) -> Mapping[str, bool]:
    """Names of the arguments, and whether each is a number. msgspec's lax mode would also take `null` for `None`."""
    info = msgspec.inspect.type_info(shape)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{shape} is no Struct")
    return {field.encode_name: _is_number(field.type) for field in info.fields}


def _is_number(kind: msgspec.inspect.Type) -> bool:
    """Whether an argument is a number, or a number that may be left out."""
    if isinstance(kind, msgspec.inspect.Metadata):
        return _is_number(kind.type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_is_number(one) for one in kind.types)
    return isinstance(kind, msgspec.inspect.IntType)


def read_body_as(body: bytes, shape: type[T]) -> T:
    """A JSON body as a `shape`, strictly; a 400 `Refusal` names the place that does not fit (`$.parameters`)."""
    try:
        return msgspec.convert(read_plain_json(body), shape)
    except Unreadable as error:
        raise Refusal(400, f"{error}.") from None
    except msgspec.ValidationError as error:
        raise Refusal(400, f"The body does not fit: {error}.") from None


def read_idempotency_key(request: web.BaseRequest) -> str | None:
    """The client's own name for this write; a 400 `Refusal` when it is doubled, empty, long or not plain ASCII."""
    given = request.headers.getall(IDEMPOTENCY_KEY, ())
    if not given:
        return None
    if len(given) > 1 or not re.fullmatch(IDEMPOTENCY_KEY_PATTERN, given[0]):
        raise Refusal(400, f"{IDEMPOTENCY_KEY} must be sent once, with 1 to 255 visible ASCII characters.")
    return given[0]


def json_reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as JSON. Never cached: it is current, and only for whoever asked."""
    return web.Response(status=status, body=msgspec.json.encode(value), headers={**JSON_HEADERS, **(headers or {})})


JSON_HEADERS: Final = {**HEADERS, "Content-Type": "application/json"}
