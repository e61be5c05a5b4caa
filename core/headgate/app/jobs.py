"""The jobs in force: the last good snapshot of the files, and what is wrong with them right now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from headgate.api.errors import Problem
from headgate.config.jobs import load_jobs
from headgate.config.settings import Settings
from headgate.plugins import Kinds
from headgate.plugins.guard import Guards
from headgate.routing.index import Snapshot, make_snapshot
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics
from headgate.web.ports import JobList

log = structlog.get_logger(__name__)


class JobFiles:
    """Reads job files, at start and whenever they change. A reload is whole or not at all, and starts no build."""

    def __init__(
        self, settings: Settings, kinds: Kinds, *, metrics: Metrics, health: Health, guards: Guards | None = None
    ) -> None:
        """Reads nothing yet; `snapshot` is empty."""
        self._settings = settings
        self._kinds = kinds
        self._metrics = metrics
        self._health = health
        self._guards = guards
        self.snapshot = Snapshot()
        self._listed = JobList(jobs={})

    def read_first(self) -> None:
        """What is good at the start is in force; what is not is reported."""
        self.snapshot = self._read()
        self._report(kept=False)

    def read_again(self, settings: Settings, configuration: Sequence[Problem] = ()) -> None:
        """Swap in what the files say now, or keep what was good and show what is wrong.

        `configuration`: what is wrong with the host's settings, which then are those that were good.
        """
        self._settings = settings
        fresh = self._read(configuration)
        kept = bool(fresh.problems) and bool(self.snapshot.jobs)
        self.snapshot = replace(self.snapshot, problems=fresh.problems) if kept else fresh
        self._report(kept=kept)

    def listed(self) -> JobList:
        """For the API; made when the jobs change, not at each request."""
        return self._listed

    def _read(self, configuration: Sequence[Problem] = ()) -> Snapshot:
        loaded = load_jobs(self._settings.jobs, self._kinds, self._settings)
        return make_snapshot(
            loaded.jobs,
            self._kinds,
            normalise=self._normalise(),
            problems=(*configuration, *self._settings.problems, *loaded.problems),
            guards=self._guards,
        )

    def _normalise(self) -> Mapping[str, Callable[[str], str]]:
        return {one.name: self._kinds.providers[one.provider].normalise for one in self._settings.connections}

    def _report(self, *, kept: bool) -> None:
        problems = self.snapshot.problems
        jobs = {name: compiled.job for name, compiled in self.snapshot.jobs.items()}
        self._listed = JobList(jobs=jobs, problems=problems)
        self._metrics.configuration(valid=not problems, job_problems=len(problems))
        if problems:
            count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the configuration"
            rest = "the last good jobs stay in force" if kept else "the good jobs are in force"
            self._health.set("jobs", "degraded", f"{count}; {rest}")
            for problem in problems:
                log.error("configuration", problem=str(problem))
            log.warning("configuration", consequence=rest)
        else:
            self._health.set("jobs", "ok")
        if not kept:
            log.info("jobs in force", jobs=len(self.snapshot.jobs), version=self.snapshot.version[:12])
