"""A server stopped for longer than its lease while another worker takes its build: it wakes fenced, and harms nothing.

One data folder allows one server, so the other worker is the real `Worker` in this process, over a second
`Database` on the same file, opened without the lock: what two hosts with one database would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from build_desk import Desk
from live import PROGRAM, Headgate
from marked import Marked

from headgate.storage import database as database_module
from headgate.storage.database import open_database
from headgate_plugins.commit_status import CommitStatusNotifier

LEASE = 3.0
OFF = str(Path(__file__).parents[1] / "support" / "off.py")

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, base_url: "http://127.0.0.1:9", webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {lease: 3s, slots: 2}
logs: {level: info, format: json}
"""

# A process of each kind that likes to stay: a child, an orphan, one in a session of its own. Every attempt but the
# first waits for a file, so that it runs when the first one's server wakes up.
JOBS = """
jobs:
  long:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    notify: [{commit_status: {}}]
    run:
      retries: RETRIES
      environment: {PLACE: FOLDER, TEST_MARK: "VALUE"}
      steps:
        - name: ticks
          run: |
            echo "attempt $HEADGATE_ATTEMPT"; touch here
            if [ "$HEADGATE_ATTEMPT" -gt 1 ]; then
              while [ ! -e "$PLACE/go" ]; do sleep 0.05; done; test -e here; echo done; exit 0
            fi
            (setsid sh -c '(setsid sleep 300 &) ; exec sleep 300' &)
            while sleep 0.05; do echo tick; echo tick >> "$PLACE/ticks"; done
  short:
    source: {connection: hub, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run: {steps: [{run: "true"}]}
"""


class Scene:
    """A server with a build that runs, and all that a stale worker could spoil."""

    def __init__(self, folder: Path, marked: Marked, *, off: str | None = None, retries: int = 1) -> None:
        self.place, self.marked = folder, marked
        jobs = JOBS.replace("FOLDER", str(folder)).replace("RETRIES", str(retries))
        self.headgate = Headgate(
            folder / "headgate",
            CONFIG,
            jobs.replace("VALUE", marked.mark.partition("=")[2]),
            program=(sys.executable, OFF, off) if off else (PROGRAM,),
        )
        self.file = self.headgate.folder / "data" / "headgate.db"
        self.build_id = ""

    async def begin(self) -> None:
        """The server runs the build."""
        await self.headgate.start()
        found = await self.headgate.json("run", "long", "--sha", "a" * 40)
        self.build_id = found["id"]
        await until(lambda: self.ticks() > 3)
        await self.marked.at_least(3)

    async def stop_the_server(self) -> float:
        """SIGSTOP between two of its transactions: one it held would keep everybody out. The moment it was stopped."""
        while True:
            self.signal(signal.SIGSTOP)
            connection = sqlite3.connect(self.file, isolation_level=None, timeout=0)
            with contextlib.closing(connection), contextlib.suppress(sqlite3.OperationalError):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                return time.monotonic()
            self.signal(signal.SIGCONT)
            await asyncio.sleep(0.01)

    def signal(self, number: int) -> None:
        os.kill(self.headgate.process.pid, number)

    def ticks(self) -> int:
        file = self.place / "ticks"
        return len(file.read_text().split()) if file.exists() else 0

    def rows(self) -> dict[str, list[tuple]]:
        """All that is known of the build and told about it; without the lease, which its holder renews."""
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            build = connection.execute("SELECT * FROM builds WHERE id = ?", [self.build_id]).fetchall()
            news = connection.execute("SELECT id, phase, build FROM notifications WHERE build_id = ?", [self.build_id])
            return {
                "build": [tuple(row[name] for name in row.keys() if name != "lease_until") for row in build],  # noqa: SIM118
                "news": sorted(tuple(row) for row in news),
            }

    def log(self) -> bytes:
        return (self.headgate.folder / "data" / "logs" / f"{self.build_id}.log").read_bytes()

    def workspaces(self) -> set[str]:
        return {path.name for path in (self.headgate.folder / "data" / "workspaces").iterdir()}

    def row(self) -> sqlite3.Row:
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute("SELECT * FROM builds WHERE id = ?", [self.build_id]).fetchone()

    @contextlib.asynccontextmanager
    async def elsewhere(self):
        """Another worker over the same database."""
        url = f"sqlite+aiosqlite:///{self.file}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database_module, "Lock", NoLock)
            async with open_database(url, on_fatal=print) as database:
                desk = Desk(database, self.headgate.folder)
                desk.lease = LEASE
                desk.notifiers = {"commit_status": CommitStatusNotifier()}
                async with desk.at_work("elsewhere"):
                    yield desk


