"""When histories are looked at for what was missed: at the start, then every hour; not how it is found (`missed`).

A repository's look counts as done when all that it found was asked for. Until then the next one begins where it began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from headgate.api.capabilities import CAPABILITIES
from headgate.api.errors import CredentialError, HeadgateError, PluginError, RateLimited, Unavailable
from headgate.api.hooks import HookDelivery
from headgate.api.host import Logger
from headgate.api.providers import Provider
from headgate.routing.index import CompiledJob, Snapshot
from headgate.scheduling.missed import Asked, Found, Missed, NoHook, mark
from headgate.storage import missed as storage
from headgate.storage.database import Database
from headgate.storage.errors import StorageError
from headgate.storage.missed import HookLook, Redelivered
from headgate.telemetry.health import Health, summary
from headgate.telemetry.missed import MissedNumbers

EVERY: Final = 3600.0
"""Seconds between two looks at one repository."""

AGAIN: Final = 300.0
"""Seconds until a look goes on that could not be finished."""

LOOK: Final = 5.0
"""Seconds between two looks at which connections there are."""

FIRST: Final = timedelta(days=1)
"""How far the first look at a repository goes back."""

KEPT: Final = timedelta(days=35)
"""How long it is known what was asked for: longer than any host remembers what it sent."""

MOST: Final = 100
"""Deliveries that are asked for in one look at a connection."""

TRIES: Final = 24
"""How often one delivery is asked for that fails again each time: a day, with a look every hour."""

APART: Final = timedelta(minutes=30)
"""The least time between two of them: what was asked for may still be under way, or not in the history yet."""

_NEEDED: Final = ("hooks", "hook_deliveries", "redeliver")
_ENDS_LOOK: Final = (RateLimited, Unavailable, CredentialError, PluginError, StorageError)
"""What is no single repository's trouble."""


@dataclass(slots=True, kw_only=True)
class _Line:
    """What is known of one connection. `done`: by repository, when its next look is due, by the loop's clock."""

    provider: Provider
    due: float = 0.0
    done: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, kw_only=True)
class _Turn:
    """What one look found: never asked for, failed again, failed again for the last time.

    The first are asked for first, so that nothing which fails for ever stands in their way. `too_soon`: there is more
    that failed again, but was asked for a moment ago.
    """

    never: list[HookDelivery] = field(default_factory=list)
    again: list[HookDelivery] = field(default_factory=list)
    spent: list[HookDelivery] = field(default_factory=list)
    too_soon: bool = False


