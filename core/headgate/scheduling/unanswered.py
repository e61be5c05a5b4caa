"""Which repositories could not be asked, told on the board of health; not the asking."""

from __future__ import annotations

from headgate.telemetry.health import Health, summary


class Unanswered:
    """By connection, the repositories whose last poll failed, and why: `polls CONNECTION` is degraded as long."""

    def __init__(self, health: Health) -> None:
        """`health`: where it is told."""
        self._health = health
        self._reasons: dict[str, dict[str, str]] = {}

    def failed(self, connection: str, repository: str, reason: str) -> None:
        """It was asked, and did not answer."""
        reasons = self._reasons.setdefault(connection, {})
        if reasons.get(repository) != reason:
            reasons[repository] = reason
            self._tell(connection)

    def forget(self, connection: str, repository: str) -> None:
        """It has answered, or is asked no more."""
        reasons = self._reasons.get(connection)
        if reasons is not None and reasons.pop(repository, None) is not None:
            self._tell(connection)

    def _tell(self, connection: str) -> None:
        reasons = self._reasons[connection]
        if not reasons:
            del self._reasons[connection]
            self._health.remove(_component(connection))
            return
        self._health.set(_component(connection), "degraded", summary(reasons))


def _component(connection: str) -> str:
    return f"polls {connection}"
