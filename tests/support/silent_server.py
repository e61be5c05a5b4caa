"""A server on loopback that takes every connection and never says a word."""

from __future__ import annotations

import asyncio
import socket
from typing import Self


class SilentServer:
    """`arrived` has a permit for each connection taken; leaving closes them all.

    Plain sockets, since a stream whose connection arrives while its server closes belongs to nobody.
    """

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self.port: int = self._listener.getsockname()[1]
        self._taken: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._listener, self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        for one in (self._listener, *self._taken):
            one.close()

    def _take(self) -> None:
        self._taken.append(self._listener.accept()[0])
        self.arrived.release()
