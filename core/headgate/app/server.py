"""One running server, put together top to bottom and taken apart in the opposite order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp
import structlog
from msgspec.structs import replace

from headgate.api.client import NAMES_THREAD, Names, shared_socket
from headgate.app.jobs import JobFiles
from headgate.app.opening import PLUGIN_THREAD, OpenKinds
from headgate.app.reload import report_closed
from headgate.app.rooms import Rooms
from headgate.app.terminal import Say, Terminal
from headgate.config.host import load_plugin_settings, load_settings
from headgate.config.settings import Settings
from headgate.config.watch import look
from headgate.credentials.redaction import Redactor
from headgate.plugins import LoadedPlugins, load_plugins
from headgate.plugins.guard import Guard, Guards
from headgate.plugins.memory import MemoryWatch
from headgate.plugins.watchdog import Watchdog
from headgate.storage.database import Database, open_database
from headgate.storage.dialect import in_words
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.logs import configure_logging
from headgate.telemetry.metrics import Metrics
from headgate.web.access import ensure_admin_token
from headgate.web.server import serve as listen

log = structlog.get_logger(__name__)

EXIT_OUR_FAULT = 70
EXIT_INTERRUPTED = 130

GARBAGE_SECONDS = 60.0
"""Between two collections of garbage that is not quite new."""

YOUNG = 2_000
"""Objects that may come and stay before the collector looks at them, two milliseconds' worth. What waits to be routed
stays: with 50,000 a busy server stopped for 50 ms at a time."""

MIDDLE = 250
"""Such looks, until all that stayed is looked at again: seldom, because that takes longer the more waits."""

QUIET_LOOKS = 5
"""Such looks in `GARBAGE_SECONDS`, with which a server is not busy."""

LEFT_SECONDS = 3.0
"""How long whatever is left may take to end, when all that is ours has ended."""

TOLD = ("build queued", "build finished")
"""Log lines that the terminal has its own sentences for."""

SWITCH_SECONDS = 0.001
"""How long the event loop and the writer's thread keep Python's lock from each other: each statement takes it back."""

HTTP_SECONDS = 30.0
"""Time-out of a whole request by the shared HTTP client."""

CONNECTIONS = 128
"""Its connections at once; to one host a quarter of them, by however many of ours it is asked: it may hang."""


async def serve(config: Path, *, host: str | None = None, port: int | None = None, say: Say | None = None) -> None:
    """Serve `config` until SIGTERM or SIGINT; `host` and `port` win over what it says.

    `say` prints for a person (the admin token, once; what was built). Raises `ConfigError` for a configuration
    that cannot be used and `StorageError` for a database that cannot.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, _stop_or_end, stop)
    sys.setswitchinterval(SWITCH_SECONDS)
    async with running(config, host=host, port=port, say=say) as failed:
        _settle_garbage_collection()
        waiting = [asyncio.create_task(stop.wait()), failed]
        collecting = asyncio.create_task(_collect_young_garbage(), name="garbage")
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()
        collecting.cancel()
        if failed.done() and not failed.cancelled():
            failed.result()
        log.info("stopping")
    await _end_what_is_left()


async def _end_what_is_left() -> None:
    """All that is ours is closed. A plugin's task or a thread that does not end must not keep the process for ever."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=LEFT_SECONDS)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith((PLUGIN_THREAD, NAMES_THREAD))]
    for thread in threads:
        await asyncio.to_thread(thread.join, LEFT_SECONDS / len(threads))
    names = [*(task.get_name() for task in left), *(thread.name for thread in threads if thread.is_alive())]
    if names:
        log.warning("ended without what did not end by itself", left=names)
        os._exit(0)


def _stop_or_end(stop: asyncio.Event) -> None:
    """The first signal stops in good order, the second at once: whatever is on disk by then stays true."""
    if stop.is_set():
        os._exit(EXIT_INTERRUPTED)
    stop.set()


def _settle_garbage_collection() -> None:
    """What is loaded by now stays: the collector need not look at it with every few hundred deliveries."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, 50)


