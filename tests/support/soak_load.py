"""A mixed load on a real server, and a memory of what it acknowledged; not a judgement about what came of it.

Every actor is an endless coroutine with a rate of its own; together they use a fraction of one core. `quiet` ends
what would keep the server from coming to rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from git_server import checkout, commit, push
from live import FakeGitHub, Headgate, github_headers, github_push

MAX_BODY = 256 * 1024
READ_TIMEOUT = 3.0
TELL_TIMEOUT = 2.0
LARGE = 240
"""Deliveries of 200 kB, by which every page cache is full."""
PULL = Path(__file__).parents[1] / "plugins/github/payloads/pull_request--opened.json"

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1, max_body: 256KiB, read_timeout: 3s}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
  forge:
    provider: github
    base_url: FORGE
    webhook_secrets: [secret://env/HOOK]
    credential: secret://env/TOKEN
  plain: {provider: git, base_url: FORGE}
credential_stores: {env: {}}
notifiers: {webhook: {allow_private: true, timeout: 2s}}
worker: {slots: 3}
logs: {level: warning}
"""

RAN = (
    "exec 3<>/dev/tcp/127.0.0.1/$PORT; printf 'GET /ran/%s/%s HTTP/1.0\\r\\n\\r\\n' $JOB_NAME $GIT_COMMIT >&3; cat <&3"
)

JOBS = """
jobs:
  load:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["load/**"]}}
    run: {environment: {PORT: HERE}, steps: [{name: one, run: "RAN"}]}
    notify: [NEWS]
  tags:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {tag: {}}
    run: {environment: {PORT: HERE}, steps: [{name: one, run: "RAN"}]}
  changes:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {change_request: {}}
    run: {environment: {PORT: HERE}, steps: [{name: one, run: "RAN"}]}
    notify: [NEWS]
  fails:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["fails/**"]}}
    run: {steps: [{name: one, run: exit 3}, {name: two, run: echo never}, {name: after, run: echo after, always: true}]}
    notify: [NEWS]
  hangs:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["hangs/**"]}}
    run: {timeout: 1s, steps: [{name: one, run: "sleep 600 & sleep 600"}]}
    notify: [NEWS]
  slow:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run:
      steps: [{name: one, run: "while sleep 0.1; do echo 'a line of a log that somebody follows'; done"}]
  chatty:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run: {steps: [{name: one, run: "seq 1 40000"}]}
  lib:
    source: {connection: forge, repository: team/lib}
    triggers: {push: {}, poll: {every: 3s}}
    run:
      credentials: {DEPLOY: secret://env/TOKEN}
      environment: {PORT: HERE}
      steps: [{name: one, run: "cat file.txt; git log -1 --format=%s; RAN"}]
    notify: [commit_status: {}, NEWS]
  app:
    source: {connection: plain, repository: team/app, checkout: {depth: 5}}
    triggers: {poll: {every: 2s}}
    run: {environment: {PORT: HERE}, steps: [{name: one, run: "cat file.txt; RAN"}]}
    notify: [NEWS]
"""

EDITED = """
jobs:
  edited:
    description: Version VERSION
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["edited/**"]}}
    run: {environment: {PORT: HERE, EDITION: "VERSION"}, steps: [{name: one, run: "RAN"}]}
    notify: [NEWS]
"""

NEWS = "webhook: {url: 'http://127.0.0.1:HERE/news', secret: secret://env/NEWS}"

ENVIRONMENT = {
    "HEADGATE_SECRET_TOKEN": "ghp_0123456789abcdefghijKLMNOP",
    "HEADGATE_SECRET_TOKEN_HOSTS": "127.0.0.1",
    "HEADGATE_SECRET_NEWS": "the secret of the news",
}
TELLING_JOBS = frozenset({"load", "changes", "fails", "hangs", "edited", "lib", "app"})
RUNNING_JOBS = frozenset({"load", "tags", "changes", "edited", "lib", "app"})
"""Whose steps say that they ran."""


