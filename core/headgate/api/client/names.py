"""Looking hosts' names up, so that those nobody answers for keep the others waiting for nothing; not what may be asked.

A look-up is a call of the C library that nobody can end: it takes as long as the system's resolver tries. The event
loop has a few threads for all of them, two in libuv: as many names that hang would be the last to be looked up.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Self

from aiohttp.abc import AbstractResolver, ResolveResult

NAMES_THREAD: Final = "names"
"""What the names of those threads start with."""

_AT_ONCE: Final = 64
"""Names looked up at once. A connector asks for each host and port once, whoever waits for it."""


class Names(AbstractResolver):
    """A resolver for a connector, with threads of its own: an async context manager around that connector's session."""

    def __init__(self, *, at_once: int = _AT_ONCE) -> None:
        """`at_once`: threads, of which there are as many as were ever needed."""
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix=NAMES_THREAD)

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `close`."""
        await self.close()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of `host`; link-local ones come without their interface, and are never connected to."""
        look_up = partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Look up no more; what hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)
