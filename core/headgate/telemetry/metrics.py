"""What is counted and timed, as typed methods on a registry of its own; not what is done about it.

Label values are bounded: names come from the configuration or from a closed list, and what a stranger sends
(an event's name) is kept to a number of values, after which it counts as `other`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from headgate.api.builds import Outcome
from headgate.telemetry.calls import Calls
from headgate.telemetry.missed import MissedNumbers
from headgate.telemetry.plugins import PluginNumbers
from headgate.telemetry.streams import StreamNumbers

OTHER = "other"
MAX_EVENTS = 64
"""How many names of events one provider may bring; GitHub has 70, of which few are sent."""

CONTENT_TYPE = CONTENT_TYPE_LATEST

DeliveryResult: TypeAlias = Literal[
    "recorded", "duplicate", "ignored", "unreadable", "unauthenticated", "refused", "busy", "failed"
]
NotificationResult: TypeAlias = Literal["told", "retried", "dead", "superseded"]

_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_.: -]{0,39}", re.ASCII)
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_WAIT = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)


class Metrics:
    """Every number the server tells. Methods are cheap and never raise; one instance per server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._events: dict[str, set[str]] = {}
        self._delivery_counters: dict[tuple[str, str, str, str], Counter] = {}
        self._deliveries = Counter(
            "headgate_deliveries", "Webhook requests.", ["provider", "connection", "event", "result"], registry=registry
        )
        self._decisions = Counter("headgate_decisions", "Decisions by verdict.", ["verdict"], registry=registry)
        self._builds = Counter("headgate_builds", "Finished builds.", ["outcome"], registry=registry)
        self._queue_depth = Gauge("headgate_queue_depth", "Builds by state.", ["state"], registry=registry)
        self._backlog = Gauge("headgate_deliveries_waiting", "Recorded and not routed yet.", registry=registry)
        self._queue_wait = Histogram(
            "headgate_queue_wait_seconds", "From queued to running.", buckets=_WAIT, registry=registry
        )
        self._polls = Histogram(
            "headgate_poll_duration_seconds", "Asking for refs.", ["result"], buckets=_SLOW, registry=registry
        )
        self._git = Histogram(
            "headgate_git_duration_seconds",
            "Git operations.",
            ["operation", "result"],
            buckets=_SLOW,
            registry=registry,
        )
        self._notifications = Counter(
            "headgate_notifications", "Tries to tell news.", ["notifier", "result"], registry=registry
        )
        self._requests = Histogram(
            "headgate_http_request_duration_seconds",
            "Answered requests.",
            ["method", "route", "status"],
            buckets=_FAST,
            registry=registry,
        )
        self._request_timers: dict[tuple[str, str, int], Histogram] = {}
        self.plugins = PluginNumbers(registry)
        self.calls = Calls(registry)
        self.streams = StreamNumbers(registry)
        self.missed = MissedNumbers(registry)
        self._config_valid = Gauge("headgate_config_valid", "1 when the last reload was taken.", registry=registry)
        self._job_problems = Gauge("headgate_job_problems", "Problems in job files.", registry=registry)
        self._tasks = Gauge("headgate_tasks", "Asyncio tasks of the server.", registry=registry)
        ProcessCollector(registry=registry)  # process_resident_memory_bytes, process_open_fds and their like

    def delivery(self, *, provider: str, connection: str, event: str | None, result: DeliveryResult) -> None:
        """A webhook request was answered. `event` is the sender's own word, only trusted when the seal was."""
        key = (provider, connection, self._bounded_event(provider, event), result)
        counter = self._delivery_counters.get(key)
        if counter is None:
            counter = self._delivery_counters[key] = self._deliveries.labels(*key)
        counter.inc()

    def decision(self, *, build: bool) -> None:
        """A job was judged."""
        self._decisions.labels("build" if build else "no_build").inc()

    def build_finished(self, outcome: Outcome) -> None:
        """A build ended."""
        self._builds.labels(str(outcome)).inc()

    def queue_depth(self, depth: Mapping[str, int]) -> None:
        """How many builds there are in each unfinished state."""
        for state, count in depth.items():
            self._queue_depth.labels(str(state)).set(count)

    def backlog(self, count: int) -> None:
        """How many deliveries are acknowledged and not routed yet."""
        self._backlog.set(count)

    def tasks(self, count: int) -> None:
        """How many tasks the event loop has: what grows for ever was forgotten somewhere."""
        self._tasks.set(count)

    def observe_queue_wait(self, seconds: float) -> None:
        """A build started this long after it was queued."""
        self._queue_wait.observe(seconds)

    def observe_poll(self, seconds: float, *, succeeded: bool) -> None:
        """A repository was asked for its refs."""
        self._polls.labels("succeeded" if succeeded else "failed").observe(seconds)

    def observe_git(self, seconds: float, *, operation: str, succeeded: bool) -> None:
        """Git's part of something ended. `operation` is a word of ours (`ls_refs`, `fetch`), never an argument."""
        self._git.labels(operation, "succeeded" if succeeded else "failed").observe(seconds)

    def notification(self, *, notifier: str, result: NotificationResult) -> None:
        """A notifier was asked to tell."""
        self._notifications.labels(notifier, result).inc()

    def observe_request(self, seconds: float, *, method: str, route: str, status: int) -> None:
        """A request was answered. `route` is the declared path with its placeholders, never the path asked for."""
        key = (method, route, status)
        timer = self._request_timers.get(key)
        if timer is None:
            timer = self._request_timers[key] = self._requests.labels(method, route, str(status))
        timer.observe(seconds)

    def plugin_failed(self, plugin: str) -> None:
        """A plugin raised what its contract does not allow."""
        self.plugins.plugin_failed(plugin)

    def configuration(self, *, valid: bool, job_problems: int) -> None:
        """What the last (re)load found."""
        self._config_valid.set(1 if valid else 0)
        self._job_problems.set(job_problems)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def value(self, name: str, **labels: str) -> float:
        """One sample, 0 when it never was counted; for tests."""
        return self._registry.get_sample_value(name, labels) or 0.0

    def _bounded_event(self, provider: str, event: str | None) -> str:
        if event is None:
            return "none"
        known = self._events.setdefault(provider, set())
        if event in known:
            return event
        if len(known) >= MAX_EVENTS or not _EVENT.fullmatch(event):
            return OTHER
        known.add(event)
        return event