async def _collect_young_garbage() -> None:
    """By the clock: a server with little to do would reach those thresholds after hours, and hold its garbage until then.

    Not the oldest generation, which has all jobs after a reload: that would take as long as they are many. Nor while
    much comes and stays: then answers would wait, and the thresholds are reached soon enough.
    """
    before = 0
    while True:
        await asyncio.sleep(GARBAGE_SECONDS)
        looks = gc.get_count()[1]
        if 0 <= looks - before <= QUIET_LOOKS:
            gc.collect(1)
        before = gc.get_count()[1]


@asynccontextmanager
async def running(
    config: Path, *, host: str | None = None, port: int | None = None, say: Say | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """A server that serves while the context lasts; the task given ends only when a part of it broke."""
    redactor = Redactor()
    seen = look([config])
    plugins, written = _configure(config, redactor)
    seen |= look(written.jobs)
    settings = _listening_on(written, host, port)
    terminal = Terminal(say or (lambda _: None), config=config)
    metrics, health = Metrics(), Health(expected=("database", "jobs", "worker"))
    async with AsyncExitStack() as stack:
        guards = Guards(plugins, tells=metrics.plugins, now=_now, changed=lambda guard: _show(guard, health))
        watchers = (Watchdog(guards), MemoryWatch(guards, growth=settings.plugins.memory_growth))
        database = await _open_database(settings, stack)
        health.set("database", "ok")
        http = await stack.enter_async_context(_http_client())
        opened = await stack.enter_async_context(
            OpenKinds(plugins, redactor=redactor, http=http, now=_now, metrics=metrics, guards=guards)
        )
        await opened.reopen(settings)
        report_closed(opened, health)
        jobs = JobFiles(settings, plugins.kinds, metrics=metrics, health=health, guards=guards)
        await asyncio.to_thread(jobs.read_first)
        rooms = Rooms(
            settings=settings,
            written=written,
            plugins=plugins,
            guards=guards,
            database=database,
            opened=opened,
            jobs=jobs,
            redactor=redactor,
            metrics=metrics,
            health=health,
            terminal=terminal,
            http=http,
            seen=seen,
        )
        tasks = asyncio.create_task(rooms.run(), name="rooms")
        stack.push_async_callback(_end, tasks)
        stack.push_async_callback(rooms.drain)
        for watcher in watchers:
            watcher.start()
            stack.callback(watcher.stop)
        listening = await stack.enter_async_context(
            listen(
                rooms.web,
                host=settings.server.host,
                port=settings.server.port,
                socket_path=settings.data / "headgate.sock",
            )
        )
        stack.callback(rooms.stop_claiming)
        rooms.listening()
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


def _show(guard: Guard, health: Health) -> None:
    """A plugin's open circuits, as a component of the server's health."""
    component = f"plugin {guard.plugin}"
    if circuits := guard.health().circuits:
        reasons = "; ".join(f"{circuit.method}: {circuit.reason}" for circuit in circuits)
        health.set(component, "degraded", f"{guard.distribution} {guard.version} is not called: {reasons}")
    else:
        health.remove(component)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    await asyncio.to_thread(migrate, settings.database)
    return await stack.enter_async_context(open_database(settings.database, on_fatal=_exit_at_once))


def _exit_at_once(error: BaseException) -> None:
    """After a failed fsync the next commit can look fine and not be: nothing may be answered any more."""
    log.critical(
        "the database failed: exiting at once, nothing more is acknowledged",
        reason=in_words(error),
        hint="look at the disk, then start again: what was acknowledged is kept, and a start looks for damage",
    )
    os._exit(EXIT_OUR_FAULT)


@asynccontextmanager
async def _http_client() -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        Names() as names,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, limit_per_host=CONNECTIONS // 4, socket_factory=shared_socket, resolver=names
            ),
            timeout=aiohttp.ClientTimeout(total=HTTP_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"headgate/{version('headgate')}"},
            trust_env=False,
        ) as session,
    ):
        yield session


async def _end(tasks: asyncio.Task[None]) -> None:
    tasks.cancel()
    await asyncio.wait([tasks])


def _now() -> datetime:
    return datetime.now(UTC)
