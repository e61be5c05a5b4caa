"""A real Fossil server, polled and hooked: its check-ins become commits of a Git mirror, and builds."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fossil_server import FossilServer
from git_server import git
from live import Headgate
from needs import need

from headgate import api
from headgate.api.testing import calling
from headgate.git.command import Git
from headgate.git.refs import list_refs
from headgate_plugins import fossil

KIND = next(iter(fossil.headgate_providers()))
SCRIPT = Path(fossil.__file__).with_name("after-receive")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def server(tmp_path):
    for tool in ("git", "openssl", "curl"):
        need(tool)
    async with FossilServer(tmp_path / "fossil") as running:
        yield running


def connection(server, tmp_path):
    return calling(
        KIND,
        lambda _: {
            "base_url": server.url(),
            "mirrors": str(tmp_path / "mirrors"),
            "webhook_secrets": ["secret://contract/hook"],
        },
        secrets={"secret://contract/hook": SECRET},
    )


async def heads(tmp_path, source):
    """As polls ask: through the core's own hardened git."""
    asked = Git(local_roots=[tmp_path / "mirrors"], home=tmp_path / "git-home", timeout=30.0, max_repository_size=2**30)
    return await list_refs(asked, source, ["refs/heads/", "refs/tags/"])


async def test_branches_and_tags_are_refs_that_move_and_keep_their_hashes(server, tmp_path):
    work = await server.create("team/web")
    first = await server.check_in(work, {"greeting.txt": "hello\n"}, "First")
    await server.push(work, "team/web")
    async with connection(server, tmp_path) as (provider, _):
        source = await provider.clone_source("team/web")
        assert source.credential is None
        before = await heads(tmp_path, source)
        assert set(before.heads) == {"refs/heads/trunk"}
        assert before.default_branch == "trunk"
        told = git(Path(source.url), "log", "-1", "--format=%an %s%n%b", "trunk")
        assert told.splitlines()[:2] == ["bob First", f"FossilOrigin-Name: {first}"]
        await server.check_in(work, {"greeting.txt": "hello again\n"}, "Second")
        await server.check_in(work, {"new.txt": "new\n"}, "Third", "--branch", "feature", "--tag", "v1.0")
        await server.push(work, "team/web")
        assert await provider.clone_source("team/web") == source
        after = await heads(tmp_path, source)
    assert set(after.heads) == {"refs/heads/trunk", "refs/heads/feature", "refs/tags/v1.0"}
    assert git(Path(source.url), "rev-parse", "trunk^").strip() == before.heads["refs/heads/trunk"]
    assert git(Path(source.url), "show", "v1.0:new.txt") == "new"


async def test_nothing_new_changes_nothing_and_a_restart_keeps_the_hashes(server, tmp_path):
    work = await server.create("web")
    await server.check_in(work, {"a": "1\n"}, "First")
    await server.push(work, "web")
    seen = set()
    for _ in range(2):
        async with connection(server, tmp_path) as (provider, _):
            for _ in range(2):
                found = await heads(tmp_path, await provider.clone_source("web"))
                seen.add(tuple(sorted(found.heads.items())))
    assert len(seen) == 1


async def test_many_who_ask_at_once_share_a_look_that_began_after_they_came(server, tmp_path, monkeypatch):
    work = await server.create("web")
    await server.check_in(work, {"a": "1\n"}, "First")
    await server.push(work, "web")
    async with connection(server, tmp_path) as (provider, _):
        looked, real = [], provider._mirrors._refreshed

        async def counted(path):
            looked.append(path)
            return await real(path)

        monkeypatch.setattr(provider._mirrors, "_refreshed", counted)
        early = asyncio.create_task(provider.clone_source("web"))
        await asyncio.sleep(0)
        await asyncio.gather(early, *(provider.clone_source("web") for _ in range(5)))
        assert looked == ["web", "web"]


