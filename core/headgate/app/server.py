"""One running server, put together top to bottom and taken apart in the opposite order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import structlog
from msgspec.structs import replace

from headgate.api.builds import Build, State
from headgate.api.errors import HeadgateError
from headgate.api.providers import Provider
from headgate.api.sealing import read_key_file
from headgate.app.desk import Desk
from headgate.app.jobs import JobFiles
from headgate.app.opening import OpenKinds
from headgate.app.reload import Reload, report_closed
from headgate.app.sources import Sources
from headgate.app.terminal import Say, Terminal
from headgate.builds.logs import Logs
from headgate.builds.worker import Worker
from headgate.config.host import load_plugin_settings, load_settings
from headgate.config.settings import Settings
from headgate.credentials.redaction import Redactor
from headgate.flow import Flow
from headgate.notifications.outbox import Outbox
from headgate.plugins import LoadedPlugins, load_plugins
from headgate.scheduling.inbox import Inbox, OpenConnection
from headgate.scheduling.polls import Poller
from headgate.storage import builds
from headgate.storage.database import Database, open_database
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.logs import configure_logging
from headgate.telemetry.metrics import Metrics
from headgate.web.access import ensure_admin_token
from headgate.web.changes import BuildChanges
from headgate.web.server import make_app
from headgate.web.server import serve as listen

log = structlog.get_logger(__name__)

EXIT_OUR_FAULT = 70
EXIT_INTERRUPTED = 130

TOLD = ("build queued", "build finished")
"""Log lines that the terminal has its own sentences for."""

DEPTH_SECONDS = 5.0
"""Seconds between two looks at the queue's depth."""

DRAIN_SECONDS = 10.0
"""How long running builds may still go on when the server is stopped; then they are ended and handed back."""

HTTP_SECONDS = 30.0
"""Time-out of a whole request by the shared HTTP client."""


async def serve(config: Path, *, host: str | None = None, port: int | None = None, say: Say | None = None) -> None:
    """Serve `config` until SIGTERM or SIGINT; `host` and `port` win over what it says.

    `say` prints for a person (the admin token, once; what was built). Raises `ConfigError` for a configuration
    that cannot be used and `StorageError` for a database that cannot.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, _stop_or_end, stop)
    async with running(config, host=host, port=port, say=say) as failed:
        _settle_garbage_collection()
        waiting = [asyncio.create_task(stop.wait()), failed]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()
        if failed.done() and not failed.cancelled():
            failed.result()
        log.info("stopping")


def _stop_or_end(stop: asyncio.Event) -> None:
    """The first signal stops in good order, the second at once: whatever is on disk by then stays true."""
    if stop.is_set():
        os._exit(EXIT_INTERRUPTED)
    stop.set()


def _settle_garbage_collection() -> None:
    """What is loaded by now stays: the collector need not look at it with every few hundred deliveries."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@asynccontextmanager
async def running(
    config: Path, *, host: str | None = None, port: int | None = None, say: Say | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """A server that serves while the context lasts; the task given ends only when a part of it broke."""
    redactor = Redactor()
    plugins, written = _configure(config, redactor)
    settings = _listening_on(written, host, port)
    terminal = Terminal(say or (lambda _: None), config=config)
    metrics, health = Metrics(), Health(expected=("database", "jobs", "worker"))
    async with AsyncExitStack() as stack:
        database = await _open_database(settings, stack)
        health.set("database", "ok")
        http = await stack.enter_async_context(_http_client())
        opened = await stack.enter_async_context(OpenKinds(plugins, redactor=redactor, http=http, now=_now))
        await opened.reopen(settings)
        report_closed(opened, health)
        jobs = JobFiles(settings, plugins.kinds, metrics=metrics, health=health)
        await asyncio.to_thread(jobs.read_first)
        rooms = _Rooms(
            settings=settings,
            written=written,
            plugins=plugins,
            database=database,
            opened=opened,
            jobs=jobs,
            redactor=redactor,
            metrics=metrics,
            health=health,
            terminal=terminal,
            http=http,
        )
        tasks = asyncio.create_task(rooms.run(), name="rooms")
        stack.push_async_callback(_end, tasks)
        stack.push_async_callback(rooms.drain)
        listening = await stack.enter_async_context(
            listen(
                rooms.web,
                host=settings.server.host,
                port=settings.server.port,
                socket_path=settings.data / "headgate.sock",
            )
        )
        if token := await ensure_admin_token(database, _now()):
            terminal.token(token)
        terminal.serving(
            f"http://{listening.host}:{listening.port}",
            version=version("headgate"),
            jobs=len(jobs.snapshot.jobs),
            connections=len(settings.connections),
            problems=opened.problems,
        )
        yield tasks


def _configure(config: Path, redactor: Redactor) -> tuple[LoadedPlugins, Settings]:
    """Which plugins, then which settings: what is denied is not imported to read the rest."""
    wanted = load_plugin_settings(config)
    plugins = load_plugins(allow=wanted.allow, deny=wanted.deny)
    settings = load_settings(config, plugins.kinds)
    configure_logging(log_format=settings.logs.format, level=settings.logs.level, redact=redactor.redact, told=TOLD)
    for report in plugins.reports:
        if report.status == "broken":
            log.error("plugin not usable", plugin=report.name, distribution=report.distribution, reason=report.reason)
    return plugins, settings


def _listening_on(settings: Settings, host: str | None, port: int | None) -> Settings:
    """What the command line says of where to listen, so that links say it too."""
    server = replace(
        settings.server, host=host or settings.server.host, port=settings.server.port if port is None else port
    )
    return replace(settings, server=server)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    await asyncio.to_thread(migrate, settings.database)
    return await stack.enter_async_context(open_database(settings.database, on_fatal=_exit_at_once))


def _hidden(settings: Settings) -> tuple[Path, ...]:
    """What no build may see besides the data folder: our configuration, and every file a credential store names."""
    named = [
        Path(value) for block in settings.credential_stores.values() for value in block.values() if _is_path(value)
    ]
    return (settings.file, *settings.jobs, *named)


def _is_path(value: object) -> bool:
    return isinstance(value, str | Path) and Path(value).is_absolute()


def _exit_at_once(error: BaseException) -> None:
    """After a failed fsync the next commit can look fine and not be: nothing may be answered any more."""
    log.critical("the database failed; exiting", error=repr(error))
    os._exit(EXIT_OUR_FAULT)


def _http_client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"headgate/{version('headgate')}"},
        trust_env=False,
    )


