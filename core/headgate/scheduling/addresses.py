"""Asking Git hosts from which networks their webhooks come, for the connections that take them from there only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Final, Protocol

from headgate.api.capabilities import KnowsSenderAddresses
from headgate.api.errors import HeadgateError
from headgate.api.host import Logger
from headgate.api.providers import Provider
from headgate.plugins.guard import Guard
from headgate.storage import sender_addresses
from headgate.storage.connection import Writing
from headgate.storage.database import Database
from headgate.storage.errors import StorageError
from headgate.storage.sender_addresses import SenderAddresses

EVERY: Final = 3600.0
"""Seconds between two questions to one host."""

AGAIN: Final = 300.0
"""Seconds until a host is asked again that did not answer."""

LOOK: Final = 5.0
"""Seconds between two looks at which connections there are."""

ANSWER_WITHIN: Final = 60.0


class Asked(Protocol):
    """A connection that wants to know."""

    @property
    def provider(self) -> Provider | None:
        """Who can say it, when it is open."""

    @property
    def guard(self) -> Guard:
        """Stands at the call."""


class Addresses:
    """Keeps `published` as the hosts last said it: what was learned before is there from the start."""

    def __init__(
        self,
        *,
        database: Database,
        wanted: Callable[[], Mapping[str, Asked]],
        published: MutableMapping[str, tuple[str, ...]],
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        """`wanted`: the connections whose allow-list names their provider."""
        self._database = database
        self._wanted = wanted
        self._published = published
        self._log = log
        self._now = now
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        async with self._database.reading() as connection:
            for one in await sender_addresses.all(connection):
                self._published.setdefault(one.connection, one.networks)
        while True:
            await self.look()
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """Ask those whose time has come, side by side: a host that does not answer holds up no other's webhooks."""
        now = asyncio.get_running_loop().time()
        due = [(name, asked) for name, asked in self._wanted().items() if self._due.get(name, 0.0) <= now]
        await asyncio.gather(*(self._ask_in_turn(name, asked) for name, asked in due))

    async def _ask_in_turn(self, name: str, asked: Asked) -> None:
        pause = EVERY if await self._ask(name, asked) else AGAIN
        self._due[name] = asyncio.get_running_loop().time() + pause

    async def _ask(self, name: str, asked: Asked) -> bool:
        """Whether it answered. What it said last stays when it does not, and when it says nothing."""
        provider = asked.provider
        if not isinstance(provider, KnowsSenderAddresses):
            return False
        try:
            networks = await asked.guard.call("sender_addresses", provider.sender_addresses, within=ANSWER_WITHIN)
        except HeadgateError as error:
            self._log.warning("a host did not say where its webhooks come from", connection=name, reason=str(error))
            return False
        if not networks:
            self._log.warning("a host says that its webhooks come from nowhere; the last answer stays", connection=name)
            return False
        said = SenderAddresses(connection=name, networks=tuple(networks), learned_at=self._now())

        async def keep(connection: Writing) -> None:
            await sender_addresses.put(connection, said)

        if self._published.get(name) != said.networks:  # the same object stays where nothing changed
            self._published[name] = said.networks
        try:
            await self._database.writer.write(keep)
        except StorageError as error:  # the disk may be full: that is not the end of all rooms
            self._log.warning("where a host's webhooks come from is not kept", connection=name, reason=str(error))
            return False
        return True