async def test_a_caller_that_stops_waiting_does_not_stop_the_look(server, tmp_path):
    work = await server.create("web")
    await server.check_in(work, {"a": "1\n"}, "First")
    await server.push(work, "web")
    async with connection(server, tmp_path) as (provider, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await provider.clone_source("web")
        (task,) = provider._mirrors._tasks.values()
        assert (await task).is_dir()


async def test_what_is_not_there_and_who_does_not_answer(server, tmp_path):
    await server.create("web")
    async with connection(server, tmp_path) as (provider, _):
        with pytest.raises(api.ProviderError, match="cloning") as caught:
            await provider.clone_source("nothing")
        assert not isinstance(caught.value, api.Refused)
        assert not list((tmp_path / "mirrors").glob("*/clone.fossil"))
        await provider.clone_source("web")
        report = await provider.test_connection()
        assert "fossil version 2." in report.message
        server.stop()
        with pytest.raises(api.Unavailable, match="pulling"):
            await provider.clone_source("web")
        with pytest.raises(api.Unavailable):
            await provider.test_connection()
        await server.start()
        await provider.clone_source("web")


async def test_a_repository_that_is_not_for_everybody_is_refused(server, tmp_path):
    await server.create("web")
    await server.run("user", "capabilities", "nobody", "", "-R", str(server.file("web")))
    await server.run("user", "capabilities", "anonymous", "", "-R", str(server.file("web")))
    async with connection(server, tmp_path) as (provider, _):
        with pytest.raises(api.Refused, match="not authorized to clone"):
            await provider.clone_source("web")
    assert not list((tmp_path / "mirrors").glob("*/clone.fossil"))


async def test_a_pull_that_fossil_calls_done_and_the_server_refused_is_an_error(server, tmp_path):
    """It exits with 0: taken for success, the head would seem not to have moved."""
    work = await server.create("web")
    await server.check_in(work, {"a": "1\n"}, "First")
    await server.push(work, "web")
    async with connection(server, tmp_path) as (provider, _):
        await provider.clone_source("web")
        for user in ("nobody", "anonymous"):
            await server.run("user", "capabilities", user, "", "-R", str(server.file("web")))
        with pytest.raises(api.Refused, match="not authorized to read"):
            await provider.clone_source("web")
        server.file("web").unlink()
        await server.run("init", str(server.file("web")))
        with pytest.raises(api.NotFound, match="wrong project"):
            await provider.clone_source("web")


class Receiver:
    """Keeps what comes, and answers with the statuses it was given, the last for ever."""

    def __init__(self, *statuses):
        self.statuses, self.seen = list(statuses), []

    async def answer(self, request):
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        body = await request.read()
        self.seen.append(
            api.Delivery(id="d", connection="c", received_at=datetime.now(UTC), headers=headers, body=body)
        )
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.fixture
async def hooked(server, tmp_path):
    """`hooked(*statuses)`: a repository with the shipped hook, its checkout, and who receives."""
    started, secret = [], tmp_path / "secret"
    secret.write_text(SECRET + "\n")

    async def start(*statuses):
        receiver = Receiver(*statuses)
        app = web.Application()
        app.router.add_post("/webhooks/scm", receiver.answer)
        running = TestServer(app, host="127.0.0.1")
        await running.start_server(shutdown_timeout=0.1)
        started.append(running)
        work = await server.create("team/web")
        await server.backoffice("team/web")
        script = tmp_path / "after-receive"
        shutil.copy(SCRIPT, script)
        await server.hook("team/web", script, "team/web", str(running.make_url("/webhooks/scm")), str(secret))
        await server.backoffice("team/web")
        receiver.seen.clear()
        return work, receiver

    yield start
    for running in started:
        await running.close()


async def test_a_push_runs_the_hook_which_tells_us_signed(server, hooked, tmp_path):
    work, receiver = await hooked(202)
    await server.check_in(work, {"a": "1\n"}, 'A "quoted" \\ message', "--branch", 'odd "branch"')
    await server.push(work, "team/web")
    await server.backoffice("team/web")
    (seen,) = receiver.seen
    async with connection(server, tmp_path) as (provider, _):
        assert provider.authenticate(seen).key.startswith("msg_")
        reading = provider.parse(seen)
        forged = api.Delivery(
            id="d", connection="c", received_at=seen.received_at, headers=seen.headers, body=seen.body + b" "
        )
        with pytest.raises(api.Unauthenticated):
            provider.authenticate(forged)
    (event,) = reading.events
    assert (event.repository.path, event.actor) == ("team/web", "bob")
    assert 'to odd "branch" by bob' in json.loads(seen.body)["artifacts"][0]
    await server.backoffice("team/web")
    assert len(receiver.seen) == 1


async def test_what_is_no_check_in_is_not_told(server, hooked):
    work, receiver = await hooked(202)
    (work / "page.md").write_text("hello\n")
    await server.run("wiki", "create", "Home", "page.md", cwd=work)
    await server.push(work, "team/web")
    await server.backoffice("team/web")
    assert receiver.seen == []


async def test_later_tries_carry_the_same_id_and_hold_the_server_up_no_longer(server, hooked):
    work, receiver = await hooked(503)
    receiver.statuses = [503, 500, 202]
    await server.check_in(work, {"a": "1\n"}, "First")
    await server.push(work, "team/web")
    await server.backoffice("team/web", HEADGATE_HOOK_PAUSES="0.1 0.1 0.1 0.1")
    deadline = time.monotonic() + 15
    while len(receiver.seen) < 3 or list(server.home.glob("headgate.*")):
        assert time.monotonic() < deadline, f"{len(receiver.seen)} requests; {list(server.home.glob('headgate.*'))}"
        await asyncio.sleep(0.02)
    assert len({seen.header("webhook-id") for seen in receiver.seen}) == 1


CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
git: {local_roots: [mirrors]}
connections:
  scm:
    provider: fossil
    base_url: SERVER
    mirrors: mirrors
    webhook_secrets: [secret://env/HOOK]
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  web:
    source: {connection: scm, repository: team/web}
    triggers: {poll: {every: EVERY}, push: {}}
    run: {steps: [{name: look, run: 'cat greeting.txt; echo "on $BRANCH_NAME at $GIT_COMMIT"'}]}
"""


@pytest.mark.parametrize("seen_by", ["hook", "poll"])
async def test_a_check_in_is_built(server, tmp_path, seen_by):
    """Once by the hook, with polls an hour apart; once by polls, with no hook."""
    work = await server.create("team/web")
    await server.check_in(work, {"greeting.txt": "hello\n"}, "First")
    await server.push(work, "team/web")
    (tmp_path / "headgate" / "mirrors").mkdir(parents=True)
    jobs = JOBS.replace("EVERY", "1h" if seen_by == "hook" else "10s")
    config = CONFIG.replace("SERVER", server.url())
    headgate = Headgate(tmp_path / "headgate", config, jobs, {"HEADGATE_SECRET_HOOK": SECRET})
    await headgate.start()
    try:
        await headgate.finished(1)  # the default branch of a repository that is seen for the first time
        if seen_by == "hook":
            secret = tmp_path / "secret"
            secret.write_text(SECRET)
            await server.hook("team/web", SCRIPT, "team/web", f"{headgate.url}/webhooks/scm", str(secret))
        await server.check_in(work, {"greeting.txt": "hello again\n"}, "Second")
        await server.push(work, "team/web")
        if seen_by == "hook":
            await server.backoffice("team/web")
        _, build = await headgate.finished(2, within=60)
        log = await headgate.command("log", build["id"])
    finally:
        await headgate.stop()
        headgate.close()
    assert build["outcome"] == "succeeded"
    assert "hello again" in log
    assert f"on trunk at {build['sha']}" in log
