"""Deliveries as they come on a bad day: many at once, a quarter of them twice, some beside a poll that sees the same.

A `Storm` sends pushes of a repository that exists only in payloads, and moves the branches of a real one, whose
webhooks come late and out of order. It remembers what it was promised; `losses` holds that against what is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import aiohttp
from git_server import commit_to
from live import FakeGitHub, Headgate, github_headers, github_push
from promises import losses, rows, until
from receiver import Receiver

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, base_url: HUB, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
notifiers: {webhook: {allow_private: true}}
polling: {jitter: 0}
worker: {slots: 4}
logs: {level: warning}
"""

JOBS = """
jobs:
  count:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["b*"]}}
    run: {environment: {LEDGER: FOLDER/executed.txt}, steps: [{name: one, run: 'echo "count $GIT_COMMIT" >> "$LEDGER"'}]}
    notify: [{webhook: {url: "RECEIVER", secret: secret://env/HOOK}}]
  raced:
    source: {connection: hub, repository: acme/real}
    triggers: {push: {}, poll: {every: 1s, branches: ["**"]}}
    run:
      environment: {LEDGER: FOLDER/executed.txt}
      steps: [{name: one, run: 'echo "raced $GIT_COMMIT" >> "$LEDGER"; test "$(git rev-parse HEAD)" = "$GIT_COMMIT"'}]
    notify: [{webhook: {url: "RECEIVER", secret: secret://env/HOOK}}]
  long:
    source: {connection: hub, repository: acme/real, checkout: none}
    triggers: {push: {}, poll: {every: 1s, branches: ["**"]}}
    run:
      environment: {LEDGER: FOLDER/executed.txt}
      steps: [{name: one, run: 'echo "long $GIT_COMMIT" >> "$LEDGER"; sleep 0.1'}]
    notify: [{webhook: {url: "RECEIVER", secret: secret://env/HOOK}}]
"""

SYNTHETIC, REAL = ("count",), ("raced", "long")


class Storm:
    """`SENDERS` that post until told to stop, and one that pushes to a real repository.

    What is posted is on branches of which the job wants three in ten: deliveries cost little, builds a process each.
    """

    SENDERS = 4

    def __init__(self, headgate: Headgate, hub: FakeGitHub, *, seed: int) -> None:
        self.headgate = headgate
        self.random = random.Random(seed)
        self.acknowledged: dict[str, str] = {}
        """Delivery → sha, for each that was answered with 202 or 200."""
        self.pushed: list[str] = []
        """Heads of the real repository, each the head of a branch at its time."""
        self.sent = self.duplicates = 0
        self._hub = hub
        self._bare = hub.create("acme/real")
        self._heads: dict[str, str] = {}
        self._unwanted: set[str] = set()
        self._recent: list[tuple[bytes, dict[str, str], str]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """The first push and the first poll's look at the repository, then everything else."""
        await self._push("main")
        asked = "select 1 from polls where succeeded_at is not null"
        await until(lambda: rows(self.headgate.folder, asked), "the first poll")
        self._tasks = [asyncio.create_task(self._send()) for _ in range(self.SENDERS)]
        self._tasks.append(asyncio.create_task(self._move()))

    async def end(self) -> None:
        """No more; what the real repository's webhooks still owe is told."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        async with asyncio.timeout(60):
            await asyncio.gather(*self._telling)

    async def _send(self) -> None:
        while not self._stop.is_set():
            body, headers, sha = self._next()
            await self._post(body, headers, sha)
            await asyncio.sleep(self.random.uniform(0, 0.25))

    def _next(self) -> tuple[bytes, dict[str, str], str]:
        if self._recent and self.random.random() < 0.25:
            body, headers, sha = self.random.choice(self._recent)
            # Out of order, beside polls and under another id at once is more than the ledger can tell (decision 8).
            if sha not in self.pushed and self.random.random() < 0.3:
                headers = github_headers(body)  # the same push under another delivery id
            self.duplicates += 1
            return body, headers, sha
        sha = f"{self.random.getrandbits(160):040x}"
        wanted = self.random.random() < 0.3
        self._unwanted |= set() if wanted else {sha}
        body = github_push("acme/web", f"refs/heads/{'b' if wanted else 'x'}{self.sent}", None, sha)
        return self._remembered(body, sha)

    def _remembered(self, body: bytes, sha: str) -> tuple[bytes, dict[str, str], str]:
        self.sent += 1
        self._recent = [*self._recent[-50:], (body, github_headers(body), sha)]
        return self._recent[-1]

    async def _move(self) -> None:
        while not self._stop.is_set():
            new = self.random.random() < 0.2
            await self._push(f"r{len(self.pushed)}" if new else self.random.choice(list(self._heads)))
            await asyncio.sleep(self.random.uniform(0.2, 1.4))

    async def _push(self, branch: str) -> None:
        """Move a real branch; its webhook comes now or later, and again until it is answered, as providers do."""
        before = self._heads.get(branch)
        number = len(self.pushed)
        files = {"file.txt": f"{number}\n"}
        parents = None if before else [self._heads["main"]] if self._heads else []
        sha = await asyncio.to_thread(commit_to, self._bare, files, f"Change {number}", branch=branch, parents=parents)
        self._heads[branch] = sha
        self.pushed.append(sha)
        task = asyncio.create_task(self._tell(github_push("acme/real", f"refs/heads/{branch}", before, sha), sha))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, body: bytes, sha: str) -> None:
        body, headers, sha = self._remembered(body, sha)
        await asyncio.sleep(self.random.choice([0, self.random.uniform(0, 4)]))
        while not await self._post(body, headers, sha):
            await asyncio.sleep(self.random.uniform(0.1, 0.5))

    async def _post(self, body: bytes, headers: dict[str, str], sha: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=5)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(f"{self.headgate.url}/webhooks/hub", data=body, headers=headers) as answer,
            ):
                if answer.status in (200, 202):
                    self.acknowledged[(await answer.json())["delivery"]] = sha
                    return True
        return False

    def losses(self, receiver: Receiver) -> dict[str, list[str]]:
        """What is not as it must be, by promise; empty when every promise was kept. For a server that has stopped."""
        return losses(self.headgate.folder, receiver, self.acknowledged, self._jobs)

    def figures(self, receiver: Receiver) -> dict[str, int]:
        """What happened, so that a test can see that something did."""

        def count(what: str) -> int:
            return rows(self.headgate.folder, f"select count(*) from {what}")[0][0]

        return {
            "synthetic and real pushes": self.sent,
            "of them real": len(self.pushed),
            "duplicates": self.duplicates,
            "acknowledged": len(self.acknowledged),
            "transitions seen by both": count("transitions where by_poll and by_webhook"),
            "heads a poll saw first": count("(select distinct sha from builds where delivery_id is null)"),
            "builds": count("builds"),
            "lost": count("builds where outcome = 'lost'"),
            "told again": receiver.repeats,
        }

    def _jobs(self, sha: str) -> tuple[str, ...]:
        return () if sha in self._unwanted else REAL if sha in self.pushed else SYNTHETIC


def prepared(folder: Path, hub: FakeGitHub, receiver: Receiver, **options: object) -> Headgate:
    """A server for a storm, not started."""
    jobs = JOBS.replace("FOLDER", str(folder)).replace("RECEIVER", receiver.url)
    return Headgate(folder, CONFIG.replace("HUB", hub.url()), jobs, **options)  # type: ignore[arg-type]
