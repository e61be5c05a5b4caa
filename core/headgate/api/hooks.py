"""The webhooks that a repository has at its host, and how they differ from those that are wanted; pure values."""

from __future__ import annotations

from datetime import datetime

import msgspec

from headgate.api.credentials import Secret


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as its host lists it. `events` are in the host's own words; hosts never tell the secret.

    `has_secret`, `verifies_tls` and `healthy` are `None` where the host does not say.
    """

    id: str
    url: str
    events: tuple[str, ...] = ()
    active: bool = True
    has_secret: bool | None = None
    verifies_tls: bool | None = None
    healthy: bool | None = None


class WantedHook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as the configuration needs it. `events`: empty for the provider's `hook_events()`, all it can read.

    `secret`: `None` for the newest of the connection's own.
    """

    url: str
    secret: Secret | None = None
    events: tuple[str, ...] = ()


class HookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery as the sender remembers it. `key` is the one its `Seal` has here, `None` where history lacks it.

    `status` is what we answered: `None` when there was no answer.
    """

    id: str
    key: str | None
    event: str
    at: datetime
    status: int | None = None
    redelivery: bool = False


def hook_differences(found: Hook, wanted: WantedHook, needed: tuple[str, ...]) -> tuple[str, ...]:
    """What must change for `found` to do what `wanted` asks, in words; empty: nothing.

    `needed`: the events it has to bring, in the host's words; one that sends everything says `*`.
    """
    faults = []
    if not found.active:
        faults.append("it is switched off")
    if found.healthy is False:
        faults.append("its last delivery failed, or its host gave it up")
    if found.has_secret is False:
        faults.append("it has no secret")
    if found.verifies_tls is False and wanted.url.startswith("https:"):
        faults.append("it does not check our certificate")
    missing = [] if "*" in found.events else [event for event in needed if event not in found.events]
    if missing:
        faults.append(f"it does not send {', '.join(missing)}")
    return tuple(faults)
