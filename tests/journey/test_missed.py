"""Webhooks that a server missed while it was down: GitHub is asked what it could not deliver, and sends it again."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from git_server import commit_to
from live import FakeGitHub, Headgate, github_headers, github_push

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1, public_url: PUBLIC}
connections:
  hub:
    provider: github
    base_url: HUB
    webhook_secrets: [secret://env/HOOK]
    credential: secret://env/TOKEN
    webhooks: {recover: RECOVER}
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  web-tests:
    source: {connection: hub, repository: acme/web}
    triggers: {push: {branches: [main]}}
    run: {steps: [{name: look, run: "cat greeting.txt"}]}
"""

ENVIRONMENT = {"HEADGATE_SECRET_TOKEN": "ghp_0123456789abcdefghijKLMNOP", "HEADGATE_SECRET_TOKEN_HOSTS": "127.0.0.1"}
BELOW = "/api/v3/repos/acme/web/hooks"


class RememberingGitHub(FakeGitHub):
    """GitHub's history of a webhook beside it. What it sends again it sends after its answer, as GitHub does."""

    def __init__(self, root):
        super().__init__(root)
        self.hook_url = ""
        self.history = []
        self.bodies = {}
        self.attempts = []
        self.twice = set()
        self.sending = set()

    async def deliver(self, body, key=None, *, redelivery=False):
        """Post it once, and remember what came of it."""
        key = key or str(uuid.uuid4())
        self.bodies[key] = body
        status = 0
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.post(self.hook_url, data=body, headers=github_headers(body, delivery=key)) as answer,
            ):
                status = answer.status
        except aiohttp.ClientConnectionError:
            pass
        entry = {"id": len(self.history) + 1, "guid": key, "event": "push", "status_code": status}
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.history.insert(0, {**entry, "delivered_at": moment, "redelivery": redelivery})
        return key

    async def _respond(self, request, body):
        if not request.path.startswith(BELOW):
            return await super()._respond(request, body)
        if request.method == "POST":
            *_, number, word = request.path.split("/")
            assert word == "attempts", request.path
            return self._send_again(next(one["guid"] for one in self.history if one["id"] == int(number)))
        if request.path == BELOW:
            config = {"url": self.hook_url, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
            return web.json_response([{"id": 1, "name": "web", "active": True, "events": ["push"], "config": config}])
        assert request.path == f"{BELOW}/1/deliveries"
        return web.json_response(self.history)

    def _send_again(self, key):
        self.attempts.append(key)

        async def send():
            for _ in range(2 if key in self.twice else 1):
                await self.deliver(self.bodies[key], key, redelivery=True)

        task = asyncio.create_task(send())
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)
        return web.json_response({}, status=202)


@pytest.fixture
async def hub(tmp_path):
    async with RememberingGitHub(tmp_path / "hosted") as server:
        yield server


@pytest.fixture
def serve(tmp_path, hub):
    started = []

    def make(*, recover):
        config = CONFIG.replace("HUB", hub.url()).replace("RECOVER", str(recover).lower())
        server = Headgate(tmp_path / "headgate", config, JOBS, ENVIRONMENT)
        server.config.write_text(server.config.read_text().replace("PUBLIC", server.url))
        hub.hook_url = f"{server.url}/webhooks/hub"
        started.append(server)
        return server

    yield make
    for server in started:
        server.close()


async def test_what_was_pushed_while_the_server_was_down_is_recorded_and_built_once(hub, serve):
    headgate = serve(recover=True)
    first, missed, shas = await _down_while_pushed(hub, headgate)
    hub.twice.add(missed[1])

    await headgate.start()
    found = await headgate.finished(4)
    assert sorted(build["sha"] for build in found) == sorted(shas)
    assert {build["outcome"] for build in found} == {"succeeded"}
    deadline = time.monotonic() + 30
    while sum(one["redelivery"] for one in hub.history) < 5:  # three, one of them twice, and the failed one of before
        assert time.monotonic() < deadline, hub.history
        await asyncio.sleep(0.02)
    assert sorted(hub.attempts) == sorted(missed), "each was asked for once"
    await _recorded_once(headgate, [first, *missed])

    assert await headgate.stop() == 0
    await headgate.start()
    assert "nothing is missing" in await headgate.command("connections", "missed", "hub", "acme/web")
    assert await _component(headgate, "recovery hub") == "ok"
    assert sorted(hub.attempts) == sorted(missed), "nor again by another life"
    assert len(await headgate.builds()) == 4


async def test_without_recovery_it_is_not_until_somebody_asks(hub, serve):
    headgate = serve(recover=False)
    first, missed, shas = await _down_while_pushed(hub, headgate)

    await headgate.start()
    found = json.loads(await headgate.command("connections", "missed", "hub", "acme/web", "--json", code=1))
    assert [one["key"] for one in found["items"]] == missed
    assert (hub.attempts, len(await headgate.builds())) == ([], 1)
    assert "recovery hub" not in await _asked(headgate, "/api/v1/health")
    await _recorded_once(headgate, [first])

    said = await headgate.command("connections", "missed", "hub", "acme/web", "--recover")
    assert "the host sends 3 again" in said
    found = await headgate.finished(4)
    assert sorted(build["sha"] for build in found) == sorted(shas)
    await _recorded_once(headgate, [first, *missed])


async def _down_while_pushed(hub, headgate):
    """One push that arrives, then three that do not, the second of them tried twice: keys, and all shas."""
    bare = hub.create("acme/web")
    shas = [commit_to(bare, {"greeting.txt": "hello\n"}, "First")]
    await headgate.start()
    first = await hub.deliver(github_push("acme/web", "refs/heads/main", None, shas[0]))
    await headgate.finished(1)
    assert await headgate.stop() == 0
    missed = []
    for number in range(3):
        shas.append(commit_to(bare, {"greeting.txt": f"hello {number}\n"}, f"Missed {number}"))
        missed.append(await hub.deliver(github_push("acme/web", "refs/heads/main", shas[-2], shas[-1])))
        if number == 1:
            await hub.deliver(hub.bodies[missed[-1]], missed[-1], redelivery=True)
    assert {one["status_code"] for one in hub.history if one["guid"] in missed} == {0}
    return first, missed, shas


async def _recorded_once(headgate, keys):
    found = await headgate.json("deliveries")
    assert sorted(one["key"] for one in found) == sorted(keys)


async def _component(headgate, name):
    """How it is, when it has said so."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for one in json.loads(await _asked(headgate, "/api/v1/health"))["components"]:
            if one["name"] == name:
                return one["status"]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} says nothing")


async def _asked(headgate, path):
    local = aiohttp.UnixConnector(str(headgate.folder / "data" / "headgate.sock"))
    async with aiohttp.ClientSession(connector=local) as http, http.get(f"http://localhost{path}") as answer:
        return await answer.text()