class World:
    """What is outside the server: a Git host, and a receiver of news that steps call, too."""

    def __init__(self, folder: Path) -> None:
        self.github = FakeGitHub(folder / "hosted")
        self.ran: Counter[tuple[str, str]] = Counter()
        self.told: dict[str, str] = {}
        """Builds that ended, each with the id it was told under."""
        self.told_again = 0
        self.refused = 0
        self.contradictions: list[str] = []
        self.moody = True
        self.port = 0
        self._bodies: dict[str, bytes] = {}
        self._tries: Counter[str] = Counter()
        self._random = random.Random(3)

    @contextlib.asynccontextmanager
    async def open(self):
        application = web.Application()
        application.router.add_get("/ran/{job}/{sha}", self._ran)
        application.router.add_post("/news", self._news)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        async with self.github:
            self.github.requests = _Nothing()  # a record of every request would be our own leak
            yield self
        await runner.cleanup()

    async def _ran(self, request: web.Request) -> web.Response:
        self.ran[request.match_info["job"], request.match_info["sha"]] += 1
        return web.Response(text="noted\n")

    async def _news(self, request: web.Request) -> web.Response:
        body, identity = await request.read(), request.headers["webhook-id"]
        self._tries[identity] += 1
        if self._bodies.setdefault(identity, body) != body:
            self.contradictions.append(identity)
        if self.moody and self._tries[identity] == 1 and self._random.random() < 0.1:
            self.refused += 1
            if self._random.random() < 0.3:
                await asyncio.sleep(TELL_TIMEOUT + 1)
            return web.Response(status=503, headers={"Retry-After": "1"})
        news = json.loads(body)
        if news["type"] == "build.finished":
            before = self.told.setdefault(news["data"]["id"], identity)
            self.told_again += self._tries[identity] > 1 and before == identity
            if before != identity:
                self.contradictions.append(f"{before} and {identity}")
        return web.Response()


class _Nothing(list[Any]):
    def append(self, item: Any) -> None:
        pass


