"""Five bad plugins at once in one real server: the others do not notice, and each culprit is named and shut off.

One hangs and does not let itself be cancelled, one raises, one calls `sys.exit`, one sleeps in the middle of the event
loop, one keeps memory. Good jobs share their deliveries with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from distributions import distribution
from live import Headgate, github_headers, github_push
from receiver import Receiver

UNGUARDED = (sys.executable, str(Path(__file__).parent.parent / "support" / "unguarded.py"))

HEAD = """
import asyncio
import contextlib
import sys
import time
from headgate import api

HEADGATE_API = 1


def opens(thing):
    @contextlib.asynccontextmanager
    async def open_(options, host):
        yield thing()
    return open_


class Silent:
    def wants(self, phase, build, options):
        return phase == "finished"

    def order_key(self, build, options):
        return build.id

"""

HANGS = """
class Hangs(Silent):
    async def tell(self, notification, provider):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


@api.hookimpl
def headgate_notifiers():
    yield api.NotifierKind(name="hangs", summary="Never ends", open=opens(Hangs))
"""

RAISES = """
class Moody:
    def authenticate(self, delivery):
        return api.Seal(key=None)

    def parse(self, delivery):
        raise ZeroDivisionError("not today")


@api.hookimpl
def headgate_providers():
    yield api.ProviderKind(
        name="moody", summary="Raises", schema=api.EMPTY_SCHEMA, open=opens(Moody), provides=Moody,
        normalise=str.lower, read=Moody().parse,
    )
"""

EXITS = """
class Exits:
    needs_paths = False

    def judge(self, subject):
        sys.exit("that is all")


@api.hookimpl
def headgate_conditions():
    yield api.ConditionKind(name="exits", summary="Leaves", schema=api.EMPTY_SCHEMA, compile=lambda _: Exits())
"""

SLEEPS = """
class Sleeps:
    async def run(self, work, bench):
        time.sleep(1.6)
        return api.Result(outcome=api.Outcome.SUCCEEDED, reason="slept well")


@api.hookimpl
def headgate_executors():
    yield api.ExecutorKind(name="sleeps", summary="Sleeps", open=opens(Sleeps))
"""

LEAKS = """
class Leaks(Silent):
    def __init__(self):
        self.kept = []

    async def tell(self, notification, provider):
        if len(self.kept) < 200:  # a real one would go on
            self.kept.append(bytearray(524_288))


@api.hookimpl
def headgate_notifiers():
    yield api.NotifierKind(name="leaks", summary="Keeps memory", open=opens(Leaks))
"""

BAD = {"hangs": HANGS, "raises": RAISES, "exits": EXITS, "sleeps": SLEEPS, "leaks": LEAKS}

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
  moody: {provider: moody}
credential_stores: {env: {}}
executors: {process: {isolation: none}, sleeps: {}}
notifiers: {webhook: {allow_private: true}, hangs: {}, leaks: {}}
worker: {slots: 4}
logs: {level: warning}
plugins: {memory_growth: 16MiB}
"""

JOBS = """
jobs:
  good:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: one, run: "true"}]}
    notify: [{webhook: {url: "RECEIVER", secret: secret://env/HOOK}}]
  talks-to-bad-ones:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {steps: [{name: one, run: "true"}]}
    notify: [{hangs: {}}, {leaks: {}}]
  asks-a-bad-one:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    conditions: [{exits: {}}]
    run: {steps: [{name: one, run: "true"}]}
  runs-by-a-bad-one:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run: {executor: sleeps, steps: [{name: one, run: "true"}]}
"""

EVERY = 0.25
"""Seconds between two deliveries: four a second are no load, and enough to meet every bad plugin often."""

ANSWERED_WITHIN = 10.0
"""Seconds a provider waits for its answer (GitHub's limit)."""


