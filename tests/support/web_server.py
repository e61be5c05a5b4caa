"""A real server on loopback and on a Unix socket, over a real database, with GitHub's real provider."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import structlog

from headgate import api
from headgate.builds.logs import Logs
from headgate.config.settings import ServerSettings, Settings
from headgate.credentials.redaction import Redactor
from headgate.plugins import Kinds, LoadedPlugins, PluginReport
from headgate.plugins.guard import Guards
from headgate.scheduling.missed import Missed
from headgate.storage import builds, deliveries, tokens
from headgate.storage.builds import NewBuild
from headgate.storage.database import Database, open_database
from headgate.storage.deliveries import NewDelivery, Settled
from headgate.storage.ids import new_id
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics
from headgate.web.access import ensure_admin_token
from headgate.web.changes import BuildChanges
from headgate.web.dispatch import App
from headgate.web.ports import Connection, JobList
from headgate.web.server import make_app, serve
from headgate_plugins.github import headgate_providers
from headgate_plugins.github.connection import GitHub

SECRET = "It's a Secret to Everybody"
SHA = "a" * 40
JOB = api.Job(
    name="web",
    description="Unit tests",
    source=api.Source(connection="acme", repository="acme/web"),
    triggers=(api.Block(kind="push", options={"branches": ["main"]}),),
    run=api.Run(steps=(api.Step(name="one", run="true"),)),
    file="jobs.d/web.yaml",
    line=3,
    definition="f" * 64,
)


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def push_body(**more) -> bytes:
    repository = {
        "id": 1,
        "name": "web",
        "full_name": "acme/web",
        "html_url": "https://github.com/acme/web",
        "clone_url": "https://github.com/acme/web.git",
        "default_branch": "main",
        "owner": {"login": "acme", "name": "acme"},
    }
    person = {"name": "Ada", "email": "ada@example.org", "username": "ada"}
    commit = {
        "id": SHA,
        "message": "Better",
        "timestamp": "2026-05-04T12:00:00Z",
        "url": f"https://github.com/acme/web/commit/{SHA}",
        "author": person,
        "committer": person,
        "added": [],
        "removed": [],
        "modified": ["src/a.py"],
    }
    push = {
        "ref": "refs/heads/main",
        "before": "b" * 40,
        "after": SHA,
        "repository": repository,
        "pusher": {"name": "ada", "email": "ada@example.org"},
        "sender": {"login": "ada", "id": 2},
        "created": False,
        "deleted": False,
        "forced": False,
        "compare": "https://github.com/acme/web/compare/b...a",
        "commits": [commit],
        "head_commit": commit,
    }
    return json.dumps({**push, **more}).encode()


def github_headers(body: bytes, *, event="push", delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958", **more):
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": sign(body),
        **more,
    }


async def json_of(request, status=200):
    async with request as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


class Mad:
    """A provider that breaks its contract."""

    def authenticate(self, delivery):
        if b"authenticate" in delivery.body:
            raise ZeroDivisionError(delivery.body)
        if b"certificate" in delivery.body:
            raise api.CannotCheckYet("the certificate 7 is being fetched", seconds=9)
        return api.Seal(key=None)

    def parse(self, delivery):
        if b"unreadable" in delivery.body:
            raise api.Unreadable("it makes no sense")
        raise ZeroDivisionError(delivery.body)


class Sealed:
    """GitHub's seal and payloads, and nothing that would ask GitHub."""

    def __init__(self, github):
        self.authenticate = github.authenticate
        self.parse = github.parse

    async def clone_source(self, repository):
        return api.CloneSource(url=f"https://github.com/{repository}.git")

    async def test_connection(self):
        return api.ConnectionReport(missing=("credential",))


