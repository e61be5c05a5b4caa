"""What a running server tells those who operate it: its token once, its numbers, its log, each step as it ends."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from git_server import checkout, commit, push
from live import FakeGitHub, Headgate, github_headers, github_push

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
logs: {format: json}
connections:
  hub:
    provider: github
    base_url: HUB
    webhook_secrets: [secret://env/HOOK]
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  web:
    source: {connection: hub, repository: acme/web}
    triggers:
      push: {}
      poll: {every: 1h}
    run:
      steps:
        - {name: one, run: "true"}
        - {name: two, run: "true"}
        - {name: three, run: "sleep 1"}
  tried:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run: {retries: 1, steps: [{name: long, run: "echo begun; sleep 2"}]}
  once:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run: {steps: [{name: long, run: "echo begun; sleep 2"}]}
"""

TOKEN = re.compile(r"hg_[A-Za-z0-9_-]{43}")


@pytest.fixture
async def hub(tmp_path):
    async with FakeGitHub(tmp_path / "hosted") as server:
        server.create("acme/web")
        yield server


@pytest.fixture
async def headgate(tmp_path, hub):
    server = Headgate(tmp_path / "headgate", CONFIG.replace("HUB", hub.url()), JOBS)
    await server.start()
    yield server
    server.close()


@asynccontextmanager
async def client(headgate):
    """HTTP as the admin whose token the server printed."""
    (token,) = TOKEN.findall(await until(headgate.output.read_text, TOKEN.search))
    async with aiohttp.ClientSession(headgate.url, headers={"Authorization": f"Bearer {token}"}) as http:
        yield http