async def _end(tasks: asyncio.Task[None]) -> None:
    tasks.cancel()
    await asyncio.wait([tasks])


def _now() -> datetime:
    return datetime.now(UTC)


class _Rooms:
    """Every room that works by itself, wired to the others by the functions they need and nothing more."""

    def __init__(
        self,
        *,
        settings: Settings,
        written: Settings,
        plugins: LoadedPlugins,
        database: Database,
        opened: OpenKinds,
        jobs: JobFiles,
        redactor: Redactor,
        metrics: Metrics,
        health: Health,
        terminal: Terminal,
        http: aiohttp.ClientSession,
    ) -> None:
        self._settings, self._opened, self._jobs, self._terminal = settings, opened, jobs, terminal
        self._health, self._metrics, self._database = health, metrics, database
        self._normalise = {name: kind.normalise for name, kind in plugins.kinds.providers.items()}
        self._changes = BuildChanges()
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
        )
        self._poller = Poller(
            database=database,
            flow=flow,
            asks=sources.ask,
            snapshot=lambda: jobs.snapshot,
            jitter=settings.polling.jitter,
            concurrency=settings.polling.concurrency,
            metrics=metrics,
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
        self._reload = Reload(
            written, kinds=plugins.kinds, opened=opened, jobs=jobs, health=health, changed=self._jobs_changed
        )
        desk = Desk(database=database, worker=self._worker, route=self._inbox.route, now=_now)
        self.web = make_app(
            settings=settings,
            database=database,
            now=_now,
            metrics=metrics,
            health=health,
            version=version("headgate"),
            connections=opened.connections,
            providers=plugins.kinds.providers,
            plugins=plugins.reports,
            routes=plugins.kinds.routes,
            jobs=jobs.listed,
            received=self._inbox.received,
            run_job=flow.run_job,
            cancel_build=desk.cancel_build,
            replay=desk.replay,
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
                for work in (self._inbox, self._worker, self._outbox, self._reload, self._sources):
                    tasks.create_task(work.run(), name=type(work).__name__)
                tasks.create_task(self._watch_queue(), name="queue depth")
        finally:
            self._poller.stop()

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

    async def drain(self) -> None:
        """Nothing new comes in any more: let what runs here end, for a while."""
        self._terminal.stopping(self._worker.running, seconds=DRAIN_SECONDS)
        await self._worker.drain(DRAIN_SECONDS)

    async def _watch_queue(self) -> None:
        """The queue's depth, for the metrics."""
        while True:
            async with self._database.reading() as connection:
                depth = await builds.depth(connection)
            self._metrics.queue_depth({State.QUEUED: depth.queued, State.RUNNING: depth.running})
            await asyncio.sleep(DEPTH_SECONDS)

    def _jobs_changed(self) -> None:
        self._poller.rebuild()
        self._inbox.look_again()

    def _planned(self, builds: Sequence[Build]) -> None:
        self._worker.wake()
        for build in builds:
            self._changed(build)

    def _changed(self, build: Build) -> None:
        """After every committed change of a build: there may be news, and people who watch."""
        self._outbox.wake()
        self._changes.publish(build)
        self._terminal.build(build)

    def _provider(self, connection: str) -> Provider | None:
        known = self._opened.connections.get(connection)
        return known.provider if known else None

    def _connection(self, name: str) -> OpenConnection | None:
        known = self._opened.connections.get(name)
        if known is None or known.provider is None:
            return None
        return OpenConnection(name=name, provider=known.provider, normalise=self._normalise[known.kind])
