"""Deliveries that a host sent and we never recorded, by its own history, and having them sent again; not when to look.

What is sent again arrives like any other delivery and is known by its key, so asking too often builds nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import msgspec

from headgate.api.capabilities import KnowsHookDeliveries, ManagesHooks, RedeliversHooks
from headgate.api.errors import HeadgateError, NotFound, ProviderError, RateLimited, Refused, Unavailable
from headgate.api.hooks import Hook, HookDelivery
from headgate.api.host import Logger
from headgate.api.providers import Provider
from headgate.plugins.guard import Guard
from headgate.storage import deliveries, missed
from headgate.storage.database import Database
from headgate.storage.missed import HookLook, Redelivered
from headgate.telemetry.missed import MissedNumbers

ANSWER_WITHIN: Final = 120.0
"""Seconds for one question; a history can be many pages of a slow host."""

OVERLAP: Final = timedelta(minutes=15)
"""How far a look reaches into the one before: clocks differ, and what was under way then is told now."""

LONGEST: Final = 5_000
"""Entries of a history that are looked at in one go."""

_SUCCESS: Final = range(200, 300)
_STOP: Final = (Refused, RateLimited, Unavailable)
"""What says that the next delivery would not be sent again either."""


class Asked(Protocol):
    """A connection whose history is looked at."""

    @property
    def name(self) -> str:
        """As configured."""

    @property
    def provider(self) -> Provider | None:
        """Who knows it, when it is open."""

    @property
    def guard(self) -> Guard:
        """Stands at every call."""


class NoHook(NotFound):
    """The repository has no webhook that leads here."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What a host remembers, newest first, as far as it was looked at.

    `newest`: of all that it remembers. `end`: whether `entries` are as much as was wanted, the host's whole memory, or
    as much as one look takes.
    """

    entries: tuple[HookDelivery, ...]
    newest: HookDelivery | None
    end: Literal["reached", "forgotten", "long"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A look at one repository. `deliveries`: one entry of each that failed and was not recorded, oldest first.

    `before`: what is known of asking for them before, by their `mark`. `unknown`: what could not be seen, empty when all was.
    """

    hook: str
    deliveries: tuple[HookDelivery, ...]
    before: Mapping[str, Redelivered]
    unknown: str
    newest: HookDelivery | None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking. `refused`: those that the host does not give, with the reason; `stopped`: why no more."""

    asked: tuple[HookDelivery, ...]
    refused: tuple[tuple[HookDelivery, str], ...] = ()
    stopped: HeadgateError | None = None


class Missed:
    """Looks at histories and asks for what is missing in our records."""

    def __init__(
        self,
        *,
        database: Database,
        url: Callable[[str], str],
        numbers: MissedNumbers,
        log: Logger,
        now: Callable[[], datetime],
    ) -> None:
        """`url`: where the webhooks of a connection lead."""
        self._database = database
        self._url = url
        self._numbers = numbers
        self._log = log
        self._now = now
        self._hooks: dict[tuple[str, str], tuple[object, Hook]] = {}
        """By connection and repository, as that provider told of it."""

    async def find(self, asked: Asked, repository: str, *, since: datetime, last: HookLook | None = None) -> Found:
        """What failed since then. `repository`: its path; `last`: the look before, to see what was forgotten since.

        Raises `NoHook`, `HeadgateError` of the provider, and `StorageError`.
        """
        provider = asked.provider
        if not isinstance(provider, KnowsHookDeliveries) or not isinstance(provider, ManagesHooks):
            raise ProviderError("its provider does not know what its webhooks sent")
        hook, history = await self._history(asked, provider, repository, since - OVERLAP)
        failed = _failed(history.entries)
        marks = [mark(repository, one) for one in failed]
        async with self._database.reading() as connection:
            keys = [one.key for one in failed if one.key is not None]
            recorded = await deliveries.recorded_keys(connection, asked.name, keys)
            before = await missed.redelivered_of(connection, asked.name, marks)
            keyless = await missed.keyless_redelivered_at(connection, asked.name, repository)
        wanted = [
            one
            for one in failed
            if (one.key not in recorded if one.key is not None else not _may_be_ours(one, asked_since=keyless))
        ]
        return Found(
            hook=hook.id,
            deliveries=tuple(wanted),
            before=before,
            unknown=_unknown(hook, history, last),
            newest=history.newest,
        )

    async def ask(self, asked: Asked, repository: str, hook: str, wanted: Sequence[HookDelivery]) -> Given:
        """Have each of these sent again, in this order, until the host wants no more. Raises `StorageError`."""
        provider = asked.provider
        if not isinstance(provider, RedeliversHooks):
            return Given(asked=(), stopped=ProviderError("its provider sends nothing again"))
        given: list[HookDelivery] = []
        refused: list[tuple[HookDelivery, str]] = []
        for one in wanted:
            about = {"connection": asked.name, "repository": repository, "key": one.key, "type": one.event}
            try:
                await _redeliver(asked.guard, provider, repository, hook, one)
            except HeadgateError as error:
                if not isinstance(error, ProviderError) or isinstance(error, _STOP):
                    return Given(asked=tuple(given), refused=tuple(refused), stopped=error)
                refused.append((one, str(error)))
                self._numbers.missed(asked.name, "not_given")
                self._log.warning("a missed delivery is not sent again", **about, reason=str(error))
            else:
                given.append(one)
                self._numbers.missed(asked.name, "asked")
                self._log.info("a missed delivery is sent again", **about, failed_at=one.at.isoformat())
            await self._keep(asked.name, repository, one)
        return Given(asked=tuple(given), refused=tuple(refused))

    async def _keep(self, connection: str, repository: str, one: HookDelivery) -> None:
        row = Redelivered(
            connection=connection,
            delivery=mark(repository, one),
            repository=repository,
            keyed=one.key is not None,
            asked_at=self._now(),
        )
        await self._database.writer.write(lambda connection: missed.put_redelivered(connection, row))

    async def _history(
        self, asked: Asked, provider: KnowsHookDeliveries, repository: str, until: datetime
    ) -> tuple[Hook, History]:
        """Of the hook that leads here: one that was known and is gone is looked for once more."""
        place = (asked.name, repository)
        teller, known = self._hooks.pop(place, (None, None))
        if known is not None and teller is provider:
            try:
                history = await _walked(asked.guard, provider, repository, known, until)
            except NotFound:
                pass
            else:
                self._hooks[place] = (provider, known)
                return known, history
        hook = await self._hook(asked, repository)
        history = await _walked(asked.guard, provider, repository, hook, until)
        if hook.active:  # else it is looked at again, for it may be switched on
            self._hooks[place] = (provider, hook)
        return hook, history

    async def _hook(self, asked: Asked, repository: str) -> Hook:
        provider, url = asked.provider, self._url(asked.name)
        if not isinstance(provider, ManagesHooks):
            raise ProviderError("its provider does not know its webhooks")
        hooks: ManagesHooks = provider

        async def ours() -> list[Hook]:
            return [hook async for hook in hooks.hooks(repository) if hook.url == url]

        found = await asked.guard.call("hooks", ours, within=ANSWER_WITHIN)
        if not found:
            raise NoHook(f"{repository} has no webhook that leads to {url}")
        return next((hook for hook in found if hook.active), found[0])


def mark(repository: str, one: HookDelivery) -> str:
    """What a delivery is remembered by: its key, or the id of one of its tries where the host does not tell the key."""
    return one.key if one.key is not None else f"{repository}#{one.id}"


def _failed(entries: Sequence[HookDelivery]) -> tuple[HookDelivery, ...]:
    """The newest try of each delivery of which no try succeeded, in the order of the first ones."""
    done = {one.key for one in entries if one.key is not None and one.status in _SUCCESS}
    found: dict[str, HookDelivery] = {}
    for one in reversed(entries):
        if one.status not in _SUCCESS and one.key not in done:
            found[mark("", one)] = one
    return tuple(found.values())


def _may_be_ours(one: HookDelivery, *, asked_since: datetime | None) -> bool:
    """Whether one without a key may be a failed try to do what we asked for, which must not be asked for for ever."""
    return one.redelivery or (asked_since is not None and one.at > asked_since)


def _unknown(hook: Hook, history: History, last: HookLook | None) -> str:
    """What the history does not show, in words for an admin."""
    if not hook.active:
        return "its webhook is switched off, so what happens is not sent and not remembered"
    oldest = history.entries[-1].at if history.entries else None
    if history.end == "long":
        return f"more than {LONGEST} deliveries: those before {oldest} were not looked at"
    if history.end == "forgotten" and last is not None and last.newest_at is not None:
        seen = any(one.id == last.newest_id or one.at <= last.newest_at for one in history.entries)
        if not seen:
            back = f"goes back to {oldest} only" if oldest else "is empty"
            return f"its host's history {back}: what failed after {last.newest_at} and was forgotten is unknown"
    return ""


async def _walked(guard: Guard, provider: KnowsHookDeliveries, repository: str, hook: Hook, until: datetime) -> History:
    async def walk() -> History:
        entries: list[HookDelivery] = []
        newest: HookDelivery | None = None
        end: Literal["reached", "forgotten", "long"] = "forgotten"
        told = provider.hook_deliveries(repository, hook.id)
        async for one in told:
            newest = newest or one
            if one.at < until:
                end = "reached"
                break
            entries.append(one)
            if len(entries) == LONGEST:
                end = "long"
                break
        if (close := getattr(told, "aclose", None)) is not None:
            await close()
        return History(entries=tuple(entries), newest=newest, end=end)

    return await guard.call("hook_deliveries", walk, within=ANSWER_WITHIN)


async def _redeliver(guard: Guard, provider: RedeliversHooks, repository: str, hook: str, one: HookDelivery) -> None:
    await guard.call("redeliver", lambda: provider.redeliver(repository, hook, one.id), within=ANSWER_WITHIN)
