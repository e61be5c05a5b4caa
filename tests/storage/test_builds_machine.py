"""Hypothesis pulls the queue's arrows in any order, stale workers among them, against a model of three dictionaries."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from headgate.api import Outcome, Repository, State
from headgate.storage import builds
from headgate.storage.builds import NewBuild
from headgate.storage.database import open_database
from headgate.storage.ids import EPOCH, new_id
from headgate.storage.schema import migrate
from headgate.storage.tables import builds as table

JOBS = {"one at a time": 1, "any number": None}
LEASE = timedelta(seconds=10)


class QueueMachine(RuleBasedStateMachine):
    """The database against what must hold whatever happens."""

    held = Bundle("held")
    planned = Bundle("planned")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="headgate-"))
        url = f"sqlite+aiosqlite:///{self.folder}/headgate.db"
        migrate(url)
        self.runner = asyncio.Runner()
        self.fatal = []
        self.opened = open_database(url, on_fatal=self.fatal.append)
        self.database = self.runner.run(self.opened.__aenter__())
        self.now = EPOCH
        self.fences = {}
        self.finished = {}
        self.numbers = {}
        self.begun = set()
        self.transitions = {}

    def teardown(self):
        self.runner.run(self.opened.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.folder)
        assert not self.fatal

    def write(self, function, *arguments, **named):
        return self.runner.run(self.database.writer.write(lambda conn: function(conn, *arguments, **named)))

    def check_end(self, build):
        """A build that this step ended."""
        assert build.id not in self.finished
        assert build.state is State.FINISHED
        self.finished[build.id] = build

    @initialize()
    def start(self):
        self.now += timedelta(days=1)

    @rule(
        target=planned,
        job=st.sampled_from(sorted(JOBS)),
        transition=st.sampled_from([None, "t_1", "t_2", "t_3"]),
        priority=st.integers(0, 2),
        retries=st.integers(0, 2),
    )
    def plan(self, job, transition, priority, retries):
        self.now += timedelta(seconds=1)
        new = NewBuild(
            id=new_id("b", self.now), job=job, reason="", trigger="push", connection="c", repository_key="r",
            repository=Repository(host="h", path="p"), ref=None, sha=None, definition="d", priority=priority,
            event_id="e", decision_id="x", transition_id=transition, queued_at=self.now, max_running=JOBS[job],
            retries=retries,
        )  # fmt: skip
        (one,) = self.write(builds.plan, [new])
        if transition is not None:
            known = self.transitions.setdefault((job, transition), one.build.id)
            assert one.build.id == known
            assert one.existing == (known != new.id)
        if not one.existing:
            assert (job, one.build.number) not in self.numbers
            self.numbers[job, one.build.number] = one.build.id
        return one.build.id

    @rule(target=held, limit=st.integers(1, 3))
    def claim(self, limit):
        claimed = self.write(builds.claim, worker="w", now=self.now, lease_until=self.now + LEASE, limit=limit)
        assert len(claimed) <= limit
        for one in claimed:
            assert one.build.id not in self.finished
            assert one.fence == self.fences.get(one.build.id, 0) + 1
            assert one.build.attempt <= one.retries + 1
            self.fences[one.build.id] = one.fence
        return claimed

    @rule(claims=held)
    def renew(self, claims):
        for one in claims:
            answer = self.write(builds.renew, one.build.id, one.fence, self.now + LEASE)
            stale = one.fence != self.fences[one.build.id] or one.build.id in self.finished
            assert answer != "ours" if stale else answer in ("ours", "cancel", "fenced")

    @rule(claims=held)
    def begin(self, claims):
        for one in claims:
            if self.write(builds.begin, one.build.id, one.fence):
                assert one.fence == self.fences[one.build.id]
                assert one.build.id not in self.finished
                self.begun.add((one.build.id, one.fence))

    @rule(claims=held, outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED]))
    def finish(self, claims, outcome):
        """With fences of now and of long ago."""
        for one in claims:
            done = self.write(
                builds.finish, one.build.id, one.fence, outcome=outcome, reason="", steps=(), now=self.now
            )
            if done is not None:
                assert one.fence == self.fences[one.build.id]
                self.check_end(done)

    @rule(claims=consumes(held))
    def forget(self, claims):
        """A worker dies with what it holds."""

    @rule()
    def expire(self):
        self.now += LEASE + timedelta(seconds=1)
        for one in self.write(builds.expired, self.now):
            build = self.write(builds.release, one.build.id, one.fence, reason="gone", now=self.now)
            assert build is not None
            if build.state is State.FINISHED:
                assert build.outcome in (Outcome.LOST, Outcome.CANCELLED)
                self.check_end(build)
            else:
                begun = (one.build.id, one.fence) in self.begun
                assert one.build.attempt <= one.retries if begun else build.attempt == one.build.attempt - 1

    @rule(id_=planned)
    def cancel(self, id_):
        word, build = self.write(builds.cancel, id_, reason="no", now=self.now)
        assert build.id == id_
        assert (word == "already") == (id_ in self.finished)
        if word == "finished":
            self.check_end(build)

    @invariant()
    def what_must_hold(self):
        async def read():
            async with self.database.reading() as conn:
                return list((await conn.execute(sa.select(table))).mappings())

        rows = self.runner.run(read())
        assert len({(row["job"], row["number"]) for row in rows}) == len(rows) == len(self.numbers)
        made = [(row["job"], row["transition_id"]) for row in rows if row["transition_id"]]
        assert len(set(made)) == len(made)
        for row in rows:
            build = builds.build_of(row)
            assert (build.state is State.FINISHED) == (build.id in self.finished)
            assert row["fence"] == self.fences.get(build.id, 0)
            if build.id in self.finished:
                assert msgspec.json.encode(build) == msgspec.json.encode(self.finished[build.id])
        running = [row["job"] for row in rows if row["state"] == "running"]
        for job, most in JOBS.items():
            assert most is None or running.count(job) <= most


QUICK = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,  # a step is a commit on a real disk
    suppress_health_check=[HealthCheck.too_slow],
)
TestQueue = QueueMachine.TestCase
TestQueue.settings = QUICK


async def forgetful(_conn, _new):
    """What `builds._of_transitions` would be if nobody asked."""
    return {}


@pytest.mark.parametrize(("name", "broken"), [("_of_transitions", forgetful), ("RUNNING", sa.false())])
def test_the_machine_finds_a_broken_queue(monkeypatch, name, broken):
    """Negative controls: one build a transition, and the limit of running builds (the fence's is in test_builds)."""
    monkeypatch.setattr(builds, name, broken)
    find = settings(QUICK, max_examples=300, phases=[Phase.generate], database=None, derandomize=True)
    with pytest.raises((AssertionError, sqlite3.IntegrityError)):
        run_state_machine_as_test(QueueMachine, settings=find)
