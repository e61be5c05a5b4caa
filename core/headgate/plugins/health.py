"""How plugins behave, as values and as whom to tell; not who judges them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec


class OpenCircuit(msgspec.Struct, frozen=True, kw_only=True):
    """One that refuses. `method` is `everything` for the whole plugin."""

    method: str
    since: datetime
    reason: str
    next_trial_at: datetime


class PluginHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a plugin has behaved since the start. `growth` in bytes, 0 when it was never seen to keep memory."""

    faults: int = 0
    timeouts: int = 0
    slow_calls: int = 0
    refused_calls: int = 0
    blocked_seconds: float = 0.0
    growth: int = 0
    last_fault: str = ""
    circuits: tuple[OpenCircuit, ...] = ()


class Tells(Protocol):
    """What the guards need of the metrics. All may be called in any thread."""

    def plugin_failed(self, plugin: str) -> None:
        """It broke its contract."""

    def plugin_call(self, plugin: str, result: Literal["timed_out", "slow", "refused"]) -> None:
        """A call was out of the ordinary."""

    def plugin_circuits(self, plugin: str, count: int) -> None:
        """How many of its circuits are open."""

    def plugin_blocked(self, plugin: str, seconds: float) -> None:
        """It let everybody wait."""

    def plugin_grew(self, plugin: str, size: int) -> None:
        """Bytes its code took and kept while it was watched."""


class Silent:
    """Tells nobody."""

    def plugin_failed(self, plugin: str) -> None:
        """Nothing."""

    def plugin_call(self, plugin: str, result: str) -> None:
        """Nothing."""

    def plugin_circuits(self, plugin: str, count: int) -> None:
        """Nothing."""

    def plugin_blocked(self, plugin: str, seconds: float) -> None:
        """Nothing."""

    def plugin_grew(self, plugin: str, size: int) -> None:
        """Nothing."""
