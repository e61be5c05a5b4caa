"""From kinds and settings to open objects, each on its own: one that fails is a reason, and nobody else's loss."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar

import aiohttp
import structlog

from headgate.api.capabilities import KnowsSenderAddresses
from headgate.api.credentials import Credential, CredentialStore, CredentialSummary, Secret, WritableCredentialStore
from headgate.api.errors import HeadgateError, PluginError
from headgate.api.executors import Executor
from headgate.api.host import CallMetrics, Host, Logger
from headgate.api.kinds import Open, ProviderKind
from headgate.api.notifiers import Notifier
from headgate.api.providers import Provider
from headgate.config.settings import ConnectionSettings, Settings
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.plugins import LoadedPlugins
from headgate.plugins.guard import Guard, Guards
from headgate.telemetry.metrics import Metrics
from headgate.web.ports import Connection
from headgate.web.senders import PUBLISHED, Senders

OPEN_WITHIN = 30.0
"""Seconds a kind may take to open; a hanging one is given up, and the server starts without it."""

SETTLE_WITHIN = 10.0
"""Seconds that calls of what is replaced may still take before it is closed under them."""

CLOSE_WITHIN = 10.0
"""Seconds it may take to close."""

PLUGIN_THREAD = "plugin"
"""What the names of those threads start with."""

PLUGIN_THREADS = 8
"""Threads for `Host.blocking`, for each open object: what hangs in all of its own keeps no other waiting."""

STORE_WITHIN = 30.0
"""Seconds a credential store may take to give a secret."""

Section: TypeAlias = Literal["credential_stores", "notifiers", "executors"]

T = TypeVar("T")
Opened = TypeVar("Opened")
Opened_co = TypeVar("Opened_co", covariant=True)


class _HasOpen(Protocol[Opened_co]):
    @property
    def open(self) -> Open[Opened_co]: ...


class PluginsHost:
    """`headgate.api.Host` for one open object."""

    def __init__(
        self,
        *,
        name: str,
        plugin: str,
        secrets: Secrets,
        http: aiohttp.ClientSession,
        threads: ThreadPoolExecutor,
        now: Callable[[], datetime],
        metrics: CallMetrics,
    ) -> None:
        """`name`: as configured; `plugin`: whose code it is, for the log."""
        self._name = name
        self._log: Logger = structlog.get_logger("headgate.plugin").bind(plugin=plugin, of=name)
        self._secrets = secrets
        self._http = http
        self._threads = threads
        self.now = now
        self._metrics = metrics

    @property
    def name(self) -> str:
        """The name under which the admin configured it."""
        return self._name

    @property
    def log(self) -> Logger:
        """Names the plugin in every line."""
        return self._log

    @property
    def http(self) -> aiohttp.ClientSession:
        """The shared client."""
        return self._http

    @property
    def metrics(self) -> CallMetrics:
        """Those of its calls."""
        return self._metrics

    async def secret(self, reference: str, *, for_host: str | None = None) -> Credential:
        """See `headgate.api.Host`."""
        return await self._secrets.resolve(reference, for_host=for_host)

    async def keep_secret(self, reference: str, credential: Credential) -> None:
        """See `headgate.api.Host`."""
        await self._secrets.keep(reference, credential)

    def mask(self, *secrets: Secret) -> None:
        """See `headgate.api.Host`."""
        for secret in secrets:
            self._secrets.redactor.add(secret.reveal())

    def masked(self, text: str) -> str:
        """See `headgate.api.Host`."""
        return self._secrets.redactor.redact(text)

    async def blocking(self, call: Callable[[], T]) -> T:
        """See `headgate.api.Host`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class GuardedStore:
    """A credential store behind its plugin's guard (`headgate.api.CredentialStore`)."""

    def __init__(self, store: CredentialStore, guard: Guard) -> None:
        """`guard`: of the plugin whose code `store` is."""
        self._store = store
        self._guard = guard

    async def get(self, name: str) -> Credential:
        """The credential. Raises `CredentialError`, or `PluginError` when the store breaks or is not called now."""
        return await self._guard.call("get", lambda: self._store.get(name), within=STORE_WITHIN)

    async def list(self) -> Sequence[CredentialSummary]:
        """What it holds. Raises as `get`."""
        return await self._guard.call("list", self._store.list, within=STORE_WITHIN)


