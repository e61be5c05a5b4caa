"""`kill -9` at random moments under a stream of deliveries: none acknowledged is lost, none is built twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from live import Headgate, github_headers, github_push

KILLS = 50
SENDERS = 4

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 4}
logs: {level: warning}
"""

JOBS = """
jobs:
  count:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {}}
    run:
      environment: {LEDGER: FOLDER/executed.txt}
      steps: [{name: one, run: 'echo "$GIT_COMMIT" >> "$LEDGER"'}]
"""


class Stream:
    """Senders that post pushes to new branches, a quarter of them twice, and remember what was acknowledged."""

    def __init__(self, headgate: Headgate, seed: int) -> None:
        self.headgate = headgate
        self.random = random.Random(seed)
        self.sent: list[tuple[bytes, dict[str, str], str]] = []
        self.acknowledged: set[str] = set()
        self.duplicates = 0

    async def run(self, stop: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while not stop.is_set():
                body, headers, sha = self._next()
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.post(f"{self.headgate.url}/webhooks/hub", data=body, headers=headers) as answer:
                        if answer.status in (200, 202):
                            self.acknowledged.add(sha)
                await asyncio.sleep(0.005)

    def _next(self) -> tuple[bytes, dict[str, str], str]:
        if self.sent and self.random.random() < 0.25:
            body, headers, sha = self.random.choice(self.sent[-50:])
            self.duplicates += 1
            if self.random.random() < 0.3:
                headers = github_headers(body)  # the same push under another delivery id
            return body, headers, sha
        sha = f"{self.random.getrandbits(160):040x}"
        body = github_push("acme/web", f"refs/heads/b{len(self.sent)}", None, sha)
        self.sent.append((body, github_headers(body), sha))
        return self.sent[-1]


@pytest.mark.reliability
@pytest.mark.timeout(600)
async def test_fifty_kills_under_load_lose_nothing_and_build_nothing_twice(tmp_path):
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS.replace("FOLDER", str(tmp_path)))
    stream = Stream(headgate, seed=20261121)
    stop = asyncio.Event()
    try:
        await headgate.start()
        senders = [asyncio.create_task(stream.run(stop)) for _ in range(SENDERS)]
        for _ in range(KILLS):
            await asyncio.sleep(stream.random.uniform(0.05, 0.6))
            await headgate.kill()
            await headgate.start()
        stop.set()
        await asyncio.gather(*senders)
        await _settled(headgate)
        found = await headgate.builds()
    finally:
        headgate.close()
    built = Counter(build["sha"] for build in found)
    executed = Counter((tmp_path / "executed.txt").read_text().split())
    outcomes = Counter(build["outcome"] for build in found)
    print(
        f"{KILLS} kills, {len(stream.sent)} pushes, {stream.duplicates} duplicates, "
        f"{len(stream.acknowledged)} acknowledged, {len(found)} builds: {dict(outcomes)}"
    )
    assert len(stream.acknowledged) > 10 * KILLS, "the stream really ran"
    assert not stream.acknowledged - set(built), "an acknowledged push was lost"
    assert set(built.values()) == {1}, "a push was built twice"
    assert max(executed.values()) == 1, "a step ran twice"
    assert {build["sha"] for build in found if build["outcome"] == "succeeded"} <= set(executed)
    assert set(outcomes) <= {"succeeded", "lost"}


@pytest.mark.reliability
@pytest.mark.timeout(300)
async def test_control_with_the_answer_before_the_commit_pushes_are_lost(tmp_path):
    """The same program over a server that answers first: were nothing lost here, the proof above would prove nothing."""
    early = (sys.executable, str(Path(__file__).parents[1] / "support" / "answers_early.py"))
    headgate = Headgate(tmp_path / "headgate", CONFIG, JOBS.replace("FOLDER", str(tmp_path)), program=early)
    stream = Stream(headgate, seed=1)
    stop = asyncio.Event()
    try:
        await headgate.start()
        senders = [asyncio.create_task(stream.run(stop)) for _ in range(SENDERS)]
        for _ in range(3):
            await asyncio.sleep(0.6)
            await headgate.kill()
            await headgate.start()
        stop.set()
        await asyncio.gather(*senders)
        await asyncio.sleep(1)
        await headgate.kill()  # what was committed late waits for a start
        await headgate.start()
        await _settled(headgate)
        built = {build["sha"] for build in await headgate.builds()}
    finally:
        headgate.close()
    assert stream.acknowledged - built


async def _settled(headgate: Headgate) -> None:
    """No delivery waits and no build is open."""
    async with asyncio.timeout(240):
        while True:
            waiting = await headgate.json("deliveries", "--state", "recorded")
            queued = await headgate.json("builds", "--state", "queued")
            running = await headgate.json("builds", "--state", "running")
            if not (waiting or queued or running):
                return
            await asyncio.sleep(0.3)
