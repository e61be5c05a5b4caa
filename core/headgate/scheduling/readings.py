"""What a delivery's reading means for repositories: facts, and repositories to be asked; not when it is routed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headgate.api.deliveries import Delivery, Ignored, Parsed, Reading
from headgate.api.errors import Unreadable
from headgate.api.events import Event, Ping, PollRequested, Push
from headgate.api.providers import Provider
from headgate.plugins.guard import Guard, lone_guard
from headgate.routing.planning import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConnection:
    """A connection as the doors need it: its open provider and how it normalises a repository's path.

    `event_header`: the lower-case header that names a delivery's event, if it has one.
    """

    name: str
    provider: Provider
    normalise: Callable[[str], str]
    guard: Guard = field(default_factory=lone_guard, compare=False)
    event_header: str | None = None


def parse(provider: Provider, delivery: Delivery) -> Reading:
    """What it says, as the contract has it; to be called through the guard."""
    reading = provider.parse(delivery)
    if not isinstance(reading, (Parsed, Ignored)):
        raise TypeError(f"it gave a {type(reading).__name__}, neither events nor a reason to ignore it")
    return reading


def facts_of(
    reading: Reading,
    delivery: Delivery,
    connection: OpenConnection,
    default_branch: Callable[[str, str], str | None],
    *,
    replay: bool,
) -> list[Fact]:
    """The events as facts; a ping or a request to poll is no fact about a repository.

    Raises `Unreadable` for one that names no repository, or what git allows in no name; `PluginError` when the
    provider breaks on its name.
    """
    if not isinstance(reading, Parsed):
        return []
    facts = []
    for event in reading.events:
        if isinstance(event, (Ping, PollRequested)):
            continue
        key = _key(event, connection)
        if any(
            "\0" in name for name in (key, getattr(event, "ref", None) or "", getattr(event, "head_ref", None) or "")
        ):
            raise Unreadable("a name in the event holds a NUL, which git allows in none")
        told = event.default_branch if isinstance(event, Push) else None
        facts.append(
            Fact(
                event=event,
                connection=connection.name,
                key=key,
                observer="stream" if delivery.streamed else "webhook",
                delivery_id=delivery.id,
                default_branch=told or default_branch(connection.name, key),
                rejudge=replay,
            )
        )
    return facts


def announced(reading: Reading, connection: OpenConnection) -> list[str]:
    """The repositories of pushes that were announced without saying what moved."""
    events = reading.events if isinstance(reading, Parsed) else ()
    return [_key(event, connection) for event in events if isinstance(event, PollRequested)]


def _key(event: Event, connection: OpenConnection) -> str:
    repository = getattr(event, "repository", None)
    if repository is None:
        raise Unreadable("the event names no repository")
    try:
        return connection.guard.run("normalise", connection.normalise, repository.path, declared=ValueError)
    except ValueError as error:
        raise Unreadable(f"the event's repository is no path: {error}") from None
