"""What stands at every call of a plugin's object: whatever it does becomes a value or a `PluginError`; not the call.

A declared error (`HeadgateError`) is an answer and passes. Everything else is a fault of the plugin whose code it came
from, `SystemExit`, `KeyboardInterrupt` and a `CancelledError` of its own included. Faults open the circuit of that
method; while it is open, calls are refused at once with the reason.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import structlog

from headgate.api.deadlines import due_within
from headgate.api.errors import HeadgateError, PluginError
from headgate.plugins.circuits import FAULTS, Circuit
from headgate.plugins.culprits import METHODS, Culprit, Culprits
from headgate.plugins.health import OpenCircuit, PluginHealth, Silent, Tells
from headgate.plugins.loading import Kinds, LoadedPlugins, PluginReport

SLOW = 5.0
"""Seconds from which an async call counts as slow."""

HELD_UP = 1.0
"""Seconds from which a plain call has held up everybody: nothing else runs meanwhile."""

TIMEOUT_WEIGHT = 2
"""A time-out counts as so many faults: it has kept a slot for as long as a call can."""

ENDS_WITHIN = 1.0
"""Seconds a call may take to end when it was cancelled; then it is left to itself."""

ALL: Final = "everything"
"""The circuit of a whole plugin, where no single method is to blame."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Fault(PluginError):
    """A call broke its contract; `method` says which."""

    def __init__(self, reason: str, *, guard: Guard, method: str) -> None:
        """`reason`: what it did."""
        self.method = method
        super().__init__(reason, plugin=guard.plugin, distribution=guard.distribution, version=guard.version)


class CircuitOpen(PluginError):
    """A call was refused, because too many failed. `seconds` until one is tried again."""

    def __init__(self, reason: str, *, guard: Guard, seconds: float) -> None:
        """`reason`: why the circuit is open."""
        self.seconds = seconds
        super().__init__(reason, plugin=guard.plugin, distribution=guard.distribution, version=guard.version)


