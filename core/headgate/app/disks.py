"""Says on the health board, while it is so, that a disk is full or the database was damaged; not what is done then.

What is done: webhooks are answered 503, builds end as errored, results wait. None of it needs a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from headgate.storage.database import Database
from headgate.storage.errors import StorageError
from headgate.telemetry.disks import is_full
from headgate.telemetry.health import Health

LOOK_SECONDS = 2.0
"""Seconds between two looks."""

log = structlog.get_logger(__name__)


class Disks:
    """Watches the database and the disks its folders are on."""

    def __init__(self, *, database: Database, health: Health, folders: Mapping[str, Path]) -> None:
        """`folders`: by the word an admin knows them by; those that are not there yet are not looked at."""
        self._database = database
        self._health = health
        self._folders = folders
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._say("database", await self._of_database())
            self._say("disk", await asyncio.to_thread(self._of_disks))
            await asyncio.sleep(LOOK_SECONDS)

    async def _of_database(self) -> str:
        """Why it is not well, or nothing."""
        if self._database.writer.full:
            try:
                await self._database.probe()
            except StorageError as error:
                return f"nothing can be stored, and webhooks are answered 503: {error}; make room on its disk"
            self._database.writer.full = False
        kept = await asyncio.to_thread(self._database.evidence)
        if kept:
            return (
                f"its write-ahead log was damaged, and what was acknowledged just before that stop may be lost; kept as "
                f"{', '.join(path.name for path in kept)} in {self._database.file.parent}: remove that once you have seen to it"
            )
        return ""

    def _of_disks(self) -> str:
        full = [f"{word} ({path})" for word, path in self._folders.items() if is_full(path)]
        return f"no room left for {' and '.join(full)}" if full else ""

    def _say(self, component: str, reason: str) -> None:
        self._health.set(component, "degraded" if reason else "ok", reason)
        if reason != self._said.get(component, ""):
            self._said[component] = reason
            if reason:
                log.error("something is wrong with the disk", component=component, reason=reason)
            else:
                log.info("the disk is well again", component=component)
