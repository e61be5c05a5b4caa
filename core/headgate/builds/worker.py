"""Claims builds and runs as many at once as it has slots; not how one build runs (`attempt`).

The worker is woken when a build is planned, and looks by itself every few seconds. When it starts, it gives back
what it held in an earlier life, and now and then what any worker lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from headgate import api
from headgate.builds.attempt import Attempt
from headgate.builds.equipment import Equipment
from headgate.builds.logs import Logs
from headgate.builds.processes import Processes
from headgate.builds.queue import Assigned, Queue
from headgate.builds.sandbox import Sandbox, detect, interpreter_prefix
from headgate.builds.workspace import Sources, remove_leftovers
from headgate.config.settings import WorkerSettings
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.plugins.guard import Guards, lone_guards
from headgate.storage.builds import Cancelled, Claimed
from headgate.storage.database import Database
from headgate.storage.errors import Busy, StorageFull
from headgate.telemetry.metrics import Metrics

_LOOK = 5.0
"""Seconds between two looks at the queue when nobody wakes us: another process may have planned a build."""

_NOT_BEGUN = "the server was stopped before it began"

_ENDING = 4
"""Attempts for each slot, with those that only write down how they ended."""

_log = structlog.get_logger(__name__)


class Worker:
    """Runs builds on this machine."""

    def __init__(
        self,
        *,
        database: Database,
        executors: Mapping[str, api.Executor],
        sources: Sources,
        secrets: Secrets,
        redactor: Redactor,
        notifiers: Mapping[str, api.Notifier],
        unseal: Callable[[str, str], str],
        settings: WorkerSettings,
        data: Path,
        hidden: Sequence[Path],
        logs: Logs,
        public_url: str,
        metrics: Metrics,
        now: Callable[[], datetime],
        name: str,
        environment: Mapping[str, str],
        changed: Callable[[api.Build], None],
        guards: Guards | None = None,
    ) -> None:
        """`unseal(sealed, bound_to)` opens password parameters. `hidden`: what no build may see besides `data`.

        `environment`: the server's own, of which builds get the harmless part. `changed(build)` is called after
        every committed change of a build; it must not block. `name` must be this worker's alone.
        """
        self._guards = guards or lone_guards()
        self._queue = Queue(database=database, notifiers=notifiers, now=now, changed=changed, guards=self._guards)
        self._database = database
        self._executors = executors
        self._sources = sources
        self._secrets = secrets
        self._redactor = redactor
        self._unseal = unseal
        self._settings = settings
        self._data = data.resolve()
        self._hidden = tuple(hidden)
        self._logs = logs
        self._public_url = public_url
        self._metrics = metrics
        self._now = now
        self._name = name
        self._base = _with_interpreter(environment)
        self._attempts: dict[str, Attempt] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[tuple[str, int]] = set()
        self._awake = asyncio.Event()
        self._draining = False
        self.sandbox: Sandbox | None = None
        """What isolation builds get here, once it is known; for health and for the curious."""

    def wake(self) -> None:
        """There may be something to claim."""
        self._awake.set()

    @property
    def running(self) -> int:
        """Builds running here now."""
        return len(self._attempts)

    async def run(self) -> None:
        """Claim and run until `drain` is called or this task is cancelled: then what runs is ended and handed back."""
        async with Processes(ready=self._settings.slots) as processes:
            try:
                await self._work(processes)
            finally:
                await self._hand_back("the server was stopped while it ran")

    def stop_claiming(self) -> None:
        """Start nothing more. A build of which nothing ran yet waits again, which costs nobody anything."""
        self._draining = True
        self._awake.set()
        for attempt in self._attempts.values():
            if not attempt.begun:
                attempt.stop("handed_back", _NOT_BEGUN)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - how long builds may go on, not this call
        """Claim no more, let builds go on for `timeout` seconds, then end and hand back what still runs."""
        self.stop_claiming()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        await self._hand_back("the server was stopped while it ran")

    async def cancel(self, build_id: str, reason: str) -> tuple[Cancelled, api.Build] | tuple[None, None]:
        """Cancel a build, waiting or running, here or elsewhere: what became of it, and the build as it is then."""
        done, build = await self._queue.cancel(build_id, reason=reason)
        if done == "requested" and build_id in self._attempts:
            self._attempts[build_id].stop("cancelled", reason)
        if done is None or build is None:
            return None, None
        if done == "finished":
            self._metrics.build_finished(api.Outcome.CANCELLED)
        return done, build

    async def _work(self, processes: Processes) -> None:
        self.sandbox = await detect(
            processes, hidden=(self._data, *self._hidden), environment={"PATH": self._base.get("PATH", "/usr/bin:/bin")}
        )
        why = {"problem": self.sandbox.problem} if self.sandbox.problem else {}
        _log.info("isolation", kind="bubblewrap" if self.sandbox.program else "none", **why)
        equipment = self._equipment(processes, self.sandbox)
        await self._give_up(await self._queue.abandoned(worker=self._name))
        await remove_leftovers(equipment.workspaces, self._queue.running)
        next_look = 0.0
        loop = asyncio.get_running_loop()
        while not self._draining:
            self._awake.clear()
            if loop.time() >= next_look:
                next_look = loop.time() + self._settings.lease
                await self._give_up(await self._queue.abandoned())
            await self._claim(equipment)
            try:
                async with asyncio.timeout(min(_LOOK, self._settings.lease)):
                    await self._awake.wait()
            except TimeoutError:
                pass
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _equipment(self, processes: Processes, sandbox: Sandbox) -> Equipment:
        return Equipment(
            queue=self._queue,
            database=self._database,
            executors=self._executors,
            guards=self._guards,
            sources=self._sources,
            secrets=self._secrets,
            redactor=self._redactor,
            unseal=self._unseal,
            logs=self._logs,
            log_limit=self._settings.log_limit,
            lease=self._settings.lease,
            processes=processes,
            sandbox=sandbox,
            workspaces=self._data / "workspaces",
            base=self._base,
            public_url=self._public_url,
            metrics=self._metrics,
            now=self._now,
        )

    async def _claim(self, equipment: Equipment) -> None:
        # An attempt whose processes have ended only writes that down: its slot is free, but not for ever more.
        slots = self._settings.slots
        free = min(slots - len(self._busy), _ENDING * slots - len(self._tasks))
        if free <= 0:
            return
        asked = time.monotonic()
        try:
            assigned = await self._queue.claim(worker=self._name, lease=self._settings.lease, limit=free)
        except (Busy, StorageFull) as error:
            _log.warning("claim_failed", reason=str(error))
            return
        for one in assigned:
            if self._draining:  # since we asked
                await self._queue.release(one.claimed, reason=_NOT_BEGUN)
            else:
                self._start(one, equipment, asked)

    def _start(self, assigned: Assigned, equipment: Equipment, asked: float) -> None:
        build = assigned.claimed.build
        if build.started_at is not None:
            self._metrics.observe_queue_wait((build.started_at - build.queued_at).total_seconds())
        claim = (build.id, assigned.claimed.fence)
        attempt = Attempt(assigned, equipment, asked=asked, ran=lambda: self._free(claim))
        # In place of an earlier attempt, perhaps: one that is given back may be ours again before that one has ended.
        self._attempts[build.id] = attempt
        self._busy.add(claim)
        task = asyncio.create_task(attempt.run(), name=f"attempt at {build.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(attempt, claim, task))

    def _free(self, claim: tuple[str, int]) -> None:
        self._busy.discard(claim)
        self._awake.set()

    def _ended(self, attempt: Attempt, claim: tuple[str, int], task: asyncio.Task[None]) -> None:
        build_id, _ = claim
        self._tasks.discard(task)
        if self._attempts.get(build_id) is attempt:
            del self._attempts[build_id]
        self._free(claim)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("attempt_failed", build_id=build_id, exc_info=error)

    async def _hand_back(self, reason: str) -> None:
        for attempt in self._attempts.values():
            attempt.stop("handed_back", reason)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _give_up(self, abandoned: Sequence[Claimed]) -> None:
        """Builds whose worker is gone: each waits again or is lost. Our own are not gone while they run here."""
        for claimed in abandoned:
            if claimed.build.id in self._attempts:
                continue
            build = await self._queue.release(claimed, reason=f"the worker {claimed.build.worker} ended while it ran")
            if build is None:
                continue
            _log.warning(
                "build_abandoned",
                build_id=build.id,
                delivery_id=build.delivery_id,
                state=str(build.state),
                outcome=build.outcome,
            )
            if build.outcome is not None:
                self._metrics.build_finished(build.outcome)
            self._logs.say(build, redactor=self._redactor, limit=self._settings.log_limit)


def _with_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    """The server's environment with our interpreter's folder last on `PATH`, so that there is a `python3` to find."""
    folder = str(Path(interpreter_prefix()) / "bin")
    places = environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    return {**environment, "PATH": ":".join(places if folder in places else [*places, folder])}
