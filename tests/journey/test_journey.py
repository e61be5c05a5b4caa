"""The main job end to end, over real parts: a push becomes a build that explains itself."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from git_server import checkout, commit, git, push
from live import SECRET, FakeGitHub, Headgate

from headgate.plugins import load_plugins  # noqa: F401 - fails early, with the reason, when nothing is installed

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub:
    provider: github
    base_url: HUB
    webhook_secrets: [secret://env/HOOK]
    credential: secret://env/TOKEN
  plain:
    provider: git
    base_url: HUB
    webhook_secrets: [secret://env/HOOK]
    notify_token: secret://env/NOTIFY
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  web-tests:
    source: {connection: hub, repository: acme/web}
    triggers:
      push: {branches: [main]}
      manual: {}
    run:
      timeout: 1m
      credentials: {DEPLOY_TOKEN: secret://env/TOKEN}
      steps:
        - name: look
          run: |
            cat greeting.txt
            echo "commit=$GIT_COMMIT branch=$BRANCH_NAME number=$BUILD_NUMBER"
            echo "the token is $DEPLOY_TOKEN"
        - name: slowly
          run: for n in 1 2 3; do echo "line $n"; sleep 0.2; done
    notify:
      - commit_status: {}
"""

TOKEN = "ghp_0123456789abcdefghijKLMNOP"


@pytest.fixture
async def hub(tmp_path):
    async with FakeGitHub(tmp_path / "hosted") as server:
        yield server


@pytest.fixture
async def headgate(tmp_path, hub):
    environment = {
        "HEADGATE_SECRET_TOKEN": TOKEN,
        "HEADGATE_SECRET_TOKEN_HOSTS": "127.0.0.1",
        "HEADGATE_SECRET_NOTIFY": "a notify token",
    }
    server = Headgate(tmp_path / "headgate", CONFIG.replace("HUB", hub.url()), JOBS, environment)
    yield server
    server.close()


async def test_a_push_to_github_becomes_a_reported_build_across_two_restarts(hub, headgate, tmp_path):
    """Start, push, watch, report; stop, start, push, stop, start: everything is still there and nothing is built again."""
    hub.create("acme/web")
    hub.hook("acme/web", f"{headgate.url}/webhooks/hub")
    tree = checkout(tmp_path / "tree")
    await headgate.start()

    first = commit(tree, {"greeting.txt": "hello\n"}, "First")
    await push(tree, hub.url("acme/web"), "main")
    streamed = await headgate.command("log", "-f", "web-tests#1")
    (build,) = await headgate.finished(1)
    assert (build["outcome"], build["sha"], build["trigger"]) == ("succeeded", first, "push")
    for line in ("hello", f"commit={first} branch=main number=1", "line 3"):
        assert line in streamed
    assert TOKEN not in streamed
    assert "the token is ***" in streamed

    assert await headgate.stop() == 0
    await headgate.start()
    second = commit(tree, {"greeting.txt": "hello again\n"}, "Second")
    await push(tree, hub.url("acme/web"), "main")
    found = await headgate.finished(2)
    assert [build["sha"] for build in found] == [first, second]
    await _statuses(hub, second)
    calls = 'headgate_provider_request_duration_seconds_count{connection="hub",provider="github",status="2xx"} '
    assert calls in await _metrics(headgate)

    assert await headgate.stop() == 0
    await headgate.start()
    await asyncio.sleep(1)
    assert [build["sha"] for build in await headgate.builds()] == [first, second]
    for sha in (first, second):
        states = [one["state"] for one in hub.statuses if one["sha"] == sha]
        assert states[-1] == "success"
        assert set(states[:-1]) <= {"pending"}
        assert {one["context"] for one in hub.statuses} == {"headgate/web-tests"}
    assert TOKEN not in headgate.output.read_text()
    explained = await headgate.command("explain", found[0]["id"])
    assert "web-tests" in explained
    assert "main" in explained


async def _metrics(headgate):
    local = aiohttp.UnixConnector(str(headgate.folder / "data" / "headgate.sock"))
    async with aiohttp.ClientSession(connector=local) as http, http.get("http://localhost/metrics") as answer:
        return await answer.text()