class WritableGuardedStore(GuardedStore):
    """One that can be written (`headgate.api.WritableCredentialStore`)."""

    def __init__(self, store: WritableCredentialStore, guard: Guard) -> None:
        """As `GuardedStore`."""
        super().__init__(store, guard)
        self._writable = store

    async def put(self, name: str, credential: Credential) -> CredentialSummary:
        """Keep it. Raises as `get`."""
        return await self._guard.call("put", lambda: self._writable.put(name, credential), within=STORE_WITHIN)

    async def remove(self, name: str) -> None:
        """Forget it. Raises as `get`."""
        await self._guard.call("remove", lambda: self._writable.remove(name), within=STORE_WITHIN)


def guarded(store: CredentialStore, guard: Guard) -> GuardedStore:
    """`store` behind its plugin's guard, still writable if it was."""
    return (
        WritableGuardedStore(store, guard) if isinstance(store, WritableCredentialStore) else GuardedStore(store, guard)
    )


class OpenKinds:
    """Everything that is open, by configured name, and why the rest is not (`connections.acme` → reason).

    The dictionaries stay the same objects: whoever holds one sees what `reopen` put into it.
    """

    def __init__(
        self,
        plugins: LoadedPlugins,
        *,
        redactor: Redactor,
        http: aiohttp.ClientSession,
        now: Callable[[], datetime],
        metrics: Metrics,
        guards: Guards,
    ) -> None:
        """Nothing is open yet. Use as an async context manager, and `reopen` inside it."""
        self._plugins = plugins
        self._http = http
        self._now = now
        self._metrics = metrics
        self._guards = guards
        self._threads: defaultdict[str, ThreadPoolExecutor] = defaultdict(
            lambda: ThreadPoolExecutor(max_workers=PLUGIN_THREADS, thread_name_prefix=PLUGIN_THREAD)
        )
        """By place, for as long as we run: what was opened before a reload may still be at work."""
        self._stack = AsyncExitStack()
        self._stores: dict[str, CredentialStore] = {}
        self.secrets = Secrets(self._stores, redactor)
        self.connections: dict[str, Connection] = {}
        self.notifiers: dict[str, Notifier] = {}
        self.executors: dict[str, Executor] = {}
        self.problems: dict[str, str] = {}
        self.published: dict[str, tuple[str, ...]] = {}
        """The networks that hosts say their webhooks come from, by connection; whoever asks them writes it here."""

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything, in the opposite order."""
        await self._stack.aclose()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)  # one that hangs is left behind

    async def reopen(self, settings: Settings) -> None:
        """Open what `settings` say, put it in place of what was open, then close that when nobody is inside."""
        async with AsyncExitStack() as stack:
            stores: dict[str, CredentialStore] = {}
            secrets = Secrets(stores, self.secrets.redactor)
            host = partial(PluginsHost, secrets=secrets, http=self._http, now=self._now)
            door = _Door(
                stack,
                self._plugins,
                host=host,
                threads=self._threads,
                metrics=self._metrics,
                guards=self._guards,
                problems=dict(settings.unavailable),
                published=self.published,
            )
            kinds = self._plugins.kinds
            # The stores first, because the others ask for secrets while they open.
            entered = await door.enter_all("credential_stores", "credential store", kinds.credential_stores, settings)
            stores |= {
                name: guarded(store, self._guards.of("credential store", name)) for name, store in entered.items()
            }
            connections = {
                name: _closed(name, reason) for name, reason in settings.unavailable_in("connections").items()
            }
            for one in settings.connections:
                connections[one.name] = await door.connect(one, kinds.providers[one.provider])
            notifiers = await door.enter_all("notifiers", "notifier", kinds.notifiers, settings)
            executors = await door.enter_all("executors", "executor", kinds.executors, settings)
            _replace(self._stores, stores)
            _replace(self.connections, connections)
            _replace(self.notifiers, notifiers)
            _replace(self.executors, executors)
            _replace(self.problems, door.problems)
            old, self._stack = self._stack, stack.pop_all()
        await self._guards.settled(SETTLE_WITHIN)
        await old.aclose()


class _Door:
    """Opens one thing after another on one exit stack, and keeps why the others stayed closed."""

    def __init__(
        self,
        stack: AsyncExitStack,
        plugins: LoadedPlugins,
        *,
        host: Callable[..., Host],
        threads: Mapping[str, ThreadPoolExecutor],
        metrics: Metrics,
        guards: Guards,
        problems: dict[str, str],
        published: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._stack = stack
        self._plugins = plugins
        self._host = host
        self._threads = threads
        self._metrics = metrics
        self._guards = guards
        self._published = published
        self.problems = problems

    async def enter_all(
        self, section: Section, word: str, kinds: Mapping[str, _HasOpen[Opened]], settings: Settings
    ) -> dict[str, Opened]:
        """All of a section of the configuration that open."""
        blocks: Mapping[str, Mapping[str, Any]] = getattr(settings, section)
        opened = {}
        for name, block in blocks.items():
            one = await self.enter(f"{section}.{name}", name, (word, name), kinds[name], block)
            if one is not None:
                opened[name] = one
        return opened

    async def connect(self, one: ConnectionSettings, kind: ProviderKind) -> Connection:
        """A connection, open or with the reason why it is not."""
        place = f"connections.{one.name}"
        provider: Provider | None = await self.enter(place, one.name, ("provider", one.provider), kind, one.options)
        rules = one.webhooks
        senders = Senders(
            allow=rules.allow,
            published=lambda: self._published.get(one.name),
            per_minute=rules.per_minute,
            replay_window=rules.replay_window,
        )
        if provider is not None and senders.wants_published and not isinstance(provider, KnowsSenderAddresses):
            self.problems[place] = (
                f"`webhooks.allow` names `{PUBLISHED}`, and {one.provider} does not publish where its webhooks come "
                "from; write the networks yourself"
            )
            provider = None
        return Connection(
            name=one.name,
            kind=one.provider,
            provider=provider,
            problem=self.problems.get(place, ""),
            event_header=kind.event_header,
            guard=self._guards.of("provider", one.provider),
            senders=senders,
            recovers=rules.recover,
        )

    async def enter(
        self, place: str, name: str, key: tuple[str, str], kind: _HasOpen[Opened], block: Mapping[str, Any]
    ) -> Opened | None:
        """The open object, or `None` and a reason under `place`."""
        origin = self._plugins.origins[key]
        calls = self._metrics.calls.of(kind=key[1], name=name)
        host = self._host(name=name, plugin=origin.name, threads=self._threads[place], metrics=calls)
        guard = self._guards.of(*key)
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                return await guard.inside("open", lambda: self._entered(kind, block, host, guard))
        except TimeoutError:
            reason = f"it did not open within {OPEN_WITHIN:g} seconds"
        except PluginError as error:
            reason = f"{origin.distribution} {origin.version} failed to open it: {error.reason}"
        except HeadgateError as error:
            reason = str(error)
        self.problems[place] = reason
        host.log.error("not opened", place=place, reason=reason)
        return None

    async def _entered(self, kind: _HasOpen[Opened], block: Mapping[str, Any], host: Host, guard: Guard) -> Opened:
        context = kind.open(block, host)
        opened = await context.__aenter__()
        self._stack.push_async_callback(_leave, context, guard)
        return opened


async def _leave(context: AbstractAsyncContextManager[Any], guard: Guard) -> None:
    """Close one; what is wrong with it is told and keeps nothing else open."""
    with suppress(HeadgateError, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN):
            await guard.inside("close", lambda: context.__aexit__(None, None, None))


def _replace(held: dict[str, T], fresh: Mapping[str, T]) -> None:
    """In place and without a moment of emptiness: a webhook must not find its connection gone in between."""
    held.update(fresh)
    for name in held.keys() - fresh.keys():
        del held[name]


def _closed(name: str, reason: str) -> Connection:
    return Connection(name=name, kind="", provider=None, problem=reason)
