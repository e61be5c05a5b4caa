"""The host's settings as frozen values; not how they are read, nor what a job says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from headgate.api import Problem


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how the server listens. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    """What links in statuses and notifications start with; `None`: `http://host:port`."""
    max_body: int = 26_214_400
    read_timeout: float = 10.0
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose `X-Forwarded-For` is believed."""


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which plugins may be imported: entry-point or distribution names. `allow=None` allows all; `deny` wins.

    `memory_growth`: bytes by which the server may grow before it looks whose code keeps the memory; 0: never.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    memory_growth: int = 268_435_456


class GitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What git may do. `local_roots`: folders whose repositories may be read by path; none by default."""

    local_roots: tuple[Path, ...] = ()
    timeout: float = 600.0
    max_repository_size: int = 10_737_418_240


class PollSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How polling spreads: `jitter` as a share of the interval, `concurrency` questions at once."""

    jitter: float = 0.1
    concurrency: int = 8


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What runs builds here: `slots` at once, `lease` seconds between proofs of life, `log_limit` bytes a build.

    `stop_within`: seconds that builds may go on when the server is stopped.
    """

    slots: int = 2
    lease: float = 30.0
    stop_within: float = 10.0
    log_limit: int = 67_108_864


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How we log: `auto` is console on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What webhooks a connection takes, beside their seal; `None` or nothing: no such rule.

    `allow`: networks, and `provider` for those the host publishes. `per_minute`: deliveries. `replay_window`: seconds.
    `recover`: whether the host is asked to send again what it could not deliver.
    """

    allow: tuple[str, ...] = ()
    per_minute: int | None = None
    replay_window: float | None = None
    recover: bool = False


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: its provider's name, and `options`, which fit that provider's schema."""

    name: str
    provider: str
    options: dict[str, Any]
    webhooks: WebhookSettings = WebhookSettings()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of `config.yaml`, paths absolute. The dictionaries map a kind's name to its block.

    `notifiers` and `executors` also hold an empty block for each installed kind that needs no settings.
    `unavailable` maps what was left out (`connections.acme`, `executors.podman`) because its plugin is broken or
    denied to the reason; `problems` are the same, each with its place.
    """

    file: Path
    data: Path
    database: str
    """An SQLAlchemy URL: `sqlite+aiosqlite:////srv/headgate/headgate.db`."""
    jobs: tuple[Path, ...]
    server: ServerSettings = ServerSettings()
    plugins: PluginSettings = PluginSettings()
    git: GitSettings = GitSettings()
    polling: PollSettings = PollSettings()
    worker: WorkerSettings = WorkerSettings()
    logs: LogSettings = LogSettings()
    connections: tuple[ConnectionSettings, ...] = ()
    credential_stores: dict[str, dict[str, Any]] = {}
    notifiers: dict[str, dict[str, Any]] = {}
    executors: dict[str, dict[str, Any]] = {}
    problems: tuple[Problem, ...] = ()
    unavailable: dict[str, str] = {}

    def unavailable_in(self, section: str) -> dict[str, str]:
        """What was left out of one section (`connections`), by the name it has there, with the reason."""
        prefix = f"{section}."
        return {
            place.removeprefix(prefix): reason for place, reason in self.unavailable.items() if place.startswith(prefix)
        }

    @property
    def public_url(self) -> str:
        """The start of every link we hand out, without a slash at the end."""
        return (self.server.public_url or f"http://{self.server.host}:{self.server.port}").rstrip("/")
