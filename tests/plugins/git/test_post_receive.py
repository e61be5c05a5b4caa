"""The shipped hook in a real bare repository, run by a real `git push`, against a small receiver."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from git_server import ENVIRONMENT
from needs import need

from headgate import api
from headgate_plugins.git.hook import answer_post_receive, post_receive
from headgate_plugins.git.webhooks import read

SECRETS = {
    "raw": "a plain secret with 'quotes' and \\ %s",
    "whsec": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "long": "x" * 200,
    "nul": "whsec_" + "AAAAAAAlCg==",
}


class Receiver:
    """Answers with the statuses it was given, the last for ever, and keeps what came."""

    def __init__(self, *statuses):
        self.statuses, self.seen = list(statuses), []

    async def answer(self, request):
        self.seen.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "silence":
            await asyncio.sleep(30)
        return web.Response(status=status)

    async def until(self, count):
        deadline = time.monotonic() + 20
        while len(self.seen) < count:
            assert time.monotonic() < deadline, f"only {len(self.seen)} of {count} requests came"
            await asyncio.sleep(0.02)


async def git(*arguments, cwd, **environment):
    for tool in ("git", "openssl", "curl"):
        need(tool)
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=cwd,
        env={**ENVIRONMENT, "LOGNAME": "ada", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.fixture
async def server(tmp_path):
    """A bare repository team/app.git with the hook, and a checkout with one commit; `serve` starts a receiver."""
    root = tmp_path / "srv"
    bare, work, secret = root / "team" / "app.git", tmp_path / "work", tmp_path / "secret"
    bare.parent.mkdir(parents=True)
    await git("init", "-q", "--bare", "-b", "main", str(bare), cwd=tmp_path)
    hook = bare / "hooks" / "post-receive"
    hook.write_bytes(post_receive())
    hook.chmod(0o755)
    secret.write_text(SECRETS["whsec"] + "\n")
    await git("config", "headgate.secretFile", str(secret), cwd=bare)
    await git("config", "headgate.root", str(root), cwd=bare)
    await git("init", "-q", "-b", "main", str(work), cwd=tmp_path)
    await git("commit", "-q", "--allow-empty", "-m", "First", cwd=work)
    started = []

    class Served:
        path, checkout, secret_file = bare, work, secret

        async def receive(self, *statuses):
            receiver = Receiver(*statuses)
            app = web.Application()
            app.router.add_post("/webhooks/plain", receiver.answer)
            running = TestServer(app, host="127.0.0.1")
            await running.start_server(shutdown_timeout=0.1)
            started.append(running)
            await git("config", "headgate.url", str(running.make_url("/webhooks/plain")), cwd=bare)
            return receiver

        async def push(self, *refs, **environment):
            return await git("push", str(bare), *refs, cwd=work, **environment)

    yield Served()
    for running in started:
        await running.close()


def check(seen, secret):
    """The delivery's id, once its signature was checked as the server checks it."""
    headers, body = seen
    api.check_standard_webhooks(
        headers["webhook-id"],
        headers["webhook-timestamp"],
        headers["webhook-signature"],
        body,
        [api.Secret(secret)],
        now=datetime.now(UTC),
    )
    return headers["webhook-id"]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
async def test_a_push_arrives_signed(server, secret):
    server.secret_file.write_text(secret + "\n")
    receiver = await server.receive(202)
    output = await server.push("main")
    assert "headgate: recorded (msg_" in output
    (seen,) = receiver.seen
    check(seen, secret)
    with pytest.raises(api.Unauthenticated):
        check(seen, "another")


async def test_what_arrives_is_what_was_pushed(server):
    receiver = await server.receive(202)
    await git("branch", 'odd"name', cwd=server.checkout)
    await git("tag", "v1", cwd=server.checkout)
    sha = (await git("rev-parse", "main", cwd=server.checkout)).strip()
    await server.push("main", 'odd"name', "v1")
    await git("push", str(server.path), ":v1", cwd=server.checkout)
    events = []
    for headers, body in receiver.seen:
        reading = read(
            api.Delivery(
                id="d", connection="c", received_at=datetime.now(UTC), headers=tuple(headers.items()), body=body
            )
        )
        events += [
            (event.repository.path, event.actor, event.ref, event.before, event.after) for event in reading.events
        ]
    assert events == [
        ("team/app", "ada", "refs/heads/main", None, sha),
        ("team/app", "ada", 'refs/heads/odd"name', None, sha),
        ("team/app", "ada", "refs/tags/v1", None, sha),
        ("team/app", "ada", "refs/tags/v1", sha, None),
    ]
    assert json.loads(receiver.seen[0][1])["default_branch"] == "main"


