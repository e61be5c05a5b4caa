"""What is counted of deliveries that hosts could not make, by connection; not how they are found."""

from __future__ import annotations

from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter

MissedResult: TypeAlias = Literal["asked", "not_given", "failed_again"]
LookResult: TypeAlias = Literal["complete", "unknown", "failed"]


class MissedNumbers:
    """The numbers of all connections that recover; they are named in the configuration, so their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are told."""
        self._missed = Counter(
            "headgate_missed_deliveries",
            "Deliveries that a host could not make, and what came of asking it again.",
            ["connection", "result"],
            registry=registry,
        )
        self._looks = Counter(
            "headgate_missed_looks",
            "Looks through a repository's history of deliveries.",
            ["connection", "result"],
            registry=registry,
        )

    def missed(self, connection: str, result: MissedResult) -> None:
        """One was asked for, is no longer given by its host, or failed again after it was asked for."""
        self._missed.labels(connection, result).inc()

    def looked(self, connection: str, result: LookResult) -> None:
        """One repository was looked at. `unknown`: its history could not tell all."""
        self._looks.labels(connection, result).inc()
