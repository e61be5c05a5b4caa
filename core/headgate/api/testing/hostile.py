"""Payloads as an attacker who holds the secret would write them, and a server that must not be asked; not the tests."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

_URL = re.compile(rb"(?:https?|git|ssh):(?:\\?/){2}[^/\s\"\\&%]+")
_KEYS = ("url", "html_url", "clone_url", "git_url", "ssh_url", "web_url", "href", "callback_url", "avatar_url")

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    1e300,
    "",
    " ",
    "..",
    "-x",
    "a\nb",
    "a\0b",
    "\u202e",
    "0" * 40,
    "A1" * 20,
    "x" * 70_000,
    "https://user:pw@[::1",
    [],
    [None],
    [[]],
    {},
    {"": None},
    [{"id": 1}],
)
"""What may stand anywhere in JSON: other types, and texts that are no name, no commit and no URL."""


def spoilt_values(body: bytes, dice: random.Random, count: int) -> Iterator[bytes]:
    """`count` times the JSON body with one value of it taken away or replaced; nothing where it is no JSON."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    places = list(_places(value))
    for _ in range(count if places else 0):
        spoilt = copy.deepcopy(value)
        *way, last = dice.choice(places)
        inner = spoilt
        for key in way:
            inner = inner[key]
        if dice.randrange(len(VALUES) + 1):
            inner[last] = dice.choice(VALUES)
        else:
            del inner[last]
        yield json.dumps(spoilt).encode()


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from _places(inner, (*way, key))


class Trap(NamedTuple):
    """A listening port of loopback that nobody may connect to."""

    port: int
    noted: list[object]

    @property
    def url(self) -> str:
        """How it is named in payloads."""
        return f"http://127.0.0.1:{self.port}"

    def replaced(self, body: bytes) -> bytes:
        """The body with every URL leading here; its path stays, for names are read of it."""
        return _URL.sub(self.url.encode(), body)

    def planted(self, body: bytes) -> bytes:
        """The body with URLs leading here also where there was none: in each object, under the usual names."""
        try:
            value = json.loads(self.replaced(body))
        except ValueError:
            return body
        return json.dumps(self._plant(value)).encode()

    def _plant(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._plant(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        return dict.fromkeys(_KEYS, f"{self.url}/acme/web") | {key: self._plant(inner) for key, inner in value.items()}

    async def visitors(self) -> list[object]:
        """Who connected until now. We come last ourselves: when we were noted, everybody before us was."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await reader.read()
        self.noted.remove(writer.get_extra_info("sockname"))
        writer.close()
        return [*self.noted]


@contextlib.asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    """A server that notes every connection and answers none."""
    noted: list[object] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        noted.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    try:
        yield Trap(server.sockets[0].getsockname()[1], noted)
    finally:
        server.close()
        await server.wait_closed()


async def settled(before: set[asyncio.Task[Any]]) -> None:
    """Waits, shortly, for tasks that were started since there were those `before`."""
    started = asyncio.all_tasks() - before
    if started:
        await asyncio.wait(started, timeout=2)