class Scene:
    """The server with its five bad plugins, a receiver of news, and what was sent."""

    def __init__(self, folder, receiver, program):
        sites = [distribution(folder, f"headgate-{name}", name, HEAD + code, "6.6") for name, code in BAD.items()]
        path = {"PYTHONPATH": ":".join(map(str, sites))}
        jobs = JOBS.replace("RECEIVER", receiver.url)
        self.server = Headgate(folder / "served", CONFIG, jobs, path, **program)
        self.receiver = receiver
        self.sent = []
        self.to_the_moody = []
        self.slowest = 0.0

    async def send(self, http, *, until, at_most):
        """Deliver until `until()` holds, at most so often; all must be answered with 202."""
        for number in range(at_most):
            if await until():
                return
            sha = f"{number + 1:040x}"
            body = github_push("acme/web", "refs/heads/main", f"{number:040x}" if number else None, sha)
            began = time.monotonic()
            await self._post(http, "hub", body, github_headers(body))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.sent.append(sha)
            if number % 4 == 0:
                answer = await self._post(http, "moody", b"{}", {"Content-Type": "application/json"})
                self.to_the_moody.append(answer["delivery"])
            await asyncio.sleep(EVERY)
        raise AssertionError(f"not within {at_most} deliveries:\n{self.server.output.read_text()[-6000:]}")

    async def _post(self, http, connection, body, headers):
        async with http.post(f"{self.server.url}/webhooks/{connection}", data=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
            return await answer.json()

    async def ask(self, path):
        """As the local admin: over the server's own socket."""
        connector = aiohttp.UnixConnector(str(self.server.folder / "data" / "headgate.sock"))
        async with aiohttp.ClientSession(connector=connector) as http, http.get(f"http://headgate{path}") as answer:
            return await answer.text()

    async def plugins(self):
        return {one["name"]: one for one in json.loads(await self.ask("/api/v1/plugins"))["items"]}

    async def circuits(self):
        return {name: one["health"]["circuits"] for name, one in (await self.plugins()).items()}


@pytest.fixture
async def scene(tmp_path, request):
    program = {"program": (*UNGUARDED, request.param)} if hasattr(request, "param") else {}
    async with Receiver(slowest=0) as receiver:
        scene = Scene(tmp_path, receiver, program)
        await scene.server.start()
        yield scene
        scene.server.close()


@pytest.fixture
async def http():
    timeout = aiohttp.ClientTimeout(total=ANSWERED_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


@pytest.mark.timeout(240)
async def test_the_others_do_not_notice_and_each_culprit_is_named_and_shut_off(scene, http):
    async def all_shut():
        circuits = await scene.circuits()
        return all(circuits[name] for name in BAD)

    await scene.send(http, until=all_shut, at_most=400)
    server = scene.server

    # The good job: each delivery was answered, built and told.
    async with asyncio.timeout(60):
        while len(scene.receiver.finished) < len(scene.sent):
            await asyncio.sleep(0.1)
    good = [build for build in await server.builds() if build["job"] == "good"]
    assert sorted(build["sha"] for build in good) == sorted(scene.sent)
    assert {build["outcome"] for build in good} == {"succeeded"}
    assert {build["id"] for build in good} == set(scene.receiver.finished)
    print(f"{len(scene.sent)} deliveries answered, built and told; the slowest answer took {scene.slowest:.2f} s")

    # Each culprit: in `headgate plugins`, in the metrics, on the health board.
    plugins = await scene.plugins()
    found = {name: [circuit["method"] for circuit in one["health"]["circuits"]] for name, one in plugins.items()}
    assert {name: methods for name, methods in found.items() if methods} == {
        "hangs": ["tell"],
        "raises": ["parse"],
        "exits": ["judge"],
        "sleeps": ["run"],
        "leaks": ["everything"],
    }
    health = {name: plugins[name]["health"] for name in BAD}
    assert health["hangs"]["timeouts"] >= 3
    assert "ZeroDivisionError" in health["raises"]["circuits"][0]["reason"]
    assert "SystemExit" in health["exits"]["circuits"][0]["reason"]
    assert health["sleeps"]["blocked_seconds"] > 3
    assert health["leaks"]["growth"] > 1_000_000
    shown = await server.command("plugins", code=1)
    as_json = json.loads(await server.command("plugins", "--json", code=1))
    assert {one["name"] for one in as_json if (one["health"] or {}).get("circuits")} == set(BAD)
    numbers = await scene.ask("/metrics")
    board = await scene.ask("/api/v1/health")
    for name in BAD:
        assert f"{name} (headgate-{name} 6.6): circuit open since" in shown
        assert f'headgate_plugin_open_circuits{{plugin="{name}"}} 1.0' in numbers
        assert f'"plugin {name}"' in board
    for line in (
        'headgate_plugin_calls_total{plugin="hangs",result="timed_out"}',
        'headgate_plugin_failures_total{plugin="raises"}',
        'headgate_plugin_failures_total{plugin="exits"}',
        'headgate_plugin_blocked_seconds_total{plugin="sleeps"}',
        'headgate_plugin_memory_growth_bytes{plugin="leaks"}',
    ):
        assert line in numbers

    # Nothing of theirs is lost: deliveries, news, and why nothing was built.
    deliveries = {one["id"]: one for one in await server.json("deliveries", "--limit", "10000")}
    assert {deliveries[one]["state"] for one in scene.to_the_moody} == {"recorded"}
    news = await server.json("notifications", "--limit", "10000")
    assert {one["state"] for one in news if one["notifier"] == "hangs"} == {"waiting"}
    told = await server.command("explain", "--job", "asks-a-bad-one", "--commit", scene.sent[-1])
    assert "exits (headgate-exits 6.6)" in told
    refused = [build for build in await server.builds() if build["job"] == "runs-by-a-bad-one"][-1]
    assert refused["outcome"] == "errored"
    assert "sleeps (headgate-sleeps 6.6)" in refused["reason"]
    assert await server.stop() == 0


@pytest.mark.parametrize("scene", ["calls"], indirect=True)
async def test_control_without_guards_one_of_them_ends_the_server(scene, http):
    async def answers():
        try:
            async with http.get(f"{scene.server.url}/ready", timeout=aiohttp.ClientTimeout(total=2)):
                return True
        except (aiohttp.ClientError, TimeoutError):
            return False

    assert await answers()
    body = github_push("acme/web", "refs/heads/main", None, f"{1:040x}")
    with contextlib.suppress(aiohttp.ClientError):
        await http.post(f"{scene.server.url}/webhooks/hub", data=body, headers=github_headers(body))
    async with asyncio.timeout(30):
        while await answers():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("scene", ["circuits"], indirect=True)
async def test_control_without_circuits_one_of_them_stops_the_server_again_and_again(scene, http):
    async def often():
        plugins = await scene.plugins()
        assert not any(one["health"]["circuits"] for one in plugins.values())
        return plugins["sleeps"]["health"]["blocked_seconds"] > 12

    await scene.send(http, until=often, at_most=100)
