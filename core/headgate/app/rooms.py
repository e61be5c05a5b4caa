"""Every room that works by itself, wired to the others by the functions they need; not how a server starts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import structlog

from headgate.api.builds import Build, State
from headgate.api.errors import HeadgateError
from headgate.api.providers import Provider
from headgate.api.sealing import read_key_file
from headgate.app.desk import Desk
from headgate.app.disks import Disks
from headgate.app.jobs import JobFiles
from headgate.app.opening import OpenKinds
from headgate.app.reload import Reload
from headgate.app.sources import Sources
from headgate.app.terminal import Terminal
from headgate.builds.logs import Logs
from headgate.builds.worker import Worker
from headgate.config.settings import Settings
from headgate.config.watch import Look
from headgate.credentials.redaction import Redactor
from headgate.flow import Flow
from headgate.notifications.outbox import Outbox
from headgate.plugins import LoadedPlugins
from headgate.plugins.guard import Guard, Guards
from headgate.scheduling.addresses import Addresses
from headgate.scheduling.inbox import Inbox
from headgate.scheduling.missed import Missed
from headgate.scheduling.polls import Poller
from headgate.scheduling.readings import OpenConnection
from headgate.scheduling.recovery import Recovery
from headgate.scheduling.streams import Streams
from headgate.storage import builds, deliveries
from headgate.storage.database import Database
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics
from headgate.web.changes import BuildChanges
from headgate.web.server import make_app
from headgate.web.shaping import webhook_url

log = structlog.get_logger(__name__)

DEPTH_SECONDS = 5.0
"""Seconds between two looks at the queue's depth."""