async def _statuses(hub, sha):
    deadline = time.monotonic() + 40
    while not any(one["sha"] == sha and one["state"] == "success" for one in hub.statuses):
        assert time.monotonic() < deadline, hub.statuses
        await asyncio.sleep(0.05)


async def test_a_status_that_github_refuses_for_a_while_arrives_in_the_end(hub, headgate, tmp_path):
    hub.create("acme/web")
    hub.hook("acme/web", f"{headgate.url}/webhooks/hub")
    hub.broken = 1
    await headgate.start()
    tree = checkout(tmp_path / "tree")
    sha = commit(tree, {"greeting.txt": "hello\n"}, "First")
    await push(tree, hub.url("acme/web"), "main")
    await headgate.finished(1)
    await _statuses(hub, sha)


async def test_a_plain_git_server_and_its_hook_and_a_poll_build_a_push_once(hub, headgate, tmp_path):
    """The shipped hook tells of the push, a poll sees it too, notifyCommit asks for another: one build."""
    headgate.jobs.write_text(
        """
jobs:
  app:
    source: {connection: plain, repository: team/app}
    triggers:
      push: {}
      poll: {every: 1s}
    run:
      steps: [{name: one, run: cat file.txt}]
"""
    )
    bare = hub.create("team/app")
    await headgate.start()
    script = await headgate.command("hook-script")
    hook = bare / "hooks" / "post-receive"
    hook.write_text(script)
    hook.chmod(0o755)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    git(bare, "config", "headgate.url", f"{headgate.url}/webhooks/plain")
    git(bare, "config", "headgate.secretFile", str(secret))
    git(bare, "config", "headgate.repository", "team/app")
    tree = checkout(tmp_path / "tree")
    shas = []
    for number in range(3):
        shas.append(commit(tree, {"file.txt": f"{number}\n"}, f"Commit {number}"))
        await push(tree, hub.url("team/app"), "main")
        await headgate.finished(number + 1)
    await asyncio.sleep(2.5)
    assert [build["sha"] for build in await headgate.builds()] == shas


async def test_a_broken_job_file_takes_nothing_down_and_says_where_it_is_wrong(hub, headgate):
    await headgate.start()
    good = headgate.jobs.read_text()
    headgate.jobs.write_text(good.replace("branches:", "brunches:"))
    deadline = time.monotonic() + 10
    while "brunches" not in (shown := await headgate.command("jobs")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert "web-tests" in shown, "the last good one stays in force"
    checked = await headgate.command("check", code=2)
    assert "jobs.yaml:6:14" in checked
    assert "branches" in checked
    headgate.jobs.write_text(good)
    while "brunches" in await headgate.command("jobs"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert await headgate.builds() == [], "a reload starts no build"


async def test_a_changed_configuration_opens_and_closes_connections_without_a_restart(hub, headgate):
    await headgate.start()
    config = headgate.config.read_text()
    more = config.replace("  plain:", "  second: {provider: github, webhook_secrets: [secret://env/HOOK]}\n  plain:")
    headgate.config.write_text(more)
    await _until(headgate, "connections", lambda shown: "second" in shown)
    headgate.config.write_text(more.replace("provider: github", "provider: gitbub"))
    await _until(headgate, "jobs", lambda shown: "gitbub" in shown)
    assert "second" in await headgate.command("connections"), "the last good one stays in force"
    headgate.config.write_text(config)
    await _until(headgate, "connections", lambda shown: "second" not in shown)
    assert "hub" in await headgate.command("connections")


async def _until(headgate, command, fits):
    deadline = time.monotonic() + 15
    while not fits(shown := await headgate.command(command)):
        assert time.monotonic() < deadline, shown
        await asyncio.sleep(0.1)


async def test_a_build_asked_for_by_hand_takes_the_head_of_the_default_branch(hub, headgate, tmp_path):
    """No ref is named: the remote is asked for `HEAD` alone, over HTTP as over a local folder."""
    hub.create("acme/web")
    tree = checkout(tmp_path / "tree")
    sha = commit(tree, {"greeting.txt": "hello\n"}, "First")
    await push(tree, hub.url("acme/web"), "main")
    await headgate.start()
    await headgate.command("run", "web-tests")
    (build,) = await headgate.finished(1)
    assert (build["outcome"], build["sha"]) == ("succeeded", sha)
