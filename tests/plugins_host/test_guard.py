"""The guard: whatever a plugin does becomes a value or a fault with its name, and nothing else is touched."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from distributions import distribution

from headgate import api
from headgate.plugins import load_plugins
from headgate.plugins.circuits import FAULTS
from headgate.plugins.guard import CircuitOpen, Fault, Guards
from headgate.plugins.memory import MemoryWatch
from headgate.plugins.watchdog import Watchdog
from headgate.telemetry.metrics import Metrics

CODE = """
import asyncio
import time
from headgate import api

HEADGATE_API = 1
kept = []


class Notifier:
    def __init__(self, error=None):
        self.error = error

    def wants(self, *_):
        raise self.error

    async def tell(self, *_):
        await self.deeper()

    async def deeper(self):
        raise self.error

    async def hang(self, *_):
        await asyncio.Event().wait()

    async def sleep(self, *_):
        time.sleep(2.5)

    def leak(self):
        kept.append(bytearray(262_144))


@api.hookimpl
def headgate_notifiers():
    yield api.NotifierKind(name="bell", summary="Rings", open=None)
"""

RAISED = [
    ZeroDivisionError("odd"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    MemoryError(),
    OSError(),
]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(distribution(tmp_path, "headgate-bell", "bell", CODE, "2.5"))
    yield
    sys.modules.pop("headgate_bell", None)


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def guards(site, metrics):
    return Guards(load_plugins(), tells=metrics.plugins, now=lambda: datetime.now(UTC))


@pytest.fixture
def guard(guards):
    return guards.of("notifier", "bell")


@pytest.fixture
def bell(guards):
    return sys.modules["headgate_bell"]


@pytest.mark.parametrize("error", RAISED, ids=repr)
async def test_whatever_a_call_raises_is_a_fault_that_names_plugin_distribution_version_and_method(
    guard, bell, metrics, error
):
    notifier = bell.Notifier(error)
    calls = (
        lambda: guard.call("tell", notifier.tell, within=5),
        lambda: guard.inside("tell", notifier.tell),
    )
    for call in calls:
        with pytest.raises(Fault, match=r"plugin bell \(headgate-bell 2.5\): tell raised") as caught:
            await call()
        assert caught.value.method == "tell"
    with pytest.raises(Fault, match="wants raised"):
        guard.run("wants", notifier.wants)
    assert metrics.value("headgate_plugin_failures_total", plugin="bell") == 3


@pytest.mark.parametrize("error", [api.Unavailable("down"), api.Unreadable("what?")], ids=repr)
async def test_a_declared_error_is_no_fault(guard, bell, metrics, error):
    for _ in range(2 * FAULTS):
        with pytest.raises(type(error)):
            await guard.call("tell", bell.Notifier(error).tell, within=5)
        with pytest.raises(type(error)):
            guard.run("wants", bell.Notifier(error).wants)
    assert metrics.value("headgate_plugin_failures_total", plugin="bell") == 0
    assert not guard.uneasy


async def test_an_open_circuit_refuses_at_once_with_the_reason_and_leaves_other_methods_alone(guard, bell, metrics):
    for _ in range(FAULTS):
        with pytest.raises(Fault):
            await guard.call("tell", bell.Notifier(ValueError("odd")).tell, within=5)
    with pytest.raises(CircuitOpen, match="tell raised ValueError: odd"):
        await guard.call("tell", bell.Notifier().hang, within=5)
    assert guard.run("wants", lambda: True)
    assert metrics.value("headgate_plugin_open_circuits", plugin="bell") == 1
    assert metrics.value("headgate_plugin_calls_total", plugin="bell", result="refused") == 1
    assert [circuit.method for circuit in guard.health().circuits] == ["tell"]


async def test_a_call_that_hangs_is_left_behind(guard, bell, metrics):
    with pytest.raises(Fault, match=r"tell took longer than 0.05 s"):
        await guard.call("tell", bell.Notifier().hang, within=0.05)
    assert metrics.value("headgate_plugin_calls_total", plugin="bell", result="timed_out") == 1


async def test_the_hosts_own_cancellation_goes_through_and_is_no_fault(guard, bell, metrics):
    for call in (guard.inside("tell", bell.Notifier().hang), guard.call("tell", bell.Notifier().hang, within=60)):
        task = asyncio.create_task(call)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert metrics.value("headgate_plugin_failures_total", plugin="bell") == 0


async def test_a_fault_is_held_against_the_plugin_whose_code_raised_it(guards, bell, metrics):
    """A notifier that calls a provider is not to blame for it."""
    other = guards.of("notifier", "commit_status")
    with pytest.raises(Fault) as caught:
        await other.call("tell", bell.Notifier(ValueError("odd")).tell, within=5)
    assert (caught.value.plugin, caught.value.method) == ("bell", "tell")
    assert metrics.value("headgate_plugin_failures_total", plugin="commit_status") == 0


async def test_the_watchdog_names_whose_code_lets_everybody_wait(guards, guard, bell, metrics):
    watchdog = Watchdog(guards)
    watchdog.start()
    try:
        await asyncio.sleep(1)
        await bell.Notifier().sleep()
        await asyncio.sleep(0.1)
    finally:
        watchdog.stop()
    assert guard.health().blocked_seconds > 0.4
    assert "headgate_bell.py" in guard.health().last_fault
    assert metrics.value("headgate_plugin_blocked_seconds_total", plugin="bell") > 0.4


@pytest.mark.parametrize("who", ["the plugin", "somebody else"])
def test_the_memory_watch_names_whose_code_keeps_memory_and_nobody_when_it_is_nobodys(guards, guard, bell, who):
    kept = []
    leak = bell.Notifier().leak if who == "the plugin" else lambda: kept.append(bytearray(262_144))
    watch = MemoryWatch(guards, growth=4_194_304)
    watch.start()
    try:
        until = time.monotonic() + 15
        while time.monotonic() < until and not guard.health().circuits:
            leak()
            time.sleep(0.05)
    finally:
        watch.stop()
    named = [circuit.method for circuit in guard.health().circuits]
    assert named == (["everything"] if who == "the plugin" else [])
    assert (guard.health().growth > 1_000_000) == (who == "the plugin")


@pytest.mark.parametrize("locked", [True, False])
def test_a_circuit_that_opens_in_another_thread_is_not_forgotten(guard, locked):
    """Where nothing is uneasy nothing is asked: without a lock (the control) what opened would go on being called."""
    openers = []

    class Circuits(dict):
        def __bool__(self):
            found = len(self) > 0
            if not openers:
                openers.append(threading.Thread(target=guard.grew, args=(1,), kwargs={"seconds": 1, "goes_on": True}))
                openers[0].start()
                openers[0].join(0.5)
            return found

    guard.failed("wants", "it broke")
    guard._circuits = Circuits(guard._circuits)
    if not locked:
        guard._changing = contextlib.nullcontext()
    guard.worked("wants")
    openers[0].join()
    assert guard.is_open("wants")
    assert guard.uneasy is locked