async def until(look, fits, within=15.0):
    """What `look` gives once it fits."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        found = await found if asyncio.iscoroutine(found) else found
        if fits(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def test_the_token_is_shown_once_into_a_file_too_and_kept_as_a_hash(headgate):
    """Output that is no terminal is buffered by Python: unflushed, nobody would see the token before the end."""
    output = await until(headgate.output.read_text, lambda text: "is ready on" in text)
    (token,) = TOKEN.findall(output)
    async with client(headgate) as http, http.get("/api/v1/whoami") as answer:
        assert (await answer.json())["permissions"] == ["admin"]
    await headgate.stop()
    await headgate.start()
    await until(headgate.output.read_text, lambda text: text.count("is ready on") == 2)
    assert TOKEN.findall(headgate.output.read_text()) == [token]
    kept = [path for path in (headgate.folder / "data").rglob("*") if path.is_file()]
    assert kept
    assert [path for path in kept if token.encode() in path.read_bytes()] == []
    with sqlite3.connect(f"file:{headgate.folder}/data/headgate.db?mode=ro", uri=True) as database:
        ((digest,),) = database.execute("select hash from tokens")
    assert re.fullmatch(r"[0-9a-f]{64}", digest)


async def test_a_watcher_sees_each_step_and_the_isolation_while_the_build_runs(headgate, hub, tmp_path):
    hub.hook("acme/web", f"{headgate.url}/webhooks/hub")
    tree = checkout(tmp_path / "tree")
    async with client(headgate) as http, http.get("/api/v1/builds/events") as stream:
        commit(tree, {"file.txt": "hello\n"}, "First")
        await push(tree, hub.url("acme/web"), "main")
        seen = []
        async with asyncio.timeout(30):
            while not seen or seen[-1]["state"] != "finished":
                line = await stream.content.readline()
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:]))
    assert [(build["state"], len(build["steps"])) for build in seen] == [
        ("queued", 0),
        ("running", 0),
        ("running", 1),
        ("running", 2),
        ("finished", 3),
    ]
    assert seen[2]["isolation"] in {"bubblewrap", "none"}
    assert f"isolation   {seen[2]['isolation']}" in await headgate.command("builds", "web#1")


async def test_the_numbers_of_a_running_server_move(headgate, hub, tmp_path):
    """Each number named in the foundation, by what a real server did; before, those were not there."""
    tree = checkout(tmp_path / "tree")
    sha = commit(tree, {"file.txt": "hello\n"}, "First")
    await push(tree, hub.url("acme/web"), "main")
    body = github_push("acme/web", "refs/heads/main", None, sha)
    headers = github_headers(body)
    sealed = "X-Hub-Signature-256"
    async with client(headgate) as http:
        before = await _numbers(http)
        for sent in (headers, headers, {**headers, sealed: headers[sealed][:-1] + "x"}):
            async with http.post("/webhooks/hub", data=body, headers=sent) as answer:
                await answer.read()
        star = b"{}"
        async with http.post("/webhooks/hub", data=star, headers=github_headers(star, event="star")) as answer:
            assert answer.status == 200
        await headgate.finished(1)
        await until(
            lambda: _numbers(http), lambda found: 'poll_duration_seconds_count{result="succeeded"}' in str(found)
        )
        after = await until(lambda: _numbers(http), lambda found: 'headgate_queue_depth{state="running"}' in found)

    def moved(name):
        return after.get(f"headgate_{name}", 0) - before.get(f"headgate_{name}", 0)

    def delivered(event, result):
        return moved(f'deliveries_total{{connection="hub",event="{event}",provider="github",result="{result}"}}')

    assert delivered("push", "recorded") == delivered("push", "duplicate") == delivered("star", "ignored") == 1
    assert delivered("none", "unauthenticated") == 1
    assert moved('decisions_total{verdict="build"}') == 1
    assert moved('decisions_total{verdict="no_build"}') >= 2
    assert moved('builds_total{outcome="succeeded"}') == 1
    assert moved("queue_wait_seconds_count") == 1
    assert after['headgate_poll_duration_seconds_count{result="succeeded"}'] >= 1
    for operation in ("ls_refs", "fetch", "checkout"):
        assert after[f'headgate_git_duration_seconds_count{{operation="{operation}",result="succeeded"}}'] >= 1


async def _numbers(http):
    async with http.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_the_log_leads_from_a_delivery_to_its_builds(headgate, hub, tmp_path):
    """Lines about a build name it and its delivery, also those of a plugin and of what went wrong."""
    body = github_push("acme/web", "refs/heads/main", None, "1" * 40)
    async with client(headgate) as http, http.post("/webhooks/hub", data=body, headers=github_headers(body)) as answer:
        delivery = (await answer.json())["delivery"]
    (build,) = await headgate.finished(1)
    lines = await until(
        lambda: [json.loads(line) for line in headgate.output.read_text().splitlines() if line.startswith("{")],
        lambda lines: any(line["event"] == "build finished" for line in lines),
    )
    ours = {line["event"]: line for line in lines if line.get("delivery_id") == delivery}
    assert {"build queued", "build finished"} <= set(ours)
    assert {line["build_id"] for line in ours.values()} == {build["id"]}
    assert ours["build finished"]["outcome"] == "errored", "the commit is not there"


async def test_a_killed_servers_build_runs_again_when_the_job_says_so(headgate):
    for job in ("tried", "once"):
        await headgate.command("run", job)
        await until(lambda job=job: headgate.command("log", f"{job}#1", code=None), lambda text: "begun" in text)
    await headgate.kill()
    await headgate.start()
    ended = {build["job"]: build for build in await headgate.finished(2)}
    assert (ended["tried"]["outcome"], ended["tried"]["attempt"]) == ("succeeded", 2)
    assert (ended["once"]["outcome"], ended["once"]["attempt"]) == ("lost", 1)
    assert (await headgate.command("log", "tried#1")).count("begun") == 2


async def test_connections_show_where_webhooks_really_go(headgate):
    """The port of the command line wins over that of the configuration."""
    assert f"{headgate.url}/webhooks/hub" in await headgate.command("connections")