class Rooms:
    """Every room that works by itself, wired to the others by the functions they need and nothing more."""

    def __init__(
        self,
        *,
        settings: Settings,
        written: Settings,
        plugins: LoadedPlugins,
        guards: Guards,
        database: Database,
        opened: OpenKinds,
        jobs: JobFiles,
        redactor: Redactor,
        metrics: Metrics,
        health: Health,
        terminal: Terminal,
        http: aiohttp.ClientSession,
        seen: Look,
    ) -> None:
        self._settings, self._opened, self._jobs, self._terminal = settings, opened, jobs, terminal
        self._health, self._metrics, self._database = health, metrics, database
        self._normalise = {name: kind.normalise for name, kind in plugins.kinds.providers.items()}
        self._changes = BuildChanges()
        folders = {"the database": database.file.parent} | {
            name: settings.data / name for name in ("logs", "workspaces", "mirrors")
        }
        self._disks = Disks(database=database, health=health, folders=folders)
        self._sources = sources = Sources(opened.connections, settings=settings, metrics=metrics, http=http)
        key = read_key_file(settings.data / "parameters.key", create=True)
        logs = Logs(settings.data / "logs")
        self._outbox = Outbox(
            database=database,
            notifiers=opened.notifiers,
            provider_of=self._provider,
            now=_now,
            metrics=metrics,
            public_url=settings.public_url,
            redact=redactor.redact,
            guards=guards,
        )
        self._worker = Worker(
            database=database,
            executors=opened.executors,
            sources=sources,
            secrets=opened.secrets,
            redactor=redactor,
            notifiers=opened.notifiers,
            unseal=lambda sealed, bound_to: key.open(sealed, bound_to=bound_to),
            settings=settings.worker,
            data=settings.data,
            hidden=_hidden(settings),
            logs=logs,
            public_url=settings.public_url,
            metrics=metrics,
            now=_now,
            name="local",
            environment=os.environ,
            changed=self._changed,
            guards=guards,
        )
        flow = Flow(
            database=database,
            snapshot=lambda: jobs.snapshot,
            history=sources,
            notifiers=opened.notifiers,
            seal=lambda text, bound_to: key.seal(text, bound_to=bound_to),
            metrics=metrics,
            now=_now,
            planned=self._planned,
            guards=guards,
        )
        self._poller = Poller(
            database=database,
            flow=flow,
            asks=sources.ask,
            snapshot=lambda: jobs.snapshot,
            jitter=settings.polling.jitter,
            concurrency=settings.polling.concurrency,
            metrics=metrics,
            health=health,
            log=structlog.get_logger("headgate.polls"),
            now=_now,
        )
        self._inbox = Inbox(
            database=database,
            flow=flow,
            connection=self._connection,
            poll=self._poller.ask,
            default_branch=self._poller.default_branch,
            log=structlog.get_logger("headgate.inbox"),
            now=_now,
        )
        self._streams = Streams(
            database=database,
            connections=self._open_connections,
            received=self._inbox.received,
            numbers=metrics.streams,
            health=health,
            max_body=settings.server.max_body,
            log=structlog.get_logger("headgate.streams"),
            now=_now,
        )
        self._addresses = Addresses(
            database=database,
            wanted=lambda: {name: one for name, one in opened.connections.items() if one.senders.wants_published},
            published=opened.published,
            log=structlog.get_logger("headgate.addresses"),
            now=_now,
        )
        missed = Missed(
            database=database,
            url=lambda name: webhook_url(settings.public_url, name),
            numbers=metrics.missed,
            log=structlog.get_logger("headgate.missed"),
            now=_now,
        )
        self._recovery = Recovery(
            database=database,
            missed=missed,
            wanted=lambda: {name: one for name, one in opened.connections.items() if one.recovers and one.provider},
            snapshot=lambda: jobs.snapshot,
            numbers=metrics.missed,
            health=health,
            log=structlog.get_logger("headgate.missed"),
            now=_now,
        )
        self._reload = Reload(
            written,
            kinds=plugins.kinds,
            opened=opened,
            jobs=jobs,
            health=health,
            changed=self._jobs_changed,
            seen=seen,
        )
        desk = Desk(database=database, worker=self._worker, route=self._inbox.route, now=_now)
        self.web = make_app(
            settings=settings,
            database=database.for_requests,
            now=_now,
            metrics=metrics,
            health=health,
            version=version("headgate"),
            connections=opened.connections,
            providers=plugins.kinds.providers,
            plugins=plugins.reports,
            guards=guards,
            routes=plugins.kinds.routes,
            jobs=jobs.listed,
            received=self._inbox.received,
            run_job=flow.run_job,
            cancel_build=desk.cancel_build,
            replay=desk.replay,
            missed=missed,
            notification_retried=self._outbox.wake,
            logs=logs,
            changes=self._changes,
            redact=redactor.redact,
        )

    async def run(self) -> None:
        """All of them, until cancelled; when one breaks, all end and the fault is raised."""
        await self._check_git()
        await self._poller.start()
        self._health.set("worker", "ok")
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (
                    self._inbox,
                    self._worker,
                    self._outbox,
                    self._reload,
                    self._sources,
                    self._disks,
                    self._addresses,
                    self._streams,
                    self._recovery,
                ):
                    tasks.create_task(work.run(), name=type(work).__name__)
                tasks.create_task(self._watch_queue(), name="queue depth")
        finally:
            self._poller.stop()
            await self._poller.flush()

    async def _check_git(self) -> None:
        try:
            warnings = await self._sources.check_git()
        except HeadgateError as error:
            self._health.set("git", "down", str(error))
            log.warning("git", reason=str(error))
            return
        for warning in warnings:
            log.warning("git", reason=warning)
        self._health.set("git", "ok", "; ".join(warnings))

    def listening(self) -> None:
        """The server takes deliveries: what was missed may be sent again."""
        self._recovery.listening()

    async def drain(self) -> None:
        """Nothing new comes in any more: let what runs here end, for a while."""
        within = self._settings.worker.stop_within
        self._terminal.stopping(self._worker.running, seconds=within)
        await self._worker.drain(within)

    def stop_claiming(self) -> None:
        """The server is about to stop: what waits stays where a later one finds it."""
        self._worker.stop_claiming()

    async def _watch_queue(self) -> None:
        """What waits, and our own tasks, for the metrics."""
        while True:
            async with self._database.reading() as connection:
                depth, backlog = await builds.depth(connection), await deliveries.waiting(connection)
            self._metrics.queue_depth({State.QUEUED: depth.queued, State.RUNNING: depth.running})
            self._metrics.backlog(backlog)
            self._metrics.tasks(len(asyncio.all_tasks()))
            await asyncio.sleep(DEPTH_SECONDS)

    def _jobs_changed(self) -> None:
        self._poller.rebuild()
        self._inbox.look_again()
        self._streams.look_again()

    def _planned(self, builds: Sequence[Build]) -> None:
        self._worker.wake()
        for build in builds:
            self._changed(build)

    def _changed(self, build: Build) -> None:
        """After every committed change of a build: there may be news, and people who watch."""
        self._outbox.wake()
        self._changes.publish(build)
        self._terminal.build(build)

    def _provider(self, connection: str) -> tuple[Provider, Guard] | None:
        known = self._opened.connections.get(connection)
        return (known.provider, known.guard) if known and known.provider else None

    def _connection(self, name: str) -> OpenConnection | None:
        known = self._opened.connections.get(name)
        if known is None or known.provider is None:
            return None
        return OpenConnection(
            name=name,
            provider=known.provider,
            normalise=self._normalise[known.kind],
            guard=known.guard,
            event_header=known.event_header,
        )

    def _open_connections(self) -> Mapping[str, OpenConnection]:
        found = {name: self._connection(name) for name in self._opened.connections}
        return {name: connection for name, connection in found.items() if connection is not None}


def _hidden(settings: Settings) -> tuple[Path, ...]:
    """What no build may see besides the data folder: our configuration, and every file a credential store names."""
    named = [
        Path(value) for block in settings.credential_stores.values() for value in block.values() if _is_path(value)
    ]
    return (settings.file, *settings.jobs, *named)


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and Path(value).is_absolute()


def _now() -> datetime:
    return datetime.now(UTC)
