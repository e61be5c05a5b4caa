"""What is counted of streams, by connection; not what they tell."""

from __future__ import annotations

from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge

StreamResult: TypeAlias = Literal["recorded", "duplicate", "ignored", "unreadable", "refused"]


class StreamNumbers:
    """The numbers of all streams; connections are named in the configuration, so their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are told."""
        labels = ["connection"]
        self._connected = Gauge(
            "headgate_stream_connected", "1 while a stream is open and has caught up.", labels, registry=registry
        )
        self._changed = Gauge(
            "headgate_stream_changed_timestamp_seconds", "Since when a stream is so.", labels, registry=registry
        )
        self._reconnects = Counter(
            "headgate_stream_reconnects", "Times a stream was lost or could not be had.", labels, registry=registry
        )
        self._messages = Counter(
            "headgate_stream_messages", "What streams told.", [*labels, "result"], registry=registry
        )

    def connected(self, connection: str, *, connected: bool, since: float) -> None:
        """It is open and has caught up, or no longer; `since`: seconds since the epoch."""
        self._connected.labels(connection).set(1 if connected else 0)
        self._changed.labels(connection).set(since)

    def lost(self, connection: str) -> None:
        """It ended or could not be had, and will be tried again."""
        self._reconnects.labels(connection).inc()

    def message(self, connection: str, result: StreamResult) -> None:
        """It told something."""
        self._messages.labels(connection, result).inc()

    def gone(self, connection: str) -> None:
        """There is no such stream any more; what was counted stays."""
        for gauge in (self._connected, self._changed):
            if (connection,) in gauge._metrics:  # noqa: SLF001 - `remove` raises for what is not there
                gauge.remove(connection)