class Recovery:
    """Looks at the histories of all connections that want it, each in a task of its own, until cancelled."""

    def __init__(
        self,
        *,
        database: Database,
        missed: Missed,
        wanted: Callable[[], Mapping[str, Asked]],
        snapshot: Callable[[], Snapshot],
        numbers: MissedNumbers,
        health: Health,
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        """`wanted`: the open connections whose configuration asks for it."""
        self._database = database
        self._missed = missed
        self._wanted = wanted
        self._snapshot = snapshot
        self._numbers = numbers
        self._health = health
        self._log = log
        self._now = now
        self._lines: dict[str, _Line] = {}
        self._listening = asyncio.Event()

    def listening(self) -> None:
        """The server takes deliveries now, so what is asked for can arrive."""
        self._listening.set()

    async def run(self) -> None:
        """Look until cancelled."""
        await self._listening.wait()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._start(tasks)
                await asyncio.sleep(LOOK)

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        wanted = self._wanted()
        for name in [name for name in self._lines if name not in wanted]:
            self._leave(name)
        for name, asked in wanted.items():
            line = self._lines.get(name)
            if asked.provider is None:
                continue
            if line is None or line.provider is not asked.provider:  # whatever was wrong may be right now
                self._leave(name)
                line = self._lines[name] = _Line(provider=asked.provider)
            if line.task is None and line.due <= asyncio.get_running_loop().time():
                line.task = tasks.create_task(self._look_in_turn(name, asked, line), name=f"recovery {name}")

    def _leave(self, name: str) -> None:
        line = self._lines.pop(name, None)
        if line is not None:
            self._health.remove(_component(name))
            if line.task is not None:
                line.task.cancel()

    async def _look_in_turn(self, name: str, asked: Asked, line: _Line) -> None:
        try:
            pause = await self.look(name, asked, line)
        except Exception as error:  # noqa: BLE001 - a fault of ours: the other rooms go on, and this one later
            self._log.error("missed deliveries not looked for", connection=name, error=repr(error))
            self._health.set(_component(name), "degraded", repr(error))
            pause = AGAIN
        line.due = asyncio.get_running_loop().time() + pause
        line.task = None

    async def look(self, name: str, asked: Asked, line: _Line) -> float:
        """Look at all repositories whose time has come; the seconds until the next look."""
        lacking = [word for word in _NEEDED if not isinstance(asked.provider, CAPABILITIES[word])]
        if lacking:
            self._tell(name, f"its provider does not have the feature {', '.join(f'`{word}`' for word in lacking)}")
            return EVERY
        loop, snapshot, left, stopped = asyncio.get_running_loop(), self._snapshot(), MOST, ""
        pause = EVERY
        keys = [key for connection, key in snapshot.repositories() if connection == name]
        line.troubles = {key: text for key, text in line.troubles.items() if key in keys}
        for key in keys:
            if line.done.get(key, 0.0) > loop.time():
                continue
            try:
                count, finished = await self._look_at(asked, line, key, snapshot.of_repository(name, key), most=left)
            except _ENDS_LOOK as error:
                self._numbers.looked(name, "failed")
                stopped, pause = f"{key}: {error}", self._pause(error)
                break
            left -= count
            if not finished:
                stopped, pause = f"more than {MOST} deliveries were missed; the rest is asked for later", AGAIN
                break
            line.done[key] = loop.time() + EVERY - LOOK
        await self._forget()
        self._tell(name, summary(line.troubles, *([stopped] if stopped else [])), asked=line.asked)
        return pause

    def _pause(self, error: HeadgateError) -> float:
        if isinstance(error, RateLimited):
            return max(LOOK, (error.retry_at - self._now()).total_seconds())
        return AGAIN

    async def _look_at(
        self, asked: Asked, line: _Line, key: str, jobs: tuple[CompiledJob, ...], *, most: int
    ) -> tuple[int, bool]:
        """One repository: how many were asked for, and whether that was all. Raises what ends the whole look."""
        name, path, began = asked.name, _path(jobs, key), self._now()
        line.troubles.pop(key, None)
        async with self._database.reading() as connection:
            last = await storage.look_of(connection, name, key)
        since = last.looked_at if last is not None else began - FIRST
        try:
            found = await self._missed.find(asked, path, since=since, last=last)
        except _ENDS_LOOK:
            raise
        except HeadgateError as error:
            if not (isinstance(error, NoHook) and all(compiled.poll_plans for compiled in jobs)):
                self._cannot(name, line, key, str(error))
            return 0, True
        turn = _turn(path, found, since=since, now=began)
        wanted = [*turn.never, *turn.again]
        self._tell_failed_again(name, path, wanted[len(turn.never) : most], "it is asked for again")
        self._tell_failed_again(name, path, turn.spent, f"asked for {TRIES} times, and no more by itself")
        given = await self._missed.ask(asked, path, found.hook, wanted[:most])
        line.asked += len(given.asked)
        if given.refused:
            line.troubles[key] = f"not sent again by its host: {len(given.refused)} ({given.refused[0][1]})"
        if isinstance(given.stopped, _ENDS_LOOK):
            raise given.stopped
        if given.stopped is not None:
            self._cannot(name, line, key, str(given.stopped))
            return len(given.asked), True
        if len(wanted) > most:
            return most, False
        if found.unknown:
            line.troubles[key] = found.unknown
            self._log.warning("missed deliveries may be unknown", connection=name, repository=key, reason=found.unknown)
        self._numbers.looked(name, "unknown" if found.unknown else "complete")
        if not turn.too_soon:  # else the next look must see it, too
            await self._keep(
                HookLook(
                    connection=name,
                    repository=key,
                    looked_at=began,
                    newest_id=found.newest.id if found.newest else None,
                    newest_at=found.newest.at if found.newest else None,
                )
            )
        return len(wanted), True

    def _cannot(self, name: str, line: _Line, key: str, reason: str) -> None:
        """This repository cannot be looked at; the next look begins where this one did."""
        self._numbers.looked(name, "failed")
        line.troubles[key] = reason
        self._log.warning("missed deliveries not looked for", connection=name, repository=key, reason=reason)

    def _tell_failed_again(self, name: str, path: str, those: Sequence[HookDelivery], what_now: str) -> None:
        about = {"connection": name, "repository": path, "what_now": what_now}
        for one in those:
            self._numbers.missed(name, "failed_again")
            self._log.warning("a missed delivery failed again", **about, key=one.key, status=one.status)

    async def _keep(self, look: HookLook) -> None:
        await self._database.writer.write(lambda connection: storage.put_look(connection, look))

    async def _forget(self) -> None:
        before = self._now() - KEPT
        await self._database.writer.write(lambda connection: storage.forget_redelivered(connection, before))

    def _tell(self, name: str, trouble: str, *, asked: int = 0) -> None:
        done = f"asked for again since the start: {asked}" if asked else ""
        if trouble:
            self._health.set(_component(name), "degraded", "; ".join(one for one in (trouble, done) if one))
        else:
            self._health.set(_component(name), "ok", done)


def _turn(path: str, found: Found, *, since: datetime, now: datetime) -> _Turn:
    turn = _Turn()
    for one in found.deliveries:
        before = found.before.get(mark(path, one))
        if before is None:
            turn.never.append(one)
        elif not _has_failed_again(one, before):
            continue
        elif before.times >= TRIES:
            if before.asked_at >= since:  # else it was told at the look before
                turn.spent.append(one)
        elif now - before.asked_at < APART:
            turn.too_soon = True
        else:
            turn.again.append(one)
    return turn


def _has_failed_again(one: HookDelivery, before: Redelivered) -> bool:
    """Whether the newest try came of our asking; a host's clock may be behind ours."""
    return one.redelivery or one.at > before.asked_at


def _path(jobs: tuple[CompiledJob, ...], key: str) -> str:
    """As the admin wrote it."""
    return next((compiled.job.source.repository for compiled in jobs if compiled.key), key)


def _component(name: str) -> str:
    return f"recovery {name}"