class NoLock(contextlib.nullcontext):
    """What another host's lock would say: it has one of its own."""

    after_crash = False

    def __init__(self, _file):
        super().__init__(self)


async def until(true, seconds=30.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


@pytest.fixture
def scene(tmp_path):
    """`scene(off=…, retries=…)`; nothing of it stays."""
    marked = Marked()
    made = []

    def make(**more):
        made.append(Scene(tmp_path, marked, **more))
        return made[-1]

    yield make
    for one in made:
        one.headgate.close()
    for pid in marked.pids():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.reliability
async def test_a_server_that_wakes_after_its_lease_leaves_the_build_to_who_has_it_now(scene):
    here = scene()
    await here.begin()
    stopped = await here.stop_the_server()
    await here.marked.until(0, seconds=LEASE)
    print(f"stopped server: its tree ended by itself {time.monotonic() - stopped:.2f} s later, lease {LEASE:g} s")
    ticks = here.ticks()
    async with here.elsewhere() as desk:
        await until(lambda: b"\tattempt 2\n" in here.log())
        rows, log, workspaces = here.rows(), here.log(), here.workspaces()
        assert here.row()["worker"] == "elsewhere"
        here.signal(signal.SIGCONT)
        woken = time.monotonic()
        await until(lambda: "build_fenced" in here.headgate.output.read_text())
        await until(lambda: here.workspaces() < workspaces)  # the last it does: its own folder goes
        assert here.rows() == rows
        assert here.log() == log
        assert here.workspaces() == {f"{here.build_id}-2"}
        assert len(here.marked.pids()) >= 1, "the other attempt runs on"
        print(f"woken server: fenced, and done with the build after {time.monotonic() - woken:.2f} s")
        (here.place / "go").touch()
        build = await desk.until(here.build_id)
        assert (build.outcome, build.attempt, build.worker) == ("succeeded", 2, "elsewhere")
        assert desk.said(here.build_id)[-2:] == ["attempt 2", "done"]
    assert here.ticks() == ticks
    assert here.marked.pids() == []
    phases = [phase for _, phase, _ in here.rows()["news"]]
    assert sorted(phases) == ["finished", "queued", "queued", "running", "running"]
    await here.headgate.json("run", "short")
    assert (await here.headgate.finished(2))[-1]["outcome"] == "succeeded", "the server that was woken serves on"
    assert await here.headgate.stop() == 0


@pytest.mark.reliability
async def test_a_server_that_wakes_when_nobody_took_its_build_says_what_became_of_it(scene):
    here = scene(retries=0)
    await here.begin()
    await here.stop_the_server()
    await here.marked.until(0, seconds=LEASE)
    here.signal(signal.SIGCONT)
    await until(lambda: here.row()["state"] == "finished")
    assert (here.row()["outcome"], here.row()["attempt"]) == ("lost", 1)
    assert "stood still" in here.row()["reason"]
    await until(lambda: here.log().splitlines()[-1].endswith(f"headgate: lost: {here.row()['reason']}".encode()))
    assert await here.headgate.stop() == 0


@pytest.mark.reliability
async def test_control_without_the_fence_the_stale_server_ends_the_others_build(scene):
    here = scene(off="fence")
    await here.begin()
    await here.stop_the_server()
    await here.marked.until(0, seconds=LEASE)
    async with here.elsewhere():
        await until(lambda: b"\tattempt 2\n" in here.log())
        rows = here.rows()
        here.signal(signal.SIGCONT)
        await until(lambda: here.row()["state"] != "running")
        assert here.rows()["news"] != rows["news"], "and tells about it"
        (here.place / "go").touch()


@pytest.mark.reliability
async def test_control_without_the_lease_both_attempts_run_and_write_at_once(scene):
    """What the supervisor and the log prevent: the fence alone keeps only the database from a stale worker."""
    here = scene(off="lease")
    await here.begin()
    stopped = await here.stop_the_server()
    async with here.elsewhere():
        await until(lambda: b"\tattempt 2\n" in here.log())
        ticks, log = here.ticks(), here.log()
        assert time.monotonic() - stopped > LEASE * 0.9
        await until(lambda: here.ticks() > ticks)
        here.signal(signal.SIGCONT)
        await until(lambda: here.log() != log)
        assert b"tick" in here.log()[len(log) :]
        (here.place / "go").touch()
