"""Changed files: host settings first, then jobs; each in force as a whole or not at all, and never a build by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from headgate.api.errors import ConfigError
from headgate.app.jobs import JobFiles
from headgate.app.opening import OpenKinds
from headgate.config.host import load_settings
from headgate.config.settings import Settings
from headgate.config.watch import Look, look, watch
from headgate.plugins import Kinds
from headgate.telemetry.health import Health

log = structlog.get_logger(__name__)

AT_START = ("data", "database", "server", "plugins", "git", "polling", "worker", "logs")
"""Settings that only a restart changes; all others (connections, stores, notifiers, executors, jobs) at once."""


class Reload:
    """Follows `config.yaml` and the job files."""

    def __init__(
        self,
        settings: Settings,
        *,
        kinds: Kinds,
        opened: OpenKinds,
        jobs: JobFiles,
        health: Health,
        changed: Callable[[], None],
        seen: Look,
    ) -> None:
        """`settings`: those in force; `changed` is called when other jobs or connections are.

        `seen`: what stood on disk before it was read for the first time.
        """
        self._seen = seen
        self._settings = settings
        self._started_with = settings
        self._kinds = kinds
        self._opened = opened
        self._jobs = jobs
        self._health = health
        self._changed = changed

    async def run(self) -> None:
        """Apply every change until cancelled."""
        while True:
            watched = self._settings.jobs
            async with aclosing(watch((*watched, self._settings.file), since=self._seen)) as changes:
                async for _ in changes:
                    await self.apply()
                    if self._settings.jobs != watched:
                        break

    async def apply(self) -> None:
        """Read everything again; what is wrong is shown until it is right, and what was good stays in force."""
        try:
            fresh = await asyncio.to_thread(load_settings, self._settings.file, self._kinds)
        except ConfigError as error:
            self._health.set(
                "configuration", "degraded", f"{len(error.problems)} problems; the last good one is in force"
            )
            await asyncio.to_thread(self._jobs.read_again, self._settings, error.problems)
        else:
            await self._use(fresh)
            self._seen = await asyncio.to_thread(look, (*fresh.jobs, fresh.file))
            await asyncio.to_thread(self._jobs.read_again, self._settings)
        self._changed()

    async def _use(self, fresh: Settings) -> None:
        waiting = [name for name in AT_START if getattr(fresh, name) != getattr(self._started_with, name)]
        if waiting:
            reason = f"restart to apply what changed under {', '.join(waiting)}"
            self._health.set("configuration", "degraded", reason)
            log.warning("configuration", reason=reason)
        else:
            self._health.set("configuration", "ok")
        if _opens(fresh) != _opens(self._settings):
            for place in self._opened.problems:
                self._health.remove(place)
            await self._opened.reopen(fresh)
            report_closed(self._opened, self._health)
            log.info("connections reopened", connections=sorted(self._opened.connections))
        self._settings = fresh


def report_closed(opened: OpenKinds, health: Health) -> None:
    """What did not open, as components of the server's health."""
    for place, reason in opened.problems.items():
        health.set(place, "degraded", reason)


def _opens(settings: Settings) -> tuple[object, ...]:
    return (
        settings.connections,
        settings.credential_stores,
        settings.notifiers,
        settings.executors,
        settings.unavailable,
    )