async def test_later_tries_carry_the_same_id_and_hold_nothing_up(server, tmp_path):
    receiver = await server.receive(503, 500, 202)
    started = time.monotonic()
    output = await server.push("main", HEADGATE_HOOK_PAUSES="0.1 0.1 0.1 0.1", TMPDIR=str(tmp_path))
    assert "trying again in the background" in output
    await receiver.until(3)
    assert time.monotonic() - started < 15
    assert len({check(seen, SECRETS["whsec"]) for seen in receiver.seen}) == 1
    assert len({body for _, body in receiver.seen}) == 1
    deadline = time.monotonic() + 10
    while list(tmp_path.glob("headgate.*")):
        assert time.monotonic() < deadline, "the hook leaves its draft behind"
        await asyncio.sleep(0.02)
    assert len(receiver.seen) == 3


async def test_a_silent_server_costs_a_push_a_few_seconds_at_most(server):
    await server.receive("silence")
    started = time.monotonic()
    output = await server.push("main", HEADGATE_HOOK_PAUSES="")
    assert time.monotonic() - started < 8
    assert "not reached" in output


async def test_a_refused_push_is_told_to_the_pusher_and_not_tried_again(server):
    receiver = await server.receive(401)
    output = await server.push("main", HEADGATE_HOOK_PAUSES="0 0")
    assert "refused (401): does the secret fit" in output
    await asyncio.sleep(0)
    assert len(receiver.seen) == 1


async def test_a_hook_without_its_settings_says_which_and_lets_the_push_pass(server):
    for key in ("headgate.secretFile", "headgate.url"):
        await server.receive(202)
        await git("config", "--unset", key, cwd=server.path)
        await git("commit", "-q", "--allow-empty", "-m", key, cwd=server.checkout)
        assert f"{key} is not set" in await server.push("main")
    sha = (await git("rev-parse", "main", cwd=server.checkout)).strip()
    assert (await git("rev-parse", "main", cwd=server.path)).strip() == sha


async def test_an_empty_secret_is_never_signed_with(server):
    receiver = await server.receive(202)
    for text in ("", "\n", "whsec_\n"):
        server.secret_file.write_text(text)
        await git("commit", "-q", "--allow-empty", "-m", "x", cwd=server.checkout)
        assert "not announced" in await server.push("main")
    assert receiver.seen == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [({}, "team/app"), ({"headgate.root": "/nowhere"}, "app"), ({"headgate.repository": "named"}, "named")],
)
async def test_the_repository_is_named_by_setting_root_or_folder(server, settings, name):
    receiver = await server.receive(202)
    for key, value in settings.items():
        await git("config", key, value, cwd=server.path)
    await server.push("main")
    assert json.loads(receiver.seen[0][1])["repository"] == name


async def test_the_secret_is_in_no_process_list(server, tmp_path):
    """A stand-in for openssl and curl writes down what it was called with: the key is not there in any form."""
    log, tools = tmp_path / "calls", tmp_path / "tools"
    tools.mkdir()
    for tool in ("openssl", "curl", "od", "sed", "tr"):
        script = tools / tool
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0 $*" >> {log}\nenv >> {log}\nexec {need(tool)} "$@"\n')
        script.chmod(0o755)
    secret = "hunter2-hunter2"
    server.secret_file.write_text(secret)
    receiver = await server.receive(202)
    await server.push("main", PATH=f"{tools}:{os.environ['PATH']}")
    check(receiver.seen[0], secret)
    called = log.read_text()
    assert "curl" in called
    assert "openssl" in called
    assert secret not in called
    assert secret.encode().hex() not in called


async def test_the_script_can_be_fetched():
    answer = await answer_post_receive(api.RouteRequest(method="GET", tail="", query={}, headers={}, body=b""))
    assert answer.status == 200
    assert answer.body.startswith(b"#!/bin/sh\n")
