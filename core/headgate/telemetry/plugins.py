"""What is counted of plugins, by the plugin's name; not who judges them."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge


class PluginNumbers:
    """The numbers of all plugins (`headgate.plugins.health.Tells`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are told."""
        self._failures = Counter(
            "headgate_plugin_failures", "Plugins that broke their contract.", ["plugin"], registry=registry
        )
        self._calls = Counter(
            "headgate_plugin_calls",
            "Calls of plugins that timed out, were slow or were refused.",
            ["plugin", "result"],
            registry=registry,
        )
        self._circuits = Gauge(
            "headgate_plugin_open_circuits", "Circuits of a plugin that are open.", ["plugin"], registry=registry
        )
        self._blocked = Counter(
            "headgate_plugin_blocked_seconds", "How long a plugin let everybody wait.", ["plugin"], registry=registry
        )
        self._growth = Gauge(
            "headgate_plugin_memory_growth_bytes",
            "What a plugin's code took and kept while it was watched.",
            ["plugin"],
            registry=registry,
        )

    def plugin_failed(self, plugin: str) -> None:
        """It broke its contract."""
        self._failures.labels(plugin).inc()

    def plugin_call(self, plugin: str, result: Literal["timed_out", "slow", "refused"]) -> None:
        """A call was out of the ordinary."""
        self._calls.labels(plugin, result).inc()

    def plugin_circuits(self, plugin: str, count: int) -> None:
        """How many of its circuits are open."""
        self._circuits.labels(plugin).set(count)

    def plugin_blocked(self, plugin: str, seconds: float) -> None:
        """It let everybody wait."""
        self._blocked.labels(plugin).inc(seconds)

    def plugin_grew(self, plugin: str, size: int) -> None:
        """Bytes its code took and kept while it was watched."""
        self._growth.labels(plugin).set(size)
