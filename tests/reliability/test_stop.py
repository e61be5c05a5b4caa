"""SIGTERM under load, again and again: what was acknowledged is kept, what ran has ended or waits, the exit code is 0."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from live import PROGRAM, Headgate, github_headers, github_push
from marked import Marked
from soak import LONG

CYCLES = 400 if LONG else 20
SENDERS = 4
SUPPORT = Path(__file__).parents[1] / "support"

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 6, stop_within: WITHIN}
logs: {level: warning}
"""

JOBS = """
jobs:
  quick:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["quick/**"]}}
    run:
      environment: {LEDGER: LEDGER_FILE, TEST_MARK: "VALUE"}
      steps: [{run: 'echo "quick $GIT_COMMIT $HEADGATE_ATTEMPT begin end" >> "$LEDGER"'}]
  tried:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["slow/**"]}}
    run:
      retries: 10
      environment: {LEDGER: LEDGER_FILE, TEST_MARK: "VALUE"}
      steps:
        - run: |
            echo "tried $GIT_COMMIT $HEADGATE_ATTEMPT begin" >> "$LEDGER"
            sleep 1.2
            echo "tried $GIT_COMMIT $HEADGATE_ATTEMPT end" >> "$LEDGER"
  once:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {push: {branches: ["slow/**"]}}
    run:
      environment: {LEDGER: LEDGER_FILE, TEST_MARK: "VALUE"}
      steps:
        - run: |
            echo "once $GIT_COMMIT $HEADGATE_ATTEMPT begin" >> "$LEDGER"
            sleep 1.2
            echo "once $GIT_COMMIT $HEADGATE_ATTEMPT end" >> "$LEDGER"
"""


class Load:
    """Senders that go on through every stop, and remember what they were answered."""

    def __init__(self, headgate: Headgate, seed: int) -> None:
        self.headgate = headgate
        self.random = random.Random(seed)
        self.acknowledged: dict[str, str] = {}
        """Delivery → sha."""
        self.strange: Counter[int] = Counter()
        self.sent: list[tuple[bytes, dict[str, str], str]] = []
        self.duplicates = 0
        self._slow_at = 0.0

    async def run(self, over: asyncio.Event) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http:
            while not over.is_set():
                body, headers, sha = self.next()
                pause = 0.2  # while nobody is there
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.post(f"{self.headgate.url}/webhooks/hub", data=body, headers=headers) as answer:
                        await self.answered(answer.status, await answer.read(), sha)
                        pause = self.random.uniform(0, 0.05)
                await asyncio.sleep(pause)

    def next(self) -> tuple[bytes, dict[str, str], str]:
        if self.sent and self.random.random() < 0.25:
            self.duplicates += 1
            body, headers, sha = self.random.choice(self.sent[-50:])
            return body, headers if self.random.random() < 0.7 else github_headers(body), sha
        kind = "quick"
        if time.monotonic() > self._slow_at:
            kind, self._slow_at = "slow", time.monotonic() + 0.9
        sha = f"{self.random.getrandbits(160):040x}"
        body = github_push("acme/web", f"refs/heads/{kind}/{len(self.sent)}", None, sha)
        self.sent.append((body, github_headers(body), sha))
        return self.sent[-1]

    async def answered(self, status: int, body: bytes, sha: str) -> None:
        if status in (200, 202):
            self.acknowledged[body.split(b'"delivery":"')[1].split(b'"')[0].decode()] = sha
        elif status != 503:
            self.strange[status] += 1


class UnderWay:
    """A request of which the server has read the headers and waits for the body."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._body, self._headers, self._sha = load.next()

    async def begin(self) -> None:
        headers = self._headers | {"Host": "h", "Content-Length": str(len(self._body)), "Expect": "100-continue"}
        head = "POST /webhooks/hub HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._load.headgate.port)
        self._writer.write(head.encode() + b"\r\n")
        assert (await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        self._writer.write(self._body[:10])

    async def finish(self) -> int:
        """The status, 0 when nobody answered."""
        try:
            self._writer.write(self._body[10:])
            answer = await asyncio.wait_for(self._reader.read(), 20)
        except ConnectionError:
            answer = b""
        finally:
            self._writer.close()
        status = int(answer.split(b" ", 2)[1]) if answer else 0
        await self._load.answered(status or 503, answer, self._sha)
        return status


class Stopped:
    """What is on disk while no server runs."""

    def __init__(self, headgate: Headgate) -> None:
        self._file = headgate.folder / "data" / "headgate.db"

    def rows(self, query: str) -> list[sqlite3.Row]:
        with contextlib.closing(sqlite3.connect(self._file)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query).fetchall()

    def builds(self) -> dict[str, sqlite3.Row]:
        return {row["id"]: row for row in self.rows("SELECT * FROM builds")}


async def refused(port: int) -> bool:
    """Whether nobody can come in any more."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := await true()):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    return found


@pytest.fixture
def place(tmp_path):
    """`place(program)`: a server, and nothing of it stays."""
    marked, made = Marked(), []

    def make(*program, within="10s"):
        jobs = JOBS.replace("LEDGER_FILE", str(tmp_path / "ledger.txt"))
        server = Headgate(
            tmp_path / "headgate",
            CONFIG.replace("WITHIN", within),
            jobs.replace("VALUE", marked.mark.partition("=")[2]),
            program=program or (PROGRAM,),
        )
        made.append(server)
        return server, marked

    yield make
    for one in made:
        one.close()
    for pid in marked.pids():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.reliability
