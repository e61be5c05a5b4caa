"""A real server between a played Gerrit and its builds: by stream and webhook, across `kill -9`, with votes back."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from live import Headgate
from ssh_server import CUT, WAIT, SshHost, ssh_server

from headgate.api.testing.calls import Answer, GitHost

TOKEN = "t0ken-of-the-webhook-URL"
ME = 9

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
logs: {format: json}
connections:
  review:
    provider: gerrit
    base_url: BASE
    webhook_secrets: [secret://env/TOKEN]
    credential: secret://env/HTTP
    ssh: {user: listener, credential: secret://env/SSH, port: PORT}
    stream: true
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  web:
    source: {connection: review, repository: acme/web, checkout: none}
    triggers: {change_request: {}}
    run: {steps: [{name: one, run: "test $CHANGE_ID != 3"}]}
    notify: [{commit_status: {}}]
"""


def sha(number):
    return f"{number:02d}" * 20


def event(number):
    change = {
        "project": "acme/web",
        "branch": "main",
        "number": number,
        "subject": "A thing",
        "owner": {"username": "a"},
    }
    return json.dumps(
        {
            "type": "patchset-created",
            "change": change,
            "patchSet": {"number": 1, "revision": sha(number), "ref": f"refs/changes/{number:02d}/{number}/1"},
            "uploader": {"username": "a"},
            "eventCreatedOn": int(datetime.now(UTC).timestamp()),
        }
    ).encode()


class Review(GitHost):
    """Gerrit's REST API: a log of events, and votes."""

    def __init__(self):
        super().__init__()
        self.log, self.votes = [], {}
        self.on("GET", "/a/plugins/events-log/events/", lambda _: Answer(200, b"\n".join(self.log)))
        self.on("GET", "/a/accounts/self", {"_account_id": ME})
        self.on("GET", "/a/changes/", self.found)
        for number in range(1, 9):
            path = f"/a/changes/acme%2Fweb~{number}/revisions/{sha(number)}/review"
            self.on("POST", path, lambda asked, number=number: self.voted(number, asked.json()))

    def found(self, asked):
        number = int(asked.query["q"].split("commit:")[1][:2])
        revision = {"_number": 1, "ref": f"refs/changes/{number:02d}/{number}/1"}
        said = [
            {"message": message, "date": "x", "tag": tag, "_revision_number": 1, "author": {"_account_id": ME}}
            for message, tag, _ in self.votes.get(number, ())
        ]
        change = {"project": "acme/web", "branch": "main", "subject": "A thing", "status": "NEW", "_number": number}
        change |= {"current_revision": sha(number), "revisions": {sha(number): revision}, "messages": said}
        return Answer(200, b")]}'\n" + json.dumps([change]).encode())

    def voted(self, number, body):
        self.votes.setdefault(number, []).append((body["message"], body["tag"], body["labels"]["Verified"]))
        return Answer(200, b")]}'\n{}")

    def verified(self, number):
        return [vote for _, _, vote in self.votes.get(number, ())][-1:]


@pytest.fixture
async def gerrit(tmp_path):
    review, ssh = Review(), SshHost()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", review.handle)
    async with TestServer(app) as server, ssh_server(ssh):
        secrets = {
            "TOKEN": TOKEN,
            "HTTP": json.dumps(
                {"type": "user_password", "username": "ci", "password": "http-password", "hosts": ["127.0.0.1"]}
            ),
            "SSH": json.dumps(
                {
                    "type": "ssh_key",
                    "private_key": ssh.private_key,
                    "known_hosts": ssh.known_hosts(),
                    "hosts": ["127.0.0.1"],
                }
            ),
        }
        config = CONFIG.replace("BASE", f"http://127.0.0.1:{server.port}").replace("PORT", str(ssh.port))
        headgate = Headgate(
            tmp_path / "headgate",
            config,
            JOBS,
            environment={f"HEADGATE_SECRET_{name}": value for name, value in secrets.items()},
        )
        yield review, ssh, headgate
        headgate.close()


async def until(look, within=20.0):
    deadline = time.monotonic() + within
    while not (found := await one if asyncio.iscoroutine(one := look()) else one):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return found


async def metrics(headgate):
    (token,) = re.findall(r"hg_[A-Za-z0-9_-]{43}", headgate.output.read_text())
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(f"{headgate.url}/metrics", headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_from_stream_and_webhook_to_votes_across_kills(gerrit):
    review, ssh, headgate = gerrit
    first, hold = event(1), asyncio.Event()
    ssh.plays = [[first + b"\n", hold, CUT], [WAIT]]
    await headgate.start()
    assert [one["change"] for one in await headgate.finished(1)] == [1]
    await until(lambda: review.verified(1) == [1])

    # Nobody hears 2: the server is dead. 1 is told again, and known.
    await headgate.kill()
    review.log += [first, event(2)]
    hold.set()
    await headgate.start()
    assert sorted(one["change"] for one in await headgate.finished(2)) == [1, 2]
    await until(lambda: review.verified(2) == [1])

    # 3 comes by webhook, then by a stream that is cut and opened again, then in what was missed.
    third = event(3)
    review.log.append(third)
    async with aiohttp.ClientSession() as http:
        target = f"{headgate.url}/webhooks/review"
        headers = {"Content-Type": "application/json; charset=utf-8"}
        for query, status in (("", 401), ("?token=wrong", 401), (f"?token={TOKEN}", 202), (f"?token={TOKEN}", 200)):
            async with http.post(target + query, data=third, headers=headers) as answer:
                assert answer.status == status
        async with http.post(f"{target}/{TOKEN}", data=third, headers=headers) as answer:
            assert answer.status == 401
    opened = len(ssh.commands)
    ssh.plays = [[third + b"\n", CUT], [third + b"\n", event(4) + b"\n", WAIT]]
    await ssh.cut()
    builds = await headgate.finished(4)
    assert sorted(one["change"] for one in builds) == [1, 2, 3, 4]
    await until(lambda: review.verified(3) == [-1])
    await until(lambda: review.verified(4) == [1])
    assert len(ssh.commands) >= opened + 2

    deliveries = await headgate.json("deliveries")
    assert len(deliveries) == 4
    explained = await headgate.command("explain", builds[0]["id"])
    assert "stream" in explained
    await headgate.stop()
    kept = b"".join(path.read_bytes() for path in headgate.folder.rglob("*") if path.is_file())
    assert b"acme/web" in kept
    assert TOKEN.encode() not in kept
    assert b"http-password" not in kept


async def test_a_changed_configuration_opens_the_stream_anew_and_its_end_closes_it(gerrit):
    review, ssh, headgate = gerrit
    ssh.plays = [[event(1) + b"\n", WAIT], [event(2) + b"\n", WAIT]]
    await headgate.start()
    await headgate.finished(1)
    written = headgate.config.read_text()
    headgate.config.write_text(written.replace("stream: true", "stream: true\n    votes: {succeeded: {Verified: 2}}"))
    await headgate.finished(2)
    assert len(ssh.commands) == 2
    await until(lambda: review.verified(2) == [2])
    assert 'headgate_stream_connected{connection="review"} 1.0' in await metrics(headgate)
    headgate.config.write_text(written.replace("stream: true", "stream: false"))
    await until(lambda: all(connection.is_closed() for connection in ssh.connections))

    async def is_gone():
        return "headgate_stream_connected{" not in await metrics(headgate)

    await until(is_gone)
    assert await headgate.stop() == 0
