"""How many ask Git hosts at the same time, so that one which does not answer keeps nobody from the others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """`at_once` places for all hosts, `each` for one. For one event loop.

    Who is not done after `patience` seconds gives its place among all of them back, and keeps the one of its host:
    a host that hangs holds up the others for so long, once, and from then on only itself, until one is done in time.
    """

    def __init__(self, at_once: int, *, each: int, patience: float) -> None:
        """Of one host never more than `each` are under way, of all hosts together `at_once` that are young."""
        self._all = asyncio.Semaphore(at_once)
        self._of_host: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(each))
        self._patience = patience
        self._slow: set[str] = set()

    @asynccontextmanager
    async def at(self, host: str) -> AsyncIterator[None]:
        """Wait for a place, and have it. `host`: by whatever name the caller tells hosts apart."""
        async with self._of_host[host]:
            held = host not in self._slow
            if held:
                await self._all.acquire()

            def give_back() -> None:
                nonlocal held
                if held:
                    held = False
                    self._all.release()

            def be_slow() -> None:
                self._slow.add(host)
                give_back()

            loop = asyncio.get_running_loop()
            began = loop.time()
            timer = loop.call_later(0.0 if host in self._slow else self._patience, be_slow)
            try:
                yield
            finally:
                timer.cancel()
                give_back()
                if loop.time() - began < self._patience:
                    self._slow.discard(host)
