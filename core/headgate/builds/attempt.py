"""One attempt at one build, from the claim to its end: prepare, run, tell; not which build is next.

An attempt ends by itself, or is stopped: by its timeout, because somebody cancelled it, because it was fenced
(the lease was lost, and whoever has it now must not be disturbed), or because the worker goes away and hands it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import structlog

from headgate import api
from headgate.builds.bench import BuildBench
from headgate.builds.entrusted import entrusted
from headgate.builds.environment import environment
from headgate.builds.equipment import Equipment
from headgate.builds.lease import Lease
from headgate.builds.log_writer import LogWriter
from headgate.builds.processes import GRACE, Lapsed
from headgate.builds.queue import Assigned
from headgate.builds.renewal import keep_lease
from headgate.builds.stop import Stop, StopKind
from headgate.builds.workspace import FULL_SHA, CheckedOut, Folder
from headgate.plugins.guard import Guard
from headgate.routing.planning import password_binding
from headgate.telemetry.disks import is_full
from headgate.telemetry.logs import log_context

ALWAYS_SECONDS = 60.0
"""How long `always` steps may run after a timeout or a cancellation."""

_PATIENCE = GRACE + 15.0
"""Seconds an executor may take to end when its task was cancelled."""

_log = structlog.get_logger(__name__)


class _Fenced(api.QueueError):
    """The build is no longer ours."""


class Attempt:
    """One attempt. `run` is called once; `stop` at any time, by anybody on the event loop."""

    def __init__(
        self, assigned: Assigned, equipment: Equipment, *, asked: float, ran: Callable[[], None] = lambda: None
    ) -> None:
        """`asked`: when the claim was asked for, in seconds of `time.monotonic`.

        `ran` is called once nothing of the build runs any more, before its end is written down.
        """
        self.claimed = assigned.claimed
        self.build = assigned.claimed.build
        self._job = assigned.job
        self._history = assigned.history
        self._ran = ran
        self._with = equipment
        self._lease = Lease(equipment.lease, asked=asked)
        self._lapsed = False
        self.begun = False
        self._folder = Folder(equipment.workspaces, self.build.id, self.claimed.fence)
        self._redactor = equipment.redactor.scoped()
        self._stopping: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._stop: Stop | None = None
        self._known: dict[str, api.StepResult] = {}
        self._bench: BuildBench | None = None
        self._work: api.Work | None = None

    def stop(self, kind: StopKind, reason: str) -> None:
        """End it soon. A stronger stop overtakes a weaker one; an equal or weaker one changes nothing."""
        stop = Stop(kind=kind, reason=reason)
        if stop.outranks(self._stop):
            self._stop = stop
            if not self._stopping.done():
                self._stopping.set_result(self._stop)

    async def run(self) -> None:
        """Run it to its end, and write down how it ended. Every log line from in here names the build."""
        with log_context(build_id=self.build.id, delivery_id=self.build.delivery_id):
            await self._run_with_lease()

    async def _run_with_lease(self) -> None:
        keeper = asyncio.create_task(
            keep_lease(self._lease, self.claimed, self._with, stop=self.stop), name=f"lease of {self.build.id}"
        )
        try:
            await self._run()
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})
            await self._folder.remove()

    async def _run(self) -> None:
        log: LogWriter | None = None
        result: api.Result | None = None
        try:
            log = await asyncio.to_thread(self._writer)  # making a file can take the disk milliseconds
            log.say(f"{self.build.label}, attempt {self.build.attempt}: {self.build.reason}")
            result = await self._outcome(log)
        except _Fenced as error:
            self._lease.lost()
            self.stop("fenced", str(error))
        except Lapsed as error:
            self._lapsed = True
            self.stop("handed_back", str(error))
        except Exception as error:  # noqa: BLE001 - whatever we or a plugin did wrong, the build gets an end and a reason
            result = self._errored(error)
        finally:
            self._close(log, result)
        self._ran()
        if self._stop is not None and self._stop.kind == "fenced":
            _log.warning("build_fenced", reason=self._stop.reason)
            return
        await self._tell(result)

    def _writer(self) -> LogWriter:
        """The log, as long as the lease is held: what is said later might stand in another attempt's."""
        return self._with.logs.writer(
            self.build.id, redactor=self._redactor, limit=self._with.log_limit, held=lambda: self._lease.held
        )

    async def _outcome(self, log: LogWriter) -> api.Result | None:
        """How it ended; `None`: it was stopped, and is to be handed back or is not ours."""
        if self._job is None:
            raise api.QueueError("the job's definition is gone from the database")
        seconds = self._job.run.timeout
        stop, result = await self._race(self._all(self._job, log, seconds), seconds)
        if stop is None:
            return result and self._unless_full(result)
        log.say(f"headgate: {stop.reason}")
        if stop.kind in ("fenced", "handed_back"):
            return None
        status: Literal["cancelled", "timed_out"] = "cancelled" if stop.kind == "cancelled" else "timed_out"
        self._note_what_was_cut(self._job, status)
        stronger = await self._always(self._job, log, status)
        if stronger is not None:
            return None
        outcome = api.Outcome.CANCELLED if stop.kind == "cancelled" else api.Outcome.TIMED_OUT
        return self._result(outcome, stop.reason, self._job)

    def _unless_full(self, result: api.Result) -> api.Result:
        """A step that fails on a full disk has said nothing about the commit: then it was us."""
        full = self._full()
        if result.outcome is not api.Outcome.FAILED or not full:
            return result
        return msgspec.structs.replace(result, outcome=api.Outcome.ERRORED, reason=f"{full}: {result.reason}")

    def _full(self) -> str:
        root = self._folder.own.parent
        return f"no space is left on the disk of the workspaces ({root})" if is_full(root) else ""

    async def _race(self, work: asyncio.Task[api.Result], seconds: float) -> tuple[Stop | None, api.Result | None]:
        """Wait for the work, a stop or the time, whichever is first; what was cut short has ended when this returns."""
        try:
            either: set[asyncio.Future[Any]] = {work, self._stopping}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return None, work.result()
            if self._stopping.done():
                stop = self._stopping.result()
                # From here on only a stronger stop counts: it may cut the `always` steps short.
                self._stopping = asyncio.get_running_loop().create_future()
            else:
                stop = Stop(kind="timed_out", reason=f"it took longer than {seconds:g} s")
                self._stop = self._stop or stop
            return stop, None
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=_PATIENCE)
            if not work.done():
                if self._job is not None:
                    self._guard(self._job).failed("run", f"it did not end within {_PATIENCE:g} s of being cancelled")
                if self._bench is not None:
                    self._bench.close()
            elif not work.cancelled() and (error := work.exception()) is not None:
                _log.debug("attempt_ended_with", error=repr(error))

    def _all(self, job: api.Job, log: LogWriter, seconds: float) -> asyncio.Task[api.Result]:
        return asyncio.create_task(self._prepare_and_run(job, log, seconds), name=f"build {self.build.id}")

    async def _prepare_and_run(self, job: api.Job, log: LogWriter, seconds: float) -> api.Result:
        loop = asyncio.get_running_loop()
        began = loop.time()
        executor = self._executor(job)
        if job.source.checkout.enabled or job.run.credentials:
            variables = await self._prepare(job, log)
            begun = await self._begin()
        else:  # there is next to nothing to prepare, so it goes on while the disk writes that we begin
            variables, begun = await asyncio.gather(self._prepare(job, log), self._begin())
        if not begun:
            raise _Fenced("the lease was lost")
        self._bench = BuildBench(
            own=self._folder.own,
            lease=self._lease,
            log=log,
            steps=job.run.steps,
            processes=self._with.processes,
            sandbox=self._with.sandbox,
            publish=self._publish,
            now=self._with.now,
        )
        self._work = api.Work(
            build=self.build,
            steps=job.run.steps,
            environment=variables,
            workspace=self._folder.work,
            deadline=max(0.0, seconds - (loop.time() - began)),
        )
        return await self._run_by(executor, job, self._work, self._bench)

    async def _run_by(self, executor: api.Executor, job: api.Job, work: api.Work, bench: BuildBench) -> api.Result:
        async def run() -> api.Result:
            result = await executor.run(work, bench)
            if not isinstance(result, api.Result):
                raise TypeError(f"it gave a {type(result).__name__}, not a Result")
            return result

        return await self._guard(job).inside("run", run, lends=True)

    def _guard(self, job: api.Job) -> Guard:
        return self._with.guards.of("executor", job.run.executor)

    async def _begin(self) -> bool:
        """Whoever finds this build after a crash may run it again only when nothing of it ran."""
        self.begun = True
        return await self._with.queue.begin(self.claimed)

    def _executor(self, job: api.Job) -> api.Executor:
        executor = self._with.executors.get(job.run.executor)
        if executor is None:
            known = ", ".join(sorted(self._with.executors)) or "none"
            raise api.QueueError(f"there is no executor {job.run.executor} here (there are: {known})")
        return executor

    # Before the first step.

    async def _prepare(self, job: api.Job, log: LogWriter) -> dict[str, str]:
        """Make the folder, the checkout and the environment."""
        checkout = job.source.checkout
        await asyncio.to_thread(self._folder.make, empty=not checkout.enabled)
        passwords = {
            name: self._with.unseal(sealed, password_binding(self.build.id, name))
            for name, sealed in self.claimed.sealed.items()
        }
        for password in passwords.values():
            self._redactor.add(password)
        secrets = await entrusted(job.run.credentials, self._with.secrets, self._folder, self._redactor)
        checked_out = await self._check_out(checkout, log) if checkout.enabled else None
        resolved = self.build.ref != self.claimed.build.ref
        history = await self._with.queue.history(self.build) if resolved else self._history
        return environment(
            self.build,
            job,
            event=history.event,
            workspace=self._folder.work,
            clone_url=checked_out.url if checked_out else None,
            commit=checked_out.commit if checked_out else None,
            previous=history.previous,
            previous_successful=history.previous_successful,
            parameters={**self.build.parameters, **passwords},
            secrets=secrets,
            base={**self._with.base, "HOME": str(self._folder.home), "TMPDIR": str(self._folder.tmp)},
            public_url=self._with.public_url,
        )

    async def _check_out(self, checkout: api.Checkout, log: LogWriter) -> CheckedOut:
        build, sources = self.build, self._with.sources
        ref, sha = build.ref, build.sha
        if sha is None:
            ref, sha = await sources.resolve(build.connection, build.repository.path, ref)
        elif len(sha) < FULL_SHA:  # a host that abbreviates the heads of change requests
            sha = await sources.full_sha(build.connection, build.repository.path, sha)
        await self._is_of(ref, sha)
        log.say(f"checking out {sha} {f'({ref})' if ref else ''}".rstrip())
        checked_out = await sources.check_out(
            build.connection, build.repository.path, self._folder.work, sha=sha, ref=ref or None, checkout=checkout
        )
        if checked_out.commit.id != sha:
            log.say(f"the tag leads to {checked_out.commit.id}")
            await self._is_of(ref, checked_out.commit.id)
        return checked_out

    async def _is_of(self, ref: str | None, sha: str) -> None:
        """Note what is built, where that was not known in full before."""
        if sha == self.build.sha:
            return
        if not await self._with.queue.progress(self.claimed, steps=(), sha=sha):
            raise _Fenced("the lease was lost")
        self.build = msgspec.structs.replace(self.build, ref=ref, sha=sha)

    # While it runs.

    async def _publish(self, steps: Sequence[api.StepResult]) -> None:
        self._known.update({step.name: step for step in steps})
        if self._work is not None and len(steps) >= len(self._work.steps) and self._stop is None:
            return  # it was the last: the end tells it in a moment
        isolation = self._bench.isolation if self._bench else None
        if not await self._with.queue.progress(self.claimed, steps=tuple(self._known.values()), isolation=isolation):
            raise _Fenced("the lease was lost")

    # After it was stopped.

    def _note_what_was_cut(self, job: api.Job, status: Literal["cancelled", "timed_out", "failed"]) -> None:
        """Steps that were running ended with `status`; those that had not begun were skipped."""
        bench = self._bench
        self._known.update({step.name: step for step in bench.reported} if bench else {})
        for name, started_at in (bench.running if bench else {}).items():
            self._known[name] = api.StepResult(
                name=name, status=status, started_at=started_at, finished_at=self._with.now()
            )
        if bench:
            bench.running.clear()
        for step in job.run.steps:
            self._known.setdefault(step.name, api.StepResult(name=step.name, status="skipped"))

    async def _always(self, job: api.Job, log: LogWriter, status: Literal["cancelled", "timed_out"]) -> Stop | None:
        """Let the `always` steps run that have not; the stronger stop that cut them short, if one did."""
        rest = tuple(step for step in job.run.steps if step.always and self._known[step.name].status == "skipped")
        if not rest or self._work is None or self._bench is None:
            return None
        log.say(f"headgate: the steps that always run have {ALWAYS_SECONDS:g} s")
        work = msgspec.structs.replace(self._work, steps=rest, deadline=ALWAYS_SECONDS)
        run = self._run_by(self._executor(job), job, work, self._bench)
        try:
            stop, result = await self._race(asyncio.create_task(run), ALWAYS_SECONDS)
        except _Fenced:
            raise
        except api.HeadgateError as error:
            log.say(f"headgate: {error}")
            return None
        if result is not None:
            self._known.update({step.name: step for step in result.steps})
        self._note_what_was_cut(job, "timed_out" if stop else status)
        return stop if stop is not None and stop.kind in ("handed_back", "fenced") else None

    def _result(self, outcome: api.Outcome, reason: str, job: api.Job) -> api.Result:
        order = {step.name: number for number, step in enumerate(job.run.steps)}
        steps = sorted(self._known.values(), key=lambda step: order.get(step.name, len(order)))
        return api.Result(outcome=outcome, reason=reason, steps=tuple(steps))

    def _errored(self, error: Exception) -> api.Result:
        """Our fault, or a plugin's: one sentence for the build, the rest for the server's log."""
        match error:
            case api.HeadgateError():
                reason = str(error)
            case OSError():
                reason = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
                if full := self._full():
                    reason = f"{full}: {reason}"
            case _:
                reason = f"an internal error ({type(error).__name__}); the server's log has more"
                _log.error("build_errored", exc_info=error)
        reason = self._redactor.redact(reason)
        if self._job is None:
            return api.Result(outcome=api.Outcome.ERRORED, reason=reason)
        self._note_what_was_cut(self._job, "failed")
        return self._result(api.Outcome.ERRORED, reason, self._job)

    def _close(self, log: LogWriter | None, result: api.Result | None) -> None:
        if log is not None:
            try:
                if result is not None:
                    log.say(f"{result.outcome}: {result.reason}")
                log.close()
            except OSError as error:
                _log.error("log_not_written", error=str(error))

    async def _tell(self, result: api.Result | None) -> None:
        """Write the end down; when it was handed back or we broke and may try again, give it back instead."""
        queue = self._with.queue
        build: api.Build | None
        if result is None:
            build = await queue.release(self.claimed, reason=self._stop.reason if self._stop else "handed back")
        elif result.outcome is api.Outcome.ERRORED and self.build.attempt <= self.claimed.retries:
            build = await queue.release(self.claimed, reason=f"to be tried again: {result.reason}")
        else:
            isolation = result.isolation or (self._bench.isolation if self._bench else None)
            build = await queue.finish(
                self.claimed, outcome=result.outcome, reason=result.reason, steps=result.steps, isolation=isolation
            )
        if build is None:
            _log.warning("build_fenced", reason="the lease was lost before the end was written")
        elif build.outcome is not None:
            if self._lapsed or not self._lease.held:  # not said while another might have had the build
                self._with.logs.say(build, redactor=self._redactor, limit=self._with.log_limit)
            self._with.metrics.build_finished(build.outcome)
            _log.info("build finished", build=build.label, outcome=str(build.outcome), reason=build.reason)
