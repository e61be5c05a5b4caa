"""Hypothesis lets pushes, polls, workers and crashes happen in any order, against what must hold whatever happens.

Everything is real but the clock, the remote repository and the steps: door, inbox, flow, ledger, poller, queue, desk,
SQLite file. A crash is the database as it is on disk at that moment, opened by new objects that know nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from flow_parts import WEB, NoHistory, make_job
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace
from soak import LONG

from headgate import api
from headgate.api import Outcome
from headgate.app.desk import Desk
from headgate.builds.queue import Queue
from headgate.flow import Flow
from headgate.plugins import load_plugins
from headgate.plugins.guard import lone_guards
from headgate.routing import ledger
from headgate.routing.index import make_snapshot
from headgate.scheduling.inbox import Inbox
from headgate.scheduling.polls import Poller
from headgate.scheduling.readings import OpenConnection
from headgate.storage import builds, deliveries, ids
from headgate.storage.database import open_database
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import EPOCH, new_id
from headgate.storage.schema import migrate
from headgate.telemetry.health import Health
from headgate.telemetry.metrics import Metrics

LEASE = 10.0
MOST = {"single": 1, "many": None}
RETRIES = {"single": 0, "many": 1}
REFS = ("refs/heads/main", "refs/heads/topic")
SHAS = tuple(letter * 40 for letter in "abc")
STEPS = 80 if LONG else 50
EXAMPLES = 3_000 if LONG else 100


class Told:
    """A notifier that wants to hear everything."""

    def wants(self, phase, build, options):
        return True

    def order_key(self, build, options):
        return build.id


class Provider:
    """Its bodies are `ref before after`."""

    def authenticate(self, delivery):
        return api.Seal()

    def parse(self, delivery):
        ref, before, after = (None if word == "-" else word for word in delivery.body.decode().split())
        push = api.Push(repository=WEB, ref=ref, before=before, after=after, commits_complete=True)
        return api.Parsed(events=(push,))


@dataclass
class Remote:
    """The repository as it is: a poll sees this, and nothing of how it became so."""

    heads: dict[str, str] = field(default_factory=dict)
    default_branch: str | None = "main"
    host: str = "example.org"
    peeled: dict[str, str] = field(default_factory=dict)

    async def __call__(self, connection, path, prefixes):
        return Remote(heads={ref: sha for ref, sha in self.heads.items() if sha is not None})


class Silent:
    """A log for who has nothing to say; an error is a failure."""

    def error(self, event, **values):
        raise AssertionError(f"{event} {values}")

    def warning(self, event, **values):
        raise AssertionError(f"{event} {values}")

    def debug(self, event, **values):
        pass

    info = debug


@functools.cache
def kinds():
    return load_plugins().kinds


@functools.cache
def empty_database() -> bytes:
    with tempfile.TemporaryDirectory(prefix="headgate-") as folder:
        migrate(f"sqlite+aiosqlite:///{folder}/headgate.db")
        return Path(folder, "headgate.db").read_bytes()


class Life:
    """One life of a server over a database file: all that is only in memory."""

    def __init__(self, file: Path, remote: Remote, now) -> None:
        self.file, self.remote, self.now = file, remote, now
        self.failed = []

    async def begin(self):
        self._opened = open_database(f"sqlite+aiosqlite:///{self.file}", on_fatal=self.failed.append)
        self.database = await self._opened.__aenter__()
        jobs = [
            make_job(
                name,
                {"push": {}, "poll": {"every": 60.0}},
                queue=api.QueueRules(max_running=MOST[name]),
                notify=(api.Block(kind="told", options={}),),
            )
            for name in MOST
        ]
        jobs = [replace(job, run=replace(job.run, retries=RETRIES[job.name])) for job in jobs]
        snapshot = make_snapshot(jobs, kinds(), normalise={"acme": str.lower})
        notifiers = {"told": Told()}
        flow = Flow(
            database=self.database, snapshot=lambda: snapshot, history=NoHistory(), notifiers=notifiers,
            seal=lambda text, _: text, metrics=Metrics(), now=self.now, planned=lambda _: None,
        )  # fmt: skip
        self.poller = Poller(
            database=self.database, flow=flow, asks=self.remote, snapshot=lambda: snapshot, jitter=0.0, concurrency=1,
            metrics=Metrics(), health=Health(), log=Silent(), now=self.now,
        )  # fmt: skip
        connection = OpenConnection(name="acme", provider=Provider(), normalise=str.lower)
        self.inbox = Inbox(
            database=self.database, flow=flow, connection=lambda _: connection, poll=self.poller.ask,
            default_branch=lambda *_: None, log=Silent(), now=self.now,
        )  # fmt: skip
        self.queue = Queue(
            database=self.database, notifiers=notifiers, now=self.now, changed=lambda _: None, guards=lone_guards()
        )
        self.desk = Desk(database=self.database, worker=None, route=self.inbox.route, now=self.now)

    async def end(self):
        """Orderly."""
        await self._opened.__aexit__(None, None, None)
        assert not self.failed

    async def record(self, new):
        recorded = await self.database.writer.add(deliveries.record, new)
        if recorded.duplicate_of is None:
            self.inbox.received(new, None)
        return recorded

    async def route(self, settled):
        """The inbox works until everything is settled."""
        task = asyncio.create_task(self.inbox.run())
        try:
            async with asyncio.timeout(20):
                while not settled():
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.001)  # what was handed on a second time is looked at, too
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class Counted:
    """Ids whose random part counts, for the same reason as `Machine.now`."""

    def __init__(self):
        self.numbers = itertools.count()

    def pop(self):
        return next(self.numbers).to_bytes(ids._RANDOM_BYTES, "big")


class Machine(RuleBasedStateMachine):
    """The server against a model of what was pushed, promised and begun."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="headgate-"))
        self.lives = 0
        self.clock = EPOCH
        self.ids = patch.object(ids, "_drawn", Counted())
        self.ids.start()
        self.runner = asyncio.Runner()
        self.remote = Remote()
        self.pushes = {ref: [] for ref in REFS}
        """All moves of each ref, as (before, after)."""
        self.told = dict.fromkeys(REFS, 0)
        """How many of them a webhook has told."""
        self.promised = {}
        """Delivery id → what was acknowledged."""
        self.claims = []
        self.begun = {}
        """Build id → fences with which something of it ran."""
        self.frozen, self.fences, self.settled_at = {}, {}, {}
        file = self.folder / "0" / "headgate.db"
        file.parent.mkdir()
        file.write_bytes(empty_database())
        self.live(file)

    def live(self, file):
        self.life = Life(file, self.remote, self.now)
        self.run(self.life.begin())

    def run(self, what):
        return self.runner.run(what)

    def now(self):
        """The same all through a step, so that an example is the same each time, however its writes were grouped."""
        return self.clock

    @staticmethod
    def picked(choices, pick):
        """One of them; the newest are as likely as all others together."""
        return choices[-1 - (pick // 2) % len(choices) if pick % 2 else -1]

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(f"file:{self.life.file}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query).fetchall()

    def teardown(self):
        try:
            self.everything_is_told_in_the_end()
            self.what_must_hold()
        finally:
            self.run(self.life.end())
            self.runner.close()
            self.ids.stop()
            shutil.rmtree(self.folder)

    @initialize(waiting=st.booleans())
    def the_repository_was_looked_at_before(self, waiting):
        """Else what a first poll finds is taken for what was always there. Half of the time builds wait already."""
        self.remote.heads["refs/heads/old"] = SHAS[0]
        self.poll()
        if waiting:
            self.push(REFS[0], SHAS[0])
            self.poll()

    # What happens outside. A step with nothing to do is no step: without the preconditions most would be such.

    @rule(ref=st.sampled_from(REFS), after=st.sampled_from([*SHAS, None]))
    def push(self, ref, after):
        before = self.remote.heads.get(ref)
        if before != after:
            self.remote.heads[ref] = after
            self.pushes[ref].append((before, after))

    @rule(ref=st.sampled_from(REFS), after=st.sampled_from(SHAS))
    def push_as_usual(self, ref, after):
        """With its webhook at once."""
        self.push(ref, after)
        self.deliver(ref)
        self.route()

    # Doors.

    @precondition(lambda self: any(self.told[ref] < len(moves) for ref, moves in self.pushes.items()))
    @rule(ref=st.sampled_from(REFS))
    def deliver(self, ref):
        """The next webhook of a ref arrives and is acknowledged; nothing is routed yet."""
        if self.told[ref] < len(self.pushes[ref]):
            number = self.told[ref]
            self.told[ref] += 1
            new = self.delivery(ref, number)
            assert self.run(self.life.record(new)).duplicate_of is None
            self.promised[new.delivery.id] = new

    def delivery(self, ref, number):
        now = self.now()
        words = [ref, *(head or "-" for head in self.pushes[ref][number])]
        delivery = api.Delivery(
            id=new_id("d", now), connection="acme", received_at=now, headers=(), body=" ".join(words).encode()
        )
        return NewDelivery(delivery=delivery, key=f"{ref} {number}", event="push")

    @precondition(lambda self: self.promised)
    @rule(pick=st.integers(0, 999))
    def deliver_duplicate(self, pick):
        first = self.picked(list(self.promised.values()), pick)
        again = replace(first, delivery=replace(first.delivery, id=new_id("d", self.now())))
        assert self.run(self.life.record(again)).duplicate_of == first.delivery.id

    @precondition(lambda self: self.promised)
    @rule(pick=st.integers(0, 999))
    def hand_on_again(self, pick):
        """As when a backlog is read while its deliveries are on their way."""
        self.life.inbox.received(self.picked(list(self.promised.values()), pick), None)

    @precondition(lambda self: self.promised)
    @rule()
    def route(self):
        self.run(self.life.route(lambda: not self.rows("SELECT 1 FROM deliveries WHERE state = 'recorded'")))

    @rule()
    def poll(self):
        self.run(self.life.poller.ask("acme", "acme/web"))

    @precondition(lambda self: any(self.told.values()))
    @rule(ref=st.sampled_from(REFS))
    def replay(self, ref):
        """Somebody has the last delivery of a ref routed again: nobody builds anything twice because of it."""
        if self.told[ref] and self.told[ref] == len(self.pushes[ref]):
            self.route()
            before = self.rows("SELECT job, sha, transition_id FROM builds ORDER BY id")
            last = self.rows(f"SELECT id FROM deliveries WHERE key = '{ref} {self.told[ref] - 1}'")
            self.run(self.life.desk.replay(last[0]["id"], actor="ada"))
            assert self.rows("SELECT job, sha, transition_id FROM builds ORDER BY id") == before

    # Workers.

    @precondition(lambda self: self.fences)
    @rule(limit=st.integers(1, 3))
    def claim(self, limit):
        self.claimed(limit)

    @precondition(lambda self: self.fences)
    @rule(limit=st.integers(1, 3))
    def claim_and_begin(self, limit):
        for claimed in self.claimed(limit):
            self.begin_one(claimed)

    def claimed(self, limit):
        claims = [one.claimed for one in self.run(self.life.queue.claim(worker="w", lease=LEASE, limit=limit))]
        for claimed in claims:
            assert claimed.fence == self.fences.get(claimed.build.id, 0) + 1
        self.claims += claims
        return claims

    def holds(self, claimed):
        """Whether, as we know it, a write with this claim counts."""
        (row,) = self.rows(f"SELECT fence, state FROM builds WHERE id = '{claimed.build.id}'")
        return row["state"] == "running" and row["fence"] == claimed.fence

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 999))
    def begin(self, pick):
        """Also with claims that were lost long ago."""
        self.begin_one(self.picked(self.claims, pick))

    def begin_one(self, claimed):
        ours = self.holds(claimed)
        assert self.run(self.life.queue.begin(claimed)) == ours
        if ours:
            self.begun.setdefault(claimed.build.id, set()).add(claimed.fence)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 999), outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED]))
    def finish(self, pick, outcome):
        """Also with claims that were lost long ago."""
        claimed = self.picked(self.claims, pick)
        ours = self.holds(claimed)
        build = self.run(self.life.queue.finish(claimed, outcome=outcome, reason="", steps=(), isolation=None))
        assert (build is not None) == ours

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 999))
    def renew(self, pick):
        claimed = self.picked(self.claims, pick)
        ours = self.holds(claimed)
        assert (self.run(self.life.queue.renew(claimed, LEASE)) != "fenced") == ours

    @precondition(lambda self: self.claims)
    @rule()
    def stall(self):
        """Nobody renews, and somebody notices."""
        self.clock += timedelta(seconds=LEASE + 1)
        for claimed in self.run(self.life.queue.abandoned()):
            assert self.run(self.life.queue.release(claimed, reason="gone")) is not None

    @precondition(lambda self: self.fences)
    @rule(pick=st.integers(0, 999))
    def cancel(self, pick):
        row = self.picked(self.rows("SELECT id FROM builds ORDER BY job, number"), pick)
        self.run(self.life.queue.cancel(row["id"], reason="no"))

    @rule()
    def crash(self):
        """`kill -9`: what is on disk now is all there is. The next life gives back what the last one held."""
        self.lives += 1
        file = self.folder / str(self.lives) / "headgate.db"
        file.parent.mkdir()
        for name in ("headgate.db", "headgate.db-wal"):
            if (self.life.file.parent / name).exists():
                shutil.copyfile(self.life.file.parent / name, file.parent / name)
        old = self.life
        self.run(old.end())
        shutil.rmtree(old.file.parent)
        self.live(file)
        for claimed in self.run(self.life.queue.abandoned(worker="w")):
            assert self.run(self.life.queue.release(claimed, reason="crash")) is not None

    # What must hold.

    @invariant()
    def what_must_hold(self):
        self.clock += timedelta(milliseconds=1)
        self.check_deliveries()
        found = self.rows("SELECT * FROM builds ORDER BY id")
        made = Counter((row["job"], row["transition_id"]) for row in found)
        assert not made or max(made.values()) == 1, "one build for each job and move"
        for job, most in MOST.items():
            numbers = sorted(row["number"] for row in found if row["job"] == job)
            assert numbers == list(range(1, len(numbers) + 1)), "no gaps, no doubles"
            running = sum(row["job"] == job and row["state"] == "running" for row in found)
            assert most is None or running <= most
        news = Counter(
            (row["build_id"], row["phase"]) for row in self.rows("SELECT build_id, phase FROM notifications")
        )
        for row in found:
            self.check_build(row, {phase: news[row["id"], phase] for phase in ("queued", "running", "finished")})

    def check_deliveries(self):
        kept = {row["id"]: row for row in self.rows("SELECT id, state, settled_at, replay_of FROM deliveries")}
        assert not set(self.promised) - set(kept), "what was acknowledged is there"
        events = Counter(row["delivery_id"] for row in self.rows("SELECT delivery_id FROM events"))
        for row in kept.values():
            assert events[row["id"]] == (row["state"] == "routed"), "routed once"
            if row["settled_at"] is not None:
                assert self.settled_at.setdefault(row["id"], row["settled_at"]) == row["settled_at"]

    def check_build(self, row, news):
        begun = self.begun.get(row["id"], ())
        assert len(begun) <= 1 + RETRIES[row["job"]], "no more attempts than were asked for"
        assert row["fence"] >= self.fences.get(row["id"], 0)
        self.fences[row["id"]] = row["fence"]
        assert news["running"] == row["fence"]
        assert news["finished"] == (row["state"] == "finished")
        given_back = row["fence"] - (row["started_at"] is not None)
        assert news["queued"] == 1 + given_back
        assert (row["state"] == "finished") == (row["outcome"] is not None)
        if row["state"] == "finished":
            assert self.frozen.setdefault(row["id"], tuple(row)) == tuple(row), "what is finished stays"

    def everything_is_told_in_the_end(self):
        """When every webhook came and a poll looked, each move is one transition, and each is built."""
        for ref in REFS:
            while self.told[ref] < len(self.pushes[ref]):
                self.deliver(ref)
        self.route()
        self.poll()
        heads = {row["ref"]: row["head"] for row in self.rows("SELECT ref, head FROM refs")}
        moves = self.rows("SELECT id, ref, after FROM transitions")
        for ref in REFS:
            assert heads.get(ref) == self.remote.heads.get(ref), "the head is where the ref is"
            assert Counter(row["after"] for row in moves if row["ref"] == ref) == Counter(
                after for _, after in self.pushes[ref]
            ), "each push is one move, whoever saw it, A→B→A two of them"
        built = {(row["job"], row["transition_id"]) for row in self.rows("SELECT job, transition_id FROM builds")}
        expected = {(job, row["id"]) for row in moves if row["after"] and row["ref"] in REFS for job in MOST}
        assert built == expected, "each move is built by each job"