@dataclass(kw_only=True)
class Parts:
    """What stands behind the server, for tests to look at and to change."""

    database: Database
    settings: Settings
    connections: dict
    metrics: Metrics = field(default_factory=Metrics)
    guards: Guards = field(init=False)

    health: Health = field(default_factory=Health)
    changes: BuildChanges = field(default_factory=BuildChanges)
    redactor: Redactor = field(default_factory=Redactor)
    jobs: dict = field(default_factory=lambda: {"web": JOB})
    problems: tuple = ()
    plugins: tuple = ()
    routes: tuple = ()
    received: list = field(default_factory=list)
    keys: dict = field(default_factory=dict)
    retried: list = field(default_factory=list)
    logs: Logs = field(init=False)
    fatal: list = field(default_factory=list)

    def __post_init__(self):
        none = LoadedPlugins(kinds=Kinds(), reports=(), origins={})
        self.guards = Guards(none, tells=self.metrics.plugins, now=lambda: datetime.now(UTC))
        self.logs = Logs(self.settings.data / "logs")

    async def run_job(self, job, *, ref, sha, parameters, reason, actor, idempotency_key):
        if job not in self.jobs:
            raise api.NotFound(f"There is no job {job!r}.")
        if "BAD" in parameters:
            raise api.QueueError("there is no parameter BAD; did you mean BED?")
        if ("run", idempotency_key) in self.keys:
            return self.keys["run", idempotency_key]
        build = await self.plan(ref=ref, sha=sha, parameters=dict(parameters), reason=f"{actor}: {reason}")
        if idempotency_key:
            self.keys["run", idempotency_key] = build
        return build

    async def plan(self, **more):
        moment = datetime.now(UTC)
        values = {
            "id": new_id("b", moment),
            "job": "web",
            "reason": "a push",
            "trigger": "manual",
            "connection": "acme",
            "repository": api.Repository(host="github.com", path="acme/web"),
            "repository_key": "acme/web",
            "ref": "refs/heads/main",
            "sha": SHA,
            "definition": "f" * 64,
            "event_id": "e_1",
            "decision_id": "x_1",
            "queued_at": moment,
        }
        new = NewBuild(**(values | more))

        async def unit(connection):
            (planned,) = await builds.plan(connection, [new])
            return planned.build

        return await self.database.writer.write(unit)

    async def cancel_build(self, build_id, *, actor, reason):
        async def unit(connection):
            return await builds.cancel(connection, build_id, reason=f"{actor}: {reason}", now=datetime.now(UTC))

        _, build = await self.database.writer.write(unit)
        if build is None:
            raise api.NotFound(f"There is no build {build_id!r}.")
        return build

    async def replay(self, delivery_id, *, actor, idempotency_key):
        if ("replay", idempotency_key) in self.keys:
            return self.keys["replay", idempotency_key]
        async with self.database.reading() as connection:
            record = await deliveries.get(connection, delivery_id)
        if record is None:
            raise api.NotFound(f"There is no delivery {delivery_id!r}.")
        moment = datetime.now(UTC)
        copy = msgspec.structs.replace(record.delivery, id=new_id("d", moment), received_at=moment)
        await self.database.writer.add(
            deliveries.record, NewDelivery(delivery=copy, event=record.event, replay_of=delivery_id)
        )
        await self.settle(copy.id, "routed")
        if idempotency_key:
            self.keys["replay", idempotency_key] = copy.id
        return copy.id

    async def settle(self, delivery_id, state):
        async def unit(connection):
            return await deliveries.settle(connection, [Settled(id=delivery_id, state=state, at=datetime.now(UTC))])

        await self.database.writer.write(unit)

    async def token(self, *permissions):
        token, record = tokens.new_token("-".join(permissions) or "none", permissions, now=datetime.now(UTC))

        async def unit(connection):
            await tokens.create(connection, record)

        await self.database.writer.write(unit)
        return token.reveal()

    def app(self) -> App:
        return make_app(
            settings=self.settings,
            database=self.database,
            now=lambda: datetime.now(UTC),
            metrics=self.metrics,
            guards=self.guards,
            health=self.health,
            version="0.0.1",
            connections=self.connections,
            providers={kind.name: kind for kind in headgate_providers()},
            plugins=self.plugins,
            routes=self.routes,
            jobs=lambda: JobList(jobs=self.jobs, problems=self.problems),
            received=lambda delivery, reading: self.received.append((delivery, reading)),
            run_job=self.run_job,
            cancel_build=self.cancel_build,
            replay=self.replay,
            missed=Missed(
                database=self.database,
                url=lambda name: f"https://ci.example.org/webhooks/{name}",
                numbers=self.metrics.missed,
                log=structlog.get_logger(),
                now=lambda: datetime.now(UTC),
            ),
            notification_retried=lambda: self.retried.append(True),
            logs=self.logs,
            changes=self.changes,
            redact=self.redactor.redact,
        )


@dataclass(kw_only=True)
class Running:
    """A server that listens, and how to speak to it."""

    parts: Parts
    app: App
    url: str
    port: int
    socket: Path
    admin: str
    client: aiohttp.ClientSession
    local: aiohttp.ClientSession

    def rewire(self):
        """Serve what `parts` hold now."""
        app = self.parts.app()
        self.app.table, self.app.streams = app.table, app.streams

    def get(self, path, *, token=None, **more):
        headers = {"Authorization": f"Bearer {token or self.admin}", **more.pop("headers", {})}
        return self.client.get(self.url + path, headers=headers, **more)

    def post(self, path, *, token=None, **more):
        headers = {"Authorization": f"Bearer {token or self.admin}", **more.pop("headers", {})}
        return self.client.post(self.url + path, headers=headers, **more)

    def deliver(self, body, headers=None, *, connection="acme", **more):
        headers = github_headers(body) if headers is None else headers
        return self.client.post(f"{self.url}/webhooks/{connection}", data=body, headers=headers, **more)


@asynccontextmanager
async def running_server(folder, *, read_timeout=5.0, max_body=1_000_000, change=lambda parts: None):
    url = f"sqlite+aiosqlite:///{folder}/headgate.db"
    migrate(url)
    fatal = []
    async with open_database(url, on_fatal=fatal.append) as database:
        secrets = [api.Secret(SECRET), api.Secret("the old one")]
        github = Sealed(GitHub(site=None, access=None, secrets=secrets))
        parts = Parts(
            database=database,
            settings=Settings(
                file=folder / "config.yaml",
                data=folder,
                database=url,
                jobs=(),
                server=ServerSettings(
                    read_timeout=read_timeout, max_body=max_body, public_url="https://ci.example.org/"
                ),
            ),
            connections={
                "acme": Connection(name="acme", kind="github", provider=github, event_header="x-github-event"),
                "mad": Connection(name="mad", kind="mad", provider=Mad()),
                "shut": Connection(name="shut", kind="gone", provider=None, problem="secret://env/X is missing"),
            },
            plugins=(PluginReport(name="gone", distribution="gone", version="1", status="broken", reason="no"),),
        )
        parts.connections["mad"] = replace(parts.connections["mad"], guard=parts.guards.of("provider", "mad"))
        change(parts)
        app = parts.app()
        admin = await ensure_admin_token(database, datetime.now(UTC))
        path = folder / "headgate.sock"
        async with (
            serve(app, host="127.0.0.1", port=0, socket_path=path) as serving,
            aiohttp.ClientSession(auto_decompress=False) as client,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as local,
        ):
            yield Running(
                parts=parts,
                app=app,
                url=f"http://127.0.0.1:{serving.port}",
                port=serving.port,
                socket=path,
                admin=admin,
                client=client,
                local=local,
            )
    assert not fatal
