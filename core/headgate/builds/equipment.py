"""What all attempts of a worker work with, handed over in one piece; not what one attempt makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from headgate import api
from headgate.builds.logs import Logs
from headgate.builds.processes import Processes
from headgate.builds.queue import Queue
from headgate.builds.sandbox import Sandbox
from headgate.builds.workspace import Sources
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.plugins.guard import Guards
from headgate.storage.database import Database
from headgate.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What all attempts of a worker work with."""

    queue: Queue
    database: Database
    executors: Mapping[str, api.Executor]
    guards: Guards
    sources: Sources
    secrets: Secrets
    redactor: Redactor
    unseal: Callable[[str, str], str]
    logs: Logs
    log_limit: int
    lease: float
    processes: Processes
    sandbox: Sandbox
    workspaces: Path
    base: Mapping[str, str]
    public_url: str
    metrics: Metrics
    now: Callable[[], datetime]
