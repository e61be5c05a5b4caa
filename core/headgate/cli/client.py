"""A running server, asked over its local socket or by URL; not the server's own code, which no command imports.

Synchronous and from the standard library: a command asks one thing at a time, and `headgate jobs` must not pay
for an event loop and an HTTP framework before it says its first word.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation

Query: TypeAlias = Mapping[str, str | int | None]

SOCKET: Final = "headgate.sock"
"""The server's local socket within its data folder. Its mode is the key: who may connect is the admin."""

DATABASE: Final = "headgate.db"
"""Its database there, unless the configuration names another."""

_API: Final = "/api/v1/"
_TIMEOUT: Final = 60.0
"""Seconds without a byte; streams say something every 15."""
_PAGE: Final = 200


class Silence(Ending):
    """Nobody answers where the server should be."""


class Missing(Ending):
    """The server says that nothing has this name (404)."""


class Client:
    """One server. Every method raises `Ending` with a sentence when the answer is not the hoped-for one."""

    def __init__(self, *, socket_path: Path | None = None, url: str | None = None, token: str | None = None) -> None:
        """Exactly one of `socket_path` and `url`; `token` goes with `url`."""
        self._socket_path = socket_path
        self._url = url.rstrip("/") if url else None
        self._token = token

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self._url or str(self._socket_path)

    def get(self, path: str, query: Query | None = None) -> Any:
        """The JSON of an answer."""
        return self._json(self._ask("GET", path, query=query))

    def post(self, path: str, content: Any = None) -> Any:
        """The JSON of an answer to a write; `None` when it has no body."""
        body = b"" if content is None else json.dumps(content).encode()
        return self._json(self._ask("POST", path, body=body))

    def items(self, path: str, query: Query | None = None, *, limit: int) -> list[Any]:
        """The first `limit` of a list, however many pages that takes."""
        found: list[Any] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self.get(path, {**(query or {}), "limit": min(limit - len(found), _PAGE), "cursor": cursor})
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                break
        return found[:limit]

    def lines(self, path: str, query: Query | None = None) -> Iterator[str]:
        """The lines of a text, as they arrive."""
        for raw in self._ask("GET", path, query=query):
            yield raw.decode(errors="replace").removesuffix("\n")

    def events(self, path: str, query: Query | None = None) -> Iterator[tuple[str, Any]]:
        """Server-sent events as (name, JSON). They just end when the connection does.

        Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
        """
        answer = self._ask("GET", path, query=query, accept="text/event-stream")
        name, data = "message", ""
        for raw in _until_cut(answer):
            line = raw.decode(errors="replace").rstrip("\r\n")
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif not line and data:
                yield name, json.loads(data)
                name, data = "message", ""

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        accept: str = "application/json, text/plain",
    ) -> http.client.HTTPResponse:
        given = {key: value for key, value in (query or {}).items() if value is not None}
        target = _API + path + (f"?{urlencode(given)}" if given else "")
        headers = {"Accept": accept}
        if body:
            headers["Content-Type"] = "application/json"
        if self._token and self._url:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection, prefix = self._connection()
            connection.request(method, prefix + target, body=body, headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        if answer.status >= http.client.BAD_REQUEST:
            raise _refusal(answer, self.place)
        return answer

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        """A connection and what the URL's path adds in front of every path."""
        if self._url is None:
            return _LocalConnection(str(self._socket_path)), ""
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Ending(f"{self._url} is no URL of a server", code=ExitCode.INPUT, hint="write https://host[:port]")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=_TIMEOUT, context=context
            ), parts.path
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT), parts.path

    def _silent(self, error: Exception) -> Silence:
        """Nobody answers. The common reasons get words of their own."""
        if isinstance(error, PermissionError):
            return Silence(
                f"{self.place} belongs to another user",
                hint="run the command as the user that runs the server, or use --url with HEADGATE_TOKEN",
            )
        if isinstance(error, TimeoutError):
            return Silence(f"the server on {self.place} did not answer in {_TIMEOUT:.0f} s")
        if isinstance(error, ssl.SSLError):
            return Silence(f"no trusted connection to {self.place}: {error}")
        if self._socket_path is not None:
            # Late: only a command that failed wants to know.
            from headgate.storage.lock import runs

            if pid := runs(self._socket_path.with_name(DATABASE)):
                return Silence(
                    f"no server answers on {self.place} now, but one runs (pid {pid}): it is starting or stopping",
                    hint="what it builds may end first (`worker.stop_within`); try again in a moment",
                )
            return Silence(
                f"no server answers on {self.place}; start one with `headgate serve`",
                hint="for a server elsewhere, say --url https://host and set HEADGATE_TOKEN",
            )
        return Silence(f"no server answers on {self.place}: {error}")

    @staticmethod
    def _json(answer: http.client.HTTPResponse) -> Any:
        raw = answer.read()
        return json.loads(raw) if raw else None


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """As the parent, over another kind of socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _until_cut(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer
    except (OSError, http.client.HTTPException):
        return


def client_of(call: Invocation) -> Client:
    """The server that an invocation means: --url, else the local one of its configuration."""
    if call.url:
        return Client(url=call.url, token=call.token)
    return Client(socket_path=data_folder(call.config) / SOCKET)


def data_folder(config: Path) -> Path:
    """The `data:` of a configuration, without checking the rest of it."""
    # Late: commands that are given --url need no YAML.
    from headgate.config.yaml import read_yaml

    try:
        text = config.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Ending(
            f"there is no configuration {config}",
            code=ExitCode.CONFIG,
            hint="go to its folder, say --config PATH or set HEADGATE_CONFIG; --url reaches a server elsewhere",
        ) from None
    value = read_yaml(text, file=str(config)).value
    data = value.get("data") if isinstance(value, Mapping) else None
    return (config.parent / (data if isinstance(data, str) else "data")).absolute()


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _refusal(answer: http.client.HTTPResponse, place: str) -> Ending:  # noqa: PLR0911 - one for each kind of status
    """What a problem document (RFC 9457) says, and what to do about it."""
    try:
        problem = json.loads(answer.read())
        message = str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError):
        problem, message = {}, f"{place} answers {answer.status} {answer.reason}"
    status = http.HTTPStatus
    match answer.status:
        case status.UNAUTHORIZED:
            return Ending(message, hint="put a token of this server into HEADGATE_TOKEN")
        case status.FORBIDDEN:
            return Ending(message, hint="the token lacks a permission; ask whoever made it")
        case status.NOT_FOUND:
            return Missing(message)
        case status.BAD_REQUEST | status.UNPROCESSABLE_ENTITY:
            return Ending(message, code=ExitCode.INPUT)
        case status.SERVICE_UNAVAILABLE | status.TOO_MANY_REQUESTS:
            seconds = answer.headers.get("Retry-After")
            return Ending(message, hint=f"try again in {seconds} s" if seconds else "try again in a moment")
        # A 502 is what a Git host, a credential or a plugin answered the server, and no fault of it.
        case code if code >= status.INTERNAL_SERVER_ERROR and code != status.BAD_GATEWAY:
            return Ending(f"the server failed: {message}", code=ExitCode.FAULT, hint="its log says more")
        case _:
            return Ending(message)