class Guard:
    """Guards one plugin. May be used from any thread.

    `uneasy`: something failed lately. Only then must `refusal` be asked before a call and `worked` be told after it,
    so that the plainest call costs one look at an attribute.
    """

    def __init__(self, report: PluginReport, guards: Guards) -> None:
        """Made by `Guards`."""
        self.plugin, self.distribution, self.version = report.name, report.distribution, report.version
        self.uneasy = False
        self._guards = guards
        self._changing = threading.RLock()  # circuits, by the event loop, the writer's thread (`wants`), the watchers
        self._circuits: dict[str, Circuit] = {}
        self._opened_at: dict[str, datetime] = {}
        self._counted: dict[str, int] = dict.fromkeys(
            ("faults", "timeouts", "slow_calls", "refused_calls", "growth"), 0
        )
        self._blocked = 0.0
        self._last_fault = ""

    # Calls

    def run(self, method: str, call: Callable[..., T], *args: Any, declared: type[Exception] = HeadgateError) -> T:
        """Call a plain function. Raises `CircuitOpen`, `Fault`, or what the contract declares (`declared`)."""
        if self.uneasy and (shut := self.refusal(method)):
            raise shut
        began = self._guards.clock()
        try:
            result = call(*args)
        except (Fault, CircuitOpen):
            raise
        except BaseException as error:  # a stranger's code; what it raises must stay its own
            if not isinstance(error, declared) or isinstance(error, PluginError):
                raise self.fault(method, error) from error
            self._ended(method, began)
            raise
        self._ended(method, began)
        return result

    async def call(self, method: str, start: Callable[[], Awaitable[T]], *, within: float) -> T:
        """Await what `start` gives, for `within` seconds, in a task of its own that can be left behind.

        Raises `CircuitOpen`, `Fault` (which a time-out is), or the plugin's `HeadgateError`.
        """
        if self.uneasy and (shut := self.refusal(method)):
            raise shut
        began = time.monotonic()
        task = asyncio.create_task(_caught(start, within), name=f"{self.plugin} {method}")
        self._guards.began(task)
        try:
            await asyncio.wait({task}, timeout=within)
        finally:
            in_time = task.done()
            if not in_time:
                task.cancel()
                await asyncio.wait({task}, timeout=ENDS_WITHIN)
        if not in_time:
            raise self._timed_out(method, within, None if not task.done() or task.cancelled() else task.result()[1])
        result, error = task.result()
        return self._result(method, result, error, time.monotonic() - began)

    async def inside(
        self, method: str, start: Callable[[], Awaitable[T]], *, lends: bool = False, goes_on: bool = False
    ) -> T:
        """Await what `start` gives in the caller's own task, which has the deadline. Raises as `call`.

        `lends`: the plugin works with things of ours, whose `OSError` (a full disk) is not its fault and passes.
        `goes_on`: it is more of a call that was let through; a circuit that opened since does not cut it off.
        """
        if self.uneasy and not goes_on and (shut := self.refusal(method)):
            raise shut
        task = asyncio.current_task()
        asked = task.cancelling() if task else 0
        try:
            result, error = await start(), None
        except BaseException as raised:  # a stranger's code; what it raises must stay its own
            if isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling() > asked:
                raise  # it is the host who cancels
            result, error = None, raised
        if lends and isinstance(error, OSError) and self._guards.culprits.is_ours(error):
            raise error
        return self._result(method, result, error, 0.0)

    def _result(self, method: str, result: T | None, error: BaseException | None, seconds: float) -> T:
        if seconds > SLOW:
            self._counted["slow_calls"] += 1
            self._guards.tells.plugin_call(self.plugin, "slow")
        if error is None or (isinstance(error, HeadgateError) and not isinstance(error, PluginError)):
            if self.uneasy:
                self.worked(method)
            if error is not None:
                raise error
            return result  # type: ignore[return-value]  # without an error there is a result
        if isinstance(error, (Fault, CircuitOpen)):
            raise error  # counted where it happened
        raise self.fault(method, error) from error

    # What came of a call

    def is_open(self, method: str) -> bool:
        """Whether calls are refused, but for a trial."""
        return any(circuit.opened for name in (method, ALL) if (circuit := self._circuits.get(name)))

    def refusal(self, method: str) -> CircuitOpen | None:
        """Why the call may not be made now."""
        for name in (method, ALL):
            circuit = self._circuits.get(name)
            if circuit is not None and not circuit.admits():
                self._counted["refused_calls"] += 1
                self._guards.tells.plugin_call(self.plugin, "refused")
                seconds = circuit.seconds_left
                said = f"it is not called for {seconds:.0f} s more ({name}): {circuit.reason}"
                return CircuitOpen(said, guard=self, seconds=seconds)
        return None

    def worked(self, method: str) -> None:
        """A call kept its contract; to be told while `uneasy`."""
        with self._changing:
            for name in (method, ALL):
                if (circuit := self._circuits.get(name)) is None:
                    continue
                circuit.worked()
                if circuit.quiet:
                    self._circuits.pop(name, None)
                self._note(name, circuit)
            self.uneasy = bool(self._circuits)

    def fault(self, method: str, error: BaseException, *, opens: bool = True) -> Fault:
        """Count what a call raised against the plugin whose code it came from; gives what to raise instead.

        `opens=False`: it opens no circuit.
        """
        guard, method = self._guards.guilty(self._guards.culprits.of_error(error), self, method)
        said = str(error).strip().splitlines()
        reason = f"{method} raised {type(error).__name__}{f': {said[0][:_LONGEST]}' if said else ''}"
        return guard.failed(method, reason, error=error, opens=opens)

    def failed(
        self, method: str, reason: str, *, error: BaseException | None = None, opens: bool = True, weight: int = 1
    ) -> Fault:
        """Count a fault of this plugin."""
        with self._changing:
            self._counted["faults"] += 1
            self._last_fault = reason
            self._guards.tells.plugin_failed(self.plugin)
            circuit = self._circuit(method) if opens else None
            if circuit is not None:
                circuit.failed(reason, weight=weight)
            if circuit is None or circuit.faults <= FAULTS:  # one that goes on and on need not be told each time
                log.error(
                    "a plugin broke its contract",
                    plugin=self.plugin,
                    distribution=self.distribution,
                    version=self.version,
                    method=method,
                    reason=reason,
                    exc_info=error,
                )
            if circuit is not None:
                self._note(method, circuit)
        return Fault(reason, guard=self, method=method)

    def _timed_out(self, method: str, within: float, error: BaseException | None) -> Fault:
        culprit = self._guards.culprits.of_error(error) if error is not None else None
        guard, method = self._guards.guilty(culprit, self, method)
        guard._counted["timeouts"] += 1  # noqa: SLF001 - another one of us
        self._guards.tells.plugin_call(guard.plugin, "timed_out")
        return guard.failed(method, f"{method} took longer than {within:g} s", weight=TIMEOUT_WEIGHT)

    def _ended(self, method: str, began: float) -> None:
        """A plain call is over. One that held its thread up is held against it, unless the watchdog did so already."""
        seconds = self._guards.clock() - began
        if seconds > HELD_UP:
            with self._changing:
                self._counted["slow_calls"] += 1
                self._guards.tells.plugin_call(self.plugin, "slow")
                circuit = self._circuit(method)
                if circuit.last_block < began:
                    self._block(method, circuit, seconds, f"{method} took {seconds:.1f} s, in which others had to wait")
        elif self.uneasy:
            self.worked(method)

    # What the watchers saw

    def stood_still(self, culprit: Culprit, seconds: float, *, again: bool) -> None:
        """The event loop did not turn for so long, because of this. `again`: it was told of the same before."""
        method = culprit.function if culprit.function in METHODS else ALL
        reason = f"{culprit.function} let the whole server wait ({culprit.place})"
        with self._changing:
            self._block(method, None if again else self._circuit(method), seconds, reason)

    def _block(self, method: str, circuit: Circuit | None, seconds: float, reason: str) -> None:
        self._blocked += seconds
        self._guards.tells.plugin_blocked(self.plugin, seconds)
        if circuit is not None:
            self._last_fault = reason
            circuit.blocked(reason)
            self._note(method, circuit)

    def grew(self, size: int, *, seconds: float, goes_on: bool) -> None:
        """Its code took `size` bytes and kept them within `seconds`. `goes_on`: there would soon be none left."""
        self._counted["growth"] = size
        self._guards.tells.plugin_grew(self.plugin, size)
        self._last_fault = f"its code took and kept {size / _MIB:.1f} MiB within {seconds:.0f} s"
        log.warning("a plugin's memory grows", plugin=self.plugin, distribution=self.distribution, bytes=size)
        if goes_on:
            with self._changing:
                circuit = self._circuit(ALL)
                circuit.open(self._last_fault)
                self._note(ALL, circuit)

    def health(self) -> PluginHealth:
        """How it has behaved."""
        now = self._guards.now()
        circuits = [
            OpenCircuit(
                method=name,
                since=self._opened_at.get(name, now),
                reason=circuit.reason,
                next_trial_at=now + timedelta(seconds=circuit.seconds_left),
            )
            for name, circuit in sorted(self._circuits.copy().items())
            if circuit.opened
        ]
        return PluginHealth(
            faults=self._counted["faults"],
            timeouts=self._counted["timeouts"],
            slow_calls=self._counted["slow_calls"],
            refused_calls=self._counted["refused_calls"],
            growth=self._counted["growth"],
            blocked_seconds=round(self._blocked, 3),
            last_fault=self._last_fault,
            circuits=tuple(circuits),
        )

    def _circuit(self, method: str) -> Circuit:
        self.uneasy = True
        return self._circuits.setdefault(method, Circuit(self._guards.clock))

    def _note(self, method: str, circuit: Circuit) -> None:
        """Tell when a circuit opened or closed."""
        if circuit.opened == (method in self._opened_at):
            return
        if circuit.opened:
            self._opened_at[method] = self._guards.now()
            log.error("a plugin's circuit is open", plugin=self.plugin, method=method, reason=circuit.reason)
        else:
            del self._opened_at[method]
            log.info("a plugin's circuit is closed", plugin=self.plugin, method=method)
        self._guards.tells.plugin_circuits(self.plugin, len(self._opened_at))
        self._guards.changed(self)


