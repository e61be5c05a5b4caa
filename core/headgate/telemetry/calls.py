"""What is counted of calls to providers' APIs, by provider and connection; not what the calls are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Calls:
    """The numbers of all calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """`registry`: where they are told."""
        labels = ["provider", "connection"]
        self.requests = Histogram(
            "headgate_provider_request_duration_seconds",
            "Requests to the APIs of providers.",
            [*labels, "status"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.retries = Counter(
            "headgate_provider_retries", "Requests to providers made again.", labels, registry=registry
        )
        self.waits = Counter(
            "headgate_provider_rate_limit_wait_seconds",
            "Waited for rate limits of providers.",
            labels,
            registry=registry,
        )

    def of(self, *, kind: str, name: str) -> CallsOf:
        """Those of one open object; both words are of the configuration, so their number is bounded."""
        return CallsOf(self, kind=kind, name=name)


class CallsOf:
    """`headgate.api.CallMetrics` of one open object."""

    def __init__(self, calls: Calls, *, kind: str, name: str) -> None:
        """Made by `Calls.of`."""
        self._calls, self._labels = calls, (kind, name)

    def observe_call(self, seconds: float, *, status: str) -> None:
        """One request."""
        self._calls.requests.labels(*self._labels, status).observe(seconds)

    def call_retried(self) -> None:
        """A request is made again."""
        self._calls.retries.labels(*self._labels).inc()

    def rate_limit_waited(self, seconds: float) -> None:
        """A request waits so long."""
        self._calls.waits.labels(*self._labels).inc(seconds)