@pytest.mark.timeout(7_200 if LONG else 600)
async def test_stops_under_load_lose_nothing_and_do_nothing_twice(place, tmp_path):
    headgate, marked = place()
    load, over, stopped = Load(headgate, seed=20261121), asyncio.Event(), Stopped(headgate)
    senders = [asyncio.create_task(load.run(over)) for _ in range(SENDERS)]
    longest, met, policies = 0.0, Counter(), {"10s": Counter(), "0s": Counter()}
    for cycle in range(CYCLES):
        within = ("10s", "0s")[cycle % 2]
        headgate.config.write_text(CONFIG.replace("WITHIN", within))
        await headgate.start()
        await asyncio.sleep(load.random.uniform(0.5, 1.6))
        late = UnderWay(load)
        await late.begin()
        running = {row["id"]: row for row in stopped.rows("SELECT * FROM builds WHERE state = 'running' AND begun")}
        began = time.monotonic()
        headgate.process.send_signal(signal.SIGTERM)
        await until(lambda: refused(headgate.port))
        status = await late.finish()
        assert status in (200, 202), "a request under way is answered"
        met[status] += 1
        code = await asyncio.to_thread(headgate.process.wait, 30)
        longest = max(longest, time.monotonic() - began)
        assert code == 0, headgate.output.read_text()[-3000:]
        assert marked.pids() == []
        after = stopped.builds()
        assert {row["state"] for row in after.values()} <= {"queued", "finished"}, "nothing is left half-way"
        assert all(row["attempt"] == 0 or row["retries"] for row in after.values() if row["state"] == "queued")
        for build_id in running:
            policies[within][after[build_id]["outcome"] or "waits again"] += 1
        recorded = {row["id"] for row in stopped.rows("SELECT id FROM deliveries")}
        assert not set(load.acknowledged) - recorded, "an acknowledged delivery was lost"
    over.set()
    await asyncio.gather(*senders)
    headgate.config.write_text(CONFIG.replace("WITHIN", "10s"))
    await headgate.start()
    await settled(stopped)
    assert await headgate.stop() == 0
    found = stopped.builds()
    print(
        f"{CYCLES} stops, {len(load.sent)} pushes, {load.duplicates} duplicates, {len(load.acknowledged)} deliveries "
        f"acknowledged, {len(found)} builds, longest stop {longest:.1f} s; what ran when the signal came: "
        f"with 10s {dict(policies['10s'])}, with 0s {dict(policies['0s'])}"
    )
    assert not load.strange
    assert set(policies["10s"]) == {"succeeded"}, "what had the time to end has ended"
    assert {"waits again", "lost"} <= set(policies["0s"])
    check_builds(found, set(load.acknowledged.values()), (tmp_path / "ledger.txt").read_text().splitlines())


def check_builds(found, acknowledged, ledger):
    """One build for each job and head, each attempt begun once, ended once where it succeeded."""
    made = Counter((row["job"], row["sha"]) for row in found.values())
    assert set(made.values()) == {1}
    assert not acknowledged - {sha for _, sha in made}
    begun = Counter(tuple(line.split()[:3]) for line in ledger if "begin" in line)
    ended = Counter(tuple(line.split()[:2]) for line in ledger if "end" in line.split())
    assert max(begun.values()) == max(ended.values()) == 1
    for row in found.values():
        assert row["state"] == "finished"
        assert row["outcome"] == "succeeded" or (row["outcome"] == "lost" and row["job"] != "tried"), tuple(row)
        assert (row["outcome"] == "succeeded") <= ended[row["job"], row["sha"]]
        assert row["attempt"] == 1 or row["job"] == "tried"


async def settled(stopped: Stopped) -> None:
    """No delivery waits, no build is open."""

    async def done():
        waiting = stopped.rows("SELECT 1 FROM deliveries WHERE state = 'recorded' LIMIT 1")
        return not waiting and not stopped.rows("SELECT 1 FROM builds WHERE state != 'finished' LIMIT 1")

    await until(done, seconds=120)


@pytest.mark.reliability
async def test_control_answered_before_the_commit_a_stop_loses_deliveries(place):
    headgate, _ = place(sys.executable, str(SUPPORT / "answers_early.py"))
    load, over = Load(headgate, seed=1), asyncio.Event()
    await headgate.start()
    senders = [asyncio.create_task(load.run(over)) for _ in range(SENDERS)]
    await until(lambda: asyncio.sleep(0, len(load.acknowledged) > 50))
    await headgate.stop()
    over.set()
    await asyncio.gather(*senders)
    assert set(load.acknowledged) - {row["id"] for row in Stopped(headgate).rows("SELECT id FROM deliveries")}


@pytest.mark.reliability
async def test_control_without_handing_back_builds_end_as_nobody_promised(place):
    headgate, _ = place(sys.executable, str(SUPPORT / "off.py"), "hand_back", within="0s")
    load = Load(headgate, seed=1)
    await headgate.start()
    async with aiohttp.ClientSession() as http:
        body, headers, _ = load.next()
        await (await http.post(f"{headgate.url}/webhooks/hub", data=body, headers=headers)).read()
    stopped = Stopped(headgate)
    await until(lambda: asyncio.sleep(0, stopped.rows("SELECT 1 FROM builds WHERE begun")))
    await headgate.stop()
    assert {row["outcome"] for row in stopped.builds().values()} - {"succeeded", "lost", None} == {"errored"}


@pytest.mark.reliability
async def test_control_without_the_wait_a_request_under_way_is_not_answered(place):
    headgate, _ = place(sys.executable, str(SUPPORT / "off.py"), "answers")
    await headgate.start()
    late = UnderWay(Load(headgate, seed=1))
    await late.begin()
    headgate.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(headgate.process.wait, 30)
    assert await late.finish() == 0