class Guards:
    """The guards of all plugins, found by the kind that is called."""

    def __init__(
        self,
        plugins: LoadedPlugins,
        *,
        tells: Tells,
        now: Callable[[], datetime],
        changed: Callable[[Guard], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed(guard)`: called when one of its circuits opened or closed, in any thread. `now`: aware UTC."""
        self.tells = tells
        self.now = now
        self.changed = changed
        self.clock = clock
        self.culprits = Culprits(plugins.places)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._named = {report.name: Guard(report, self) for report in plugins.reports if report.status == "loaded"}
        self._of_kind = {key: self._named[report.name] for key, report in plugins.origins.items()}

    def of(self, word: str, name: str) -> Guard:
        """The guard of whatever plugin gives a kind (`provider`, `github`); one of its own for an unknown kind."""
        guard = self._of_kind.get((word, name))
        if guard is None:
            unknown = PluginReport(name=name, distribution="", version="", status="loaded")
            guard = self._of_kind[word, name] = self.named(name) or Guard(unknown, self)
        return guard

    def named(self, plugin: str) -> Guard | None:
        """By the plugin's name."""
        return self._named.get(plugin)

    def guilty(self, culprit: Culprit | None, called: Guard, method: str) -> tuple[Guard, str]:
        """Whom a fault is held against, and for what: the plugin that was called, unless the code was another one's."""
        guard = self.named(culprit.plugin) if culprit is not None else None
        if culprit is None or guard is None or guard is called:
            return called, method
        return guard, culprit.function if culprit.function in METHODS else ALL

    def began(self, call: asyncio.Task[Any]) -> None:
        """A call is under way until this task ends."""
        self._under_way.add(call)
        call.add_done_callback(self._under_way.discard)

    async def settled(self, within: float) -> None:
        """Wait until the calls that are under way now have ended, for `within` seconds at most."""
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=within)

    def health(self) -> Mapping[str, PluginHealth]:
        """How every loaded plugin has behaved, by name."""
        return {name: guard.health() for name, guard in self._named.items()}


def lone_guards() -> Guards:
    """Guards that know no plugin and tell nobody, for a room that stands alone."""
    none = LoadedPlugins(kinds=Kinds(), reports=(), origins={})
    return Guards(none, tells=Silent(), now=lambda: datetime.now(UTC))


def lone_guard() -> Guard:
    """A guard of nothing known."""
    return lone_guards().of("", "unknown")


async def _caught(start: Callable[[], Awaitable[T]], within: float) -> tuple[T | None, BaseException | None]:
    """What came of it, as a value: a task that raises `SystemExit` takes the event loop with it."""
    try:
        with due_within(within):
            return await start(), None
    except BaseException as error:  # noqa: BLE001 - see above
        return None, error


_LONGEST = 200
_MIB = 1_048_576