@dataclasses.dataclass
class Load:
    """All actors over one server. `expected` is what was acknowledged and must be built: (job, sha)."""

    headgate: Headgate
    world: World
    folder: Path
    token: str = ""
    expected: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)
    heads: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(20261121)
        self._sent: dict[str, tuple[bytes, dict[str, str]]] = {}
        self._pull = json.loads(PULL.read_text())
        self._pulls = self._edits = self._number = 0
        self._http: aiohttp.ClientSession | None = None
        self._trees: dict[str, Path] = {}

    def prepare(self) -> None:
        """Repositories and job files; before the server starts."""
        for name in ("lib", "app"):
            self.world.github.create(f"team/{name}")
            self._trees[name] = checkout(self.folder / name)
        self.world.github.hook("team/lib", f"{self.headgate.url}/webhooks/forge")
        self.headgate.config.write_text(CONFIG.replace("FORGE", self.world.github.url()))
        self.headgate.jobs.write_text(self._filled(JOBS))
        self._edit()

    async def started(self) -> None:
        """Read the token, which is printed a moment after the server is ready."""
        async with asyncio.timeout(10):
            while not (found := re.search(r"hg_[\w-]{43}", self.headgate.output.read_text())):
                await asyncio.sleep(0.05)
        self.token = found.group(0)

    async def fill(self) -> None:
        """Fill SQLite's page caches (32 MB of the writer, four times 8 MB of readers), or they would look like a leak."""
        async with self._session() as self._http:
            for _ in range(LARGE):
                body = json.dumps({"zen": self.random.randbytes(100_000).hex(), "hook_id": 1}).encode()
                await self._post(body, github_headers(body, event="ping"), {200, 202})
            found, cursor = [], {}
            while len(found) < LARGE:
                page = await self._get("deliveries", limit=200, **cursor)
                found, cursor = found + page["items"], {"cursor": page["next"]}
            for first in range(0, LARGE, 8):
                await asyncio.gather(*(self._get(f"deliveries/{one['id']}") for one in found[first : first + 8]))

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.token}"}
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), headers=headers)

    async def run(self, seconds: float) -> None:
        """Everything at once for so long; what fails in an actor is a fault, not an end."""
        actors: tuple[tuple[Callable[[], Awaitable[None]], float], ...] = (
            (self._webhook, 0.25),
            (self._push_lib, 5.0),
            (self._push_app, 3.7),
            (self._follow, 1.5),
            (self._stall, 7.0),
            (self._watch_changes, 5.0),
            (self._ask, 0.7),
            (self._replay, 9.0),
            (self._run_and_cancel, 6.0),
            (self._run_chatty, 17.0),
            (self._command, 13.0),
            (self._edit_jobs, 8.0),
            (self._edit_config, 21.0),
            (self._break_off, 2.3),
        )
        async with self._session() as self._http:
            tasks = [asyncio.create_task(self._again(act, pause, seconds)) for act, pause in actors]
            await asyncio.gather(*tasks)
        _replace(self.headgate.config, CONFIG.replace("FORGE", self.world.github.url()))

    async def _again(self, act: Callable[[], Awaitable[None]], pause: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        rest = self.random.uniform(0, pause)
        while loop.time() + rest < end:
            await asyncio.sleep(rest)
            try:
                await act()
                self.counts[act.__name__.strip("_")] += 1
            except (aiohttp.ClientError, TimeoutError, AssertionError, OSError) as error:
                self.faults.append(f"{act.__name__}: {error!r}")
            rest = self.random.uniform(0.5, 1.5) * pause

    # Deliveries.

    async def _webhook(self) -> None:
        self._number += 1
        sha = f"{self.random.getrandbits(160):040x}"
        zone = self.random.random()
        if zone < 0.40:
            await self._push("load", f"refs/heads/load/{self._number}", sha)
        elif zone < 0.48:
            await self._push("tags", f"refs/tags/v{self._number}", sha)
        elif zone < 0.56:
            await self._push("edited", f"refs/heads/edited/{self._number}", sha)
        elif zone < 0.61:
            await self._push("fails", f"refs/heads/fails/{self._number}", sha)
        elif zone < 0.63:
            await self._push("hangs", f"refs/heads/hangs/{self._number}", sha)
        elif zone < 0.68:
            await self._push(None, f"refs/heads/nobody/{self._number}", sha)
        elif zone < 0.76:
            await self._change(sha)
        elif zone < 0.90 and self._sent:
            body, headers = self.random.choice(list(self._sent.values()))
            if self.random.random() < 0.3:  # the same under another id
                await self._post(body, github_headers(body, event=headers["X-GitHub-Event"]), {202})
            else:
                await self._post(body, headers, {200})
        else:
            await self._oddity(zone, sha)

    async def _push(self, job: str | None, ref: str, sha: str) -> None:
        body = github_push("acme/web", ref, None, sha)
        await self._expect(job, sha, ref, body, github_headers(body))

    async def _change(self, sha: str) -> None:
        opened = not self._pulls or self.random.random() < 0.5
        self._pulls += opened
        self._pull["action"], self._pull["number"] = "opened" if opened else "synchronize", self._pulls
        change = self._pull["pull_request"]
        change["number"], change["head"]["sha"] = self._pulls, sha
        body = json.dumps(self._pull).encode()
        await self._expect("changes", sha, f"change {self._pulls}", body, github_headers(body, event="pull_request"))

    async def _expect(self, job: str | None, sha: str, ref: str, body: bytes, headers: dict[str, str]) -> None:
        await self._post(body, headers, {202})
        if job is not None:
            self.expected.add((job, sha))
        # Only the last word about a ref is said again under another id: an earlier one would be a move back.
        self._sent[ref] = (body, headers)
        if len(self._sent) > 50:
            del self._sent[next(iter(self._sent))]

    async def _oddity(self, zone: float, sha: str) -> None:
        body = json.dumps({"zen": sha, "hook_id": 1}).encode()
        if zone < 0.93:
            await self._post(body, github_headers(body, event=f"invented_{self._number % 500}"), {200, 202})
        elif zone < 0.95:
            await self._post(body, github_headers(body, event="ping"), {200, 202})
        elif zone < 0.97:
            await self._post(body, {**github_headers(body), "X-Hub-Signature-256": "sha256=" + "0" * 64}, {401})
        elif zone < 0.98:
            await self._post(b"{" + sha.encode(), github_headers(b"{" + sha.encode()), {202})
        elif zone < 0.99:
            body += b" " * MAX_BODY
            await self._post(body, github_headers(body), {413})
        else:
            await self._post(body, github_headers(body), {404}, connection=f"nobody-{self._number}")

    async def _post(self, body: bytes, headers: dict[str, str], fits: set[int], *, connection: str = "hub") -> None:
        url = f"{self.headgate.url}/webhooks/{connection}"
        async with self._http.post(url, data=body, headers=headers) as answer:
            assert answer.status in fits, (answer.status, await answer.text())
            self.counts[f"HTTP {answer.status}"] += 1

    # Repositories.

    async def _push_lib(self) -> None:
        self.expected.add(("lib", await self._commit("lib")))

    async def _push_app(self) -> None:
        self.heads["app"] = await self._commit("app")

    async def _commit(self, name: str) -> str:
        self._number += 1
        sha = await asyncio.to_thread(
            commit, self._trees[name], {"file.txt": f"{self._number}\n"}, f"Commit {self._number}"
        )
        await push(self._trees[name], self.world.github.url(f"team/{name}"), "main")
        return sha

    # Readers.

    async def _get(self, path: str, **query: Any) -> Any:
        async with self._http.get(f"{self.headgate.url}/api/v1/{path}", params=query) as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.json()

    async def _a_build(self) -> str | None:
        found = (await self._get("builds", limit=20))["items"]
        return self.random.choice(found)["id"] if found else None

    async def _follow(self) -> None:
        """Follow a log for a while, to its end or not."""
        build = await self._a_build()
        if build is None:
            return
        lines = self.random.randrange(1, 200)
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(self.random.uniform(0.1, 6)),
                self._http.get(f"{self.headgate.url}/api/v1/builds/{build}/log/stream") as answer,
            ):
                assert answer.status == 200
                async for _ in answer.content:  # leaving the block closes the connection
                    lines -= 1
                    if lines < 0:
                        break

    async def _stall(self) -> None:
        """Ask for a long log and read nothing of it."""
        found = (await self._get("builds", job="chatty", limit=5))["items"] or (await self._get("builds"))["items"]
        if not found:
            return
        with socket.create_connection(("127.0.0.1", self.headgate.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(
                f"GET /api/v1/builds/{found[0]['id']}/log/stream HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {self.token}\r\n\r\n".encode()
            )
            await asyncio.sleep(self.random.uniform(1, 5))

    async def _watch_changes(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(self.random.uniform(1, 10)),
                self._http.get(f"{self.headgate.url}/api/v1/builds/events") as answer,
            ):
                async for _ in answer.content:
                    pass

    async def _ask(self) -> None:
        path = self.random.choice(["jobs", "builds", "deliveries", "notifications", "connections", "health", "explain"])
        if path != "explain":
            await self._get(path)
        elif self.random.random() < 0.5:
            if (build := await self._a_build()) is not None:
                await self._get(f"builds/{build}/explain")
        else:
            found = (await self._get("deliveries", limit=20))["items"]
            if found:
                one = self.random.choice(found)["id"]
                await self._get(f"deliveries/{one}/explain")
                await self._get(f"deliveries/{one}")

    async def _replay(self) -> None:
        found = (await self._get("deliveries", limit=50, state="routed"))["items"]
        if found:
            url = f"{self.headgate.url}/api/v1/deliveries/{self.random.choice(found)['id']}/replay"
            async with self._http.post(url) as answer:
                assert answer.status in {200, 201, 202}, (answer.status, await answer.text())

    async def _queue(self, job: str) -> str:
        url = f"{self.headgate.url}/api/v1/jobs/{job}/builds"
        async with self._http.post(url, json={"sha": f"{self.random.getrandbits(160):040x}"}) as answer:
            assert answer.status in {200, 201, 202}, (answer.status, await answer.text())
            return (await answer.json())["id"]

    async def _run_and_cancel(self) -> None:
        build = await self._queue("slow")
        await asyncio.sleep(self.random.choice([0.0, 1.0, 2.0]))
        url = f"{self.headgate.url}/api/v1/builds/{build}/cancel"
        async with self._http.post(url, json={"reason": "seen enough"}) as answer:
            assert answer.status in {200, 202}, (answer.status, await answer.text())

    async def _run_chatty(self) -> None:
        await self._queue("chatty")

    async def _command(self) -> None:
        command = self.random.choice(
            [("builds",), ("deliveries",), ("jobs",), ("check",), ("notifications",), ("log",)]
        )
        if command == ("log",):
            build = await self._a_build()
            command = ("log", build) if build else ("jobs",)
        await self.headgate.command(*command, code=None)

    # Changes of the configuration.

    async def _edit_jobs(self) -> None:
        self._edit()

    def _edit(self) -> None:
        """Another version of a job file; every third is wrong, so that the one before it stays in force."""
        self._edits += 1
        text = self._filled(EDITED).replace("VERSION", str(self._edits))
        if self._edits % 3 == 0:
            text = text.replace("branches", "brunches")
        _replace(self.headgate.folder / "jobs.d/edited.yaml", text)

    async def _edit_config(self) -> None:
        """A connection comes, goes, and is misspelt."""
        text = CONFIG.replace("FORGE", self.world.github.url())
        more = "connections:\n  second: {provider: github, webhook_secrets: [secret://env/HOOK]}"
        choice = self.random.randrange(3)
        if choice:
            text = text.replace("connections:", more if choice == 1 else more.replace("github", "gitbub"))
        _replace(self.headgate.config, text)

    def _filled(self, text: str) -> str:
        step = RAN.replace("\\", "\\\\")
        return text.replace("NEWS", NEWS).replace("RAN", step).replace("HERE", str(self.world.port))

    # Clients that die.

    async def _break_off(self) -> None:
        """Half a request, or none at all; then a reset, or silence beyond what the server waits."""
        body = github_push("acme/web", "refs/heads/load/never", None, "a" * 40)
        head = (
            f"POST /webhooks/hub HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in github_headers(body).items())
            + "\r\n"
        ).encode()
        request = head + body
        client = socket.create_connection(("127.0.0.1", self.headgate.port))
        try:
            client.sendall(request[: self.random.randrange(len(request))])
            if self.random.random() < 0.2:
                await asyncio.sleep(READ_TIMEOUT + 1)
            else:
                await asyncio.sleep(self.random.uniform(0, 0.2))
            if self.random.random() < 0.7:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        finally:
            client.close()


def _replace(file: Path, text: str) -> None:
    """As a good editor does it: nobody reads half a file."""
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.replace(file)