BOUNDED = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,  # a step is a commit on a real disk
    derandomize=not LONG,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.reliability
@pytest.mark.timeout(14_000 if LONG else 400)
def test_whatever_happens_in_whatever_order_every_promise_is_kept():
    run_state_machine_as_test(Machine, settings=BOUNDED)


_settle = deliveries.settle


async def settle_again(connection, settled):
    """Whoever comes, nobody was there before."""
    await _settle(connection, settled)
    return {one.id: 1 for one in settled}


async def forgotten(connection, id_, fence):
    """Whether it is ours, and nothing written."""
    held = builds.sa.select(builds.builds.c.id).where(
        builds.builds.c.id == id_, builds.builds.c.fence == fence, builds.builds.c.state == "running"
    )
    return (await connection.execute(held)).first() is not None


async def none_known(_connection, _new):
    return {}


def unfenced(id_, _fence):
    return builds.sa.update(builds.builds).where(builds.builds.c.id == id_)


BROKEN = {
    "one build for each job and move": (builds, "_of_transitions", none_known),
    "the fence": (builds, "_held", unfenced),
    "the limit of running builds": (builds, "RUNNING", builds.sa.false()),
    "saying on disk that a build begins": (builds, "begin", forgotten),
    "settling once": (deliveries, "settle", settle_again),
    "a poll knows what webhooks told": (ledger, "unpolled", lambda *_: []),
    "webhooks know what polls saw": (ledger, "unheard", lambda *_: []),
}


@pytest.mark.reliability
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", BROKEN)
def test_control_the_machine_finds_what_is_broken(what):
    place, name, broken = BROKEN[what]
    find = settings(BOUNDED, max_examples=2_000, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)
    with patch.object(place, name, broken), pytest.raises(Exception) as found:
        run_state_machine_as_test(Machine, settings=find)
    # A fault that depends on which task was first is one, too: then Hypothesis says that it is flaky.
    own = isinstance(found.value, HypothesisException) and not isinstance(found.value, Flaky)
    assert not own, f"it is the machine that is broken: {found.value!r}"
    print(f"{what}: {found.value!r}")
