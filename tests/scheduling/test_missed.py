"""What a host sent and we never recorded: found in its history, asked for once, and told when it cannot be known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from headgate import api
from headgate.plugins.guard import lone_guard
from headgate.scheduling import missed as finding
from headgate.scheduling import recovery as module
from headgate.scheduling.missed import Missed
from headgate.scheduling.recovery import Recovery
from headgate.storage import deliveries, missed
from headgate.storage.deliveries import NewDelivery
from headgate.storage.ids import new_id
from headgate.telemetry.health import Health
from headgate.telemetry.missed import MissedNumbers

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
URL = "https://ci.example.org/webhooks/hub"
HOOK = api.Hook(id="1", url=URL)


def failed(number, *, key="", minutes=10.0, **more):
    """An entry of the history, by default one of a failed delivery ten minutes ago."""
    key = f"k{number}" if key == "" else key
    values = {"status": 503} | more
    return api.HookDelivery(id=str(number), key=key, event="push", at=NOW - timedelta(minutes=minutes), **values)


class Host:
    """Each repository's history, newest first; `trouble` maps a call or (call, id) to what it raises."""

    def __init__(self, **histories):
        self.histories = {name.replace("_", "/"): list(entries) for name, entries in histories.items()}
        self.hooked = {name: [api.Hook(id="7", url="https://elsewhere.example"), HOOK] for name in self.histories}
        self.trouble = {}
        self.asked = []
        self.listed = 0

    def hook_events(self):
        return ("push",)

    async def hooks(self, repository):
        self.listed += 1
        self._raise("hooks", repository)
        for hook in self.hooked[repository]:
            yield hook

    async def create_hook(self, repository, wanted):
        raise NotImplementedError

    async def update_hook(self, repository, hook, wanted):
        raise NotImplementedError

    async def delete_hook(self, repository, hook):
        raise NotImplementedError

    async def hook_deliveries(self, repository, hook):
        self._raise("hook_deliveries", repository)
        if hook not in {one.id for one in self.hooked[repository]}:
            raise api.NotFound("no such webhook")
        for one in self.histories[repository]:
            yield one

    async def redeliver(self, repository, hook, delivery):
        self._raise("redeliver", delivery)
        assert hook in {one.id for one in self.hooked[repository]}
        self.asked.append(delivery)

    def _raise(self, call, what):
        error = self.trouble.get(call) or self.trouble.get((call, what))
        if error is not None:
            raise error


def job(name, *, polls=False):
    source = SimpleNamespace(repository=name)
    return SimpleNamespace(key=name, job=SimpleNamespace(source=source), poll_plans=(1,) if polls else ())


class Snapshot:
    def __init__(self, *jobs):
        self.jobs = jobs

    def repositories(self):
        return [("hub", one.key) for one in self.jobs] + [("other", "acme/else")]

    def of_repository(self, connection, key):
        return tuple(one for one in self.jobs if one.key == key)


class Bench:
    """A recovery whose clock a test turns."""

    def __init__(self, database, log, host):
        self.moment = NOW
        self.database = database
        self.registry = CollectorRegistry()
        self.health = Health()
        self.log = log
        self.host = host
        self.jobs = [job(name) for name in getattr(host, "histories", ["acme/web"])]
        numbers = MissedNumbers(self.registry)
        self.missed = Missed(database=database, url=lambda _: URL, numbers=numbers, log=log, now=lambda: self.moment)
        self.asked = SimpleNamespace(name="hub", provider=host, guard=lone_guard())
        self.recovery = Recovery(
            database=database,
            missed=self.missed,
            wanted=lambda: {"hub": self.asked},
            snapshot=lambda: Snapshot(*self.jobs),
            numbers=numbers,
            health=self.health,
            log=log,
            now=lambda: self.moment,
        )
        self.line = module._Line(provider=host)

    async def look(self, *, after=timedelta(0)):
        """One look, `after` so long, at which every repository's time has come."""
        self.moment += after
        self.line.done.clear()
        return await self.recovery.look("hub", self.asked, self.line)

    async def record(self, *keys, connection="hub"):
        for key in keys:
            delivery = api.Delivery(
                id=new_id("d", NOW), connection=connection, received_at=NOW, headers=(), body=b"{}", remote=""
            )
            await self.database.writer.add(deliveries.record, NewDelivery(delivery=delivery, key=key))

    def count(self, result):
        labels = {"connection": "hub", "result": result}
        return self.registry.get_sample_value("headgate_missed_deliveries_total", labels) or 0

    def looks(self, result):
        labels = {"connection": "hub", "result": result}
        return self.registry.get_sample_value("headgate_missed_looks_total", labels) or 0

    @property
    def how(self):
        (component,) = self.health.report().components
        return component.status, component.reason

    async def last_look(self, repository="acme/web"):
        async with self.database.reading() as connection:
            return await missed.look_of(connection, "hub", repository)


@pytest.fixture
def bench(database, log):
    return lambda host: Bench(database, log, host)


async def test_what_failed_and_was_not_recorded_is_asked_for_once_oldest_first(bench):
    host = Host(
        acme_web=[
            failed(9, status=None, minutes=1),
            failed(8, status=202, minutes=2),
            failed(7, key="k3", minutes=3),
            failed(6, minutes=4),  # its answer was lost: we have it
            failed(5, key="k4", minutes=5, status=202, redelivery=True),  # somebody else had it sent again
            failed(4, minutes=6),
            failed(3, minutes=7),  # of the same key as 7
            failed(2, minutes=24 * 60),  # the first look goes back a day, and a little
            failed(1, minutes=26 * 60),
        ]
    )
    one = bench(host)
    await one.record("k6")
    await one.record("k9", connection="other")
    assert await one.look() == module.EVERY
    assert host.asked == ["2", "7", "9"]
    assert (one.count("asked"), one.looks("complete")) == (3, 1)
    assert one.how == ("ok", "asked for again since the start: 3")
    look = await one.last_look()
    assert (look.looked_at, look.newest_id) == (NOW, "9")

    await one.look()
    await one.look(after=timedelta(hours=1))
    assert host.asked == ["2", "7", "9"], "what is still under way is not asked for again"


async def test_without_what_was_asked_for_it_would_be_asked_for_again(bench, monkeypatch):
    """Negative control of the bound."""

    async def nothing(*_):
        return {}

    host = Host(acme_web=[failed(1)])
    one = bench(host)
    monkeypatch.setattr(missed, "redelivered_of", nothing)
    await one.look()
    await one.look()
    assert host.asked == ["1", "1"]


class Unreachable(Host):
    """Whatever it sends again fails again, by a clock `ahead` of ours."""

    def __init__(self, now, *, ahead=timedelta(seconds=2), **histories):
        super().__init__(**histories)
        self.now, self.ahead = now, ahead

    async def redeliver(self, repository, hook, delivery):
        await super().redeliver(repository, hook, delivery)
        history = self.histories[repository]
        (key,) = {one.key for one in history if one.id == delivery}
        minutes = (NOW - self.now() - self.ahead) / timedelta(minutes=1)
        history.insert(0, failed(100 + len(self.asked), key=key, minutes=minutes, redelivery=True))


@pytest.mark.parametrize("ahead", [timedelta(seconds=2), timedelta(seconds=-40)])
async def test_what_fails_again_is_asked_for_again_for_a_day(bench, ahead):
    """The way here may be broken although the server runs: its proxy, or its secret."""
    host = Unreachable(lambda: one.moment, ahead=ahead, acme_web=[failed(1)])
    one = bench(host)
    for number in range(1, module.TRIES + 1):
        assert await one.look(after=timedelta(hours=1)) == module.EVERY
        assert (len(host.asked), one.count("failed_again")) == (number, number - 1)
    for _ in range(3):
        await one.look(after=timedelta(hours=1))
    assert len(host.asked) == module.TRIES
    assert one.count("failed_again") == module.TRIES


async def test_what_fails_again_and_is_recorded_then_is_left_alone(bench):
    host = Unreachable(lambda: one.moment, acme_web=[failed(1)])
    one = bench(host)
    await one.look()
    await one.look(after=timedelta(hours=1))
    await one.record("k1")
    await one.look(after=timedelta(hours=1))
    assert len(host.asked) == 2


@pytest.mark.parametrize(("kept", "asked"), [(True, 2), (False, 1)])
async def test_what_failed_again_a_moment_ago_waits_and_is_not_forgotten(bench, monkeypatch, kept, asked):
    """As after a restart. Negative control: a look that counts as done although something waits loses it."""
    if not kept:
        turn = module._turn
        monkeypatch.setattr(module, "_turn", lambda *of, **when: replace(turn(*of, **when), too_soon=False))
    host = Unreachable(lambda: one.moment, acme_web=[failed(1)])
    one = bench(host)
    await one.look()
    await one.look(after=timedelta(minutes=20))
    assert len(host.asked) == 1
    await one.look(after=timedelta(hours=1))
    assert len(host.asked) == asked


async def test_what_fails_for_ever_stands_in_nobodys_way(bench, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    host = Unreachable(lambda: one.moment, acme_web=[failed(3), failed(2), failed(1)])
    one = bench(host)
    await one.look()
    host.histories["acme/web"].insert(0, failed(7, minutes=-55))
    assert await one.look(after=timedelta(hours=1)) == module.AGAIN
    assert host.asked[3] == "7"
    assert len(host.asked) == 6
    assert one.count("failed_again") == 2, "of those that wait it is told when they are asked for"


async def test_a_later_look_goes_back_to_the_one_before_also_in_another_life(bench):
    host = Host(acme_web=[failed(1, minutes=3 * 24 * 60)])
    one = bench(host)
    await one.look()
    assert host.asked == []
    host.histories["acme/web"].insert(0, failed(2, minutes=-60))
    again = bench(host)
    await again.look(after=timedelta(days=6))
    assert host.asked == ["2"], "after six days down the gap is six days"


async def test_what_was_under_way_at_the_last_look_is_found_by_the_next(bench, monkeypatch):
    """Negative control within: without the overlap it is not."""
    for overlap, found in ((timedelta(0), []), (finding.OVERLAP, ["2"])):
        monkeypatch.setattr(finding, "OVERLAP", overlap)
        host = Host(acme_web=[failed(1, status=202, minutes=30)])
        one = bench(host)
        one.moment += timedelta(days=3 if found else 0)
        await one.look()
        minutes = 5 - (60 * 24 * 3 if found else 0)
        host.histories["acme/web"].insert(0, failed(2, minutes=minutes))  # told late: nobody answered for a while
        await one.look(after=timedelta(hours=1))
        assert host.asked == found


async def test_deliveries_without_a_key_are_asked_for_once_too(bench):
    host = Host(acme_web=[failed(2, key=None, redelivery=True, minutes=5), failed(1, key=None, minutes=6)])
    one = bench(host)
    await one.look()
    assert host.asked == ["1"]
    host.histories["acme/web"].insert(0, failed(3, key=None, minutes=-1))
    await one.look(after=timedelta(hours=1))
    assert host.asked == ["1"], "it may be the one that we asked for"


async def test_no_more_than_a_hundred_a_look_and_the_rest_later(bench):
    host = Host(acme_lib=[failed(1)], acme_web=[failed(number) for number in range(120, 10, -1)])
    one = bench(host)
    assert await one.look() == module.AGAIN
    assert len(host.asked) == module.MOST
    assert one.how[0] == "degraded"
    assert "more than 100" in one.how[1]
    assert await one.last_look() is None, "the next look begins where this one did"
    assert await one.look() == module.EVERY
    assert sorted(host.asked, key=int) == ["1", *(str(number) for number in range(11, 121))]
    assert one.how[0] == "ok"


async def test_a_limit_of_the_host_stops_the_look_and_it_goes_on_when_it_may(bench):
    host = Host(acme_web=[failed(2, minutes=5), failed(1, minutes=6)], acme_zoo=[failed(3)])
    host.trouble["redeliver", "2"] = api.RateLimited("slow down", retry_at=NOW + timedelta(seconds=90))
    one = bench(host)
    assert await one.look() == 90
    assert host.asked == ["1"]
    assert one.how == ("degraded", "acme/web: slow down; asked for again since the start: 1")
    host.trouble.clear()
    assert await one.look() == module.EVERY
    assert host.asked == ["1", "2", "3"]
    assert one.how[0] == "ok"


@pytest.mark.parametrize("error", [api.Unavailable("down"), api.CredentialError("gone"), ZeroDivisionError("a bug")])
async def test_a_host_that_does_not_answer_is_asked_again_soon(bench, error):
    host = Host(acme_web=[failed(1)])
    host.trouble["hook_deliveries"] = error
    one = bench(host)
    assert await one.look() == module.AGAIN
    assert (one.how[0], one.looks("failed")) == ("degraded", 1)
    host.trouble.clear()
    one.asked.guard = lone_guard()
    await one.look()
    assert (host.asked, one.how[0]) == (["1"], "ok")


async def test_a_missing_right_is_told_and_other_repositories_are_looked_at(bench):
    host = Host(acme_web=[failed(1)], acme_zoo=[failed(2)])
    host.trouble["hooks", "acme/web"] = api.Refused("the token lacks admin:repo_hook", missing=("admin:repo_hook",))
    one = bench(host)
    assert await one.look() == module.EVERY
    assert host.asked == ["2"]
    assert one.how[0] == "degraded"
    assert one.how[1].startswith("acme/web: the token lacks admin:repo_hook")
    assert await one.last_look() is None
    assert ("missed deliveries not looked for", "acme/web") in [
        (event, values.get("repository")) for event, values in one.log.lines
    ]


async def test_what_its_host_does_not_send_again_is_told_and_keeps_nobody_else(bench):
    host = Host(acme_web=[failed(2, minutes=5), failed(1, minutes=6)])
    host.trouble["redeliver", "1"] = api.ProviderError("it is too old")
    one = bench(host)
    await one.look()
    assert host.asked == ["2"]
    assert (one.count("not_given"), one.count("asked")) == (1, 1)
    assert "not sent again by its host: 1 (it is too old)" in one.how[1]


async def test_a_repository_without_our_webhook_is_told_unless_it_is_polled(bench):
    host = Host(acme_web=[failed(1)])
    host.hooked["acme/web"] = [api.Hook(id="7", url="https://elsewhere.example")]
    one = bench(host)
    await one.look()
    assert one.how == ("degraded", f"acme/web: acme/web has no webhook that leads to {URL}")
    one.jobs = [job("acme/web", polls=True)]
    await one.look()
    assert one.how == ("ok", "")


async def test_a_webhook_that_was_made_anew_is_found_and_a_known_one_is_not_looked_for(bench):
    host = Host(acme_web=[failed(1)])
    one = bench(host)
    await one.look()
    await one.look()
    assert host.listed == 1
    host.hooked["acme/web"] = [api.Hook(id="5", url=URL)]
    host.histories["acme/web"].insert(0, failed(2, minutes=1))
    await one.look()
    assert (host.listed, host.asked) == (2, ["1", "2"])


async def test_a_webhook_that_is_switched_off_leaves_a_gap_that_is_told(bench):
    host = Host(acme_web=[])
    host.hooked["acme/web"] = [api.Hook(id="1", url=URL, active=False)]
    one = bench(host)
    await one.look()
    assert one.looks("unknown") == 1
    assert "switched off" in one.how[1]


async def test_a_history_that_is_shorter_than_the_gap_is_told(bench):
    host = Host(acme_web=[failed(1, status=202)])
    one = bench(host)
    await one.look()
    host.histories["acme/web"] = [failed(9, minutes=-60 * 24 * 3)]
    await one.look(after=timedelta(days=4))
    assert host.asked == ["9"], "what is still known is asked for"
    assert one.how[0] == "degraded"
    assert "goes back to 2026-01-08" in one.how[1]
    assert one.looks("unknown") == 1
    await one.look(after=timedelta(hours=1))
    assert one.how[0] == "ok"


@pytest.mark.parametrize("history", [[], [failed(1, status=202, minutes=60 * 24 * 3)]])
async def test_a_quiet_repository_has_no_gap(bench, history):
    """Negative control: nothing happened, and what was seen before is still there."""
    host = Host(acme_web=history)
    one = bench(host)
    await one.look()
    await one.look(after=timedelta(days=4))
    assert (one.how, one.looks("complete")) == (("ok", ""), 2)


async def test_a_history_longer_than_one_look_is_told(bench, monkeypatch):
    monkeypatch.setattr(finding, "LONGEST", 2)
    host = Host(acme_web=[failed(3, minutes=1), failed(2, minutes=2), failed(1, minutes=3)])
    one = bench(host)
    await one.look()
    assert host.asked == ["2", "3"]
    assert "more than 2 deliveries" in one.how[1]


async def test_a_host_that_sends_nothing_again_is_told_and_not_asked(bench):
    class Forgetful:
        async def hook_deliveries(self, repository, hook):
            raise AssertionError
            yield

    one = bench(Forgetful())
    assert await one.look() == module.EVERY
    assert one.how == ("degraded", "its provider does not have the feature `hooks`, `redeliver`")


async def test_nothing_is_asked_for_before_deliveries_can_arrive(bench, monkeypatch):
    """And a connection that is gone, or opened anew, is another one."""
    host = Host(acme_web=[failed(1)])
    one = bench(host)
    turns = []

    async def turn(seconds):
        turns.append(seconds)
        raise StopAsyncIteration

    monkeypatch.setattr(module.asyncio, "sleep", turn)
    running = module.asyncio.create_task(one.recovery.run())
    await module.asyncio.wait({running}, timeout=0.05)
    assert (host.asked, turns) == ([], [])
    one.recovery.listening()
    with pytest.raises(ExceptionGroup):
        await running
    assert turns == [module.LOOK]


async def test_connections_come_and_go(bench):
    host, other = Host(acme_web=[failed(1)]), Host(acme_web=[failed(2)])
    one = bench(host)
    wanted = {"hub": one.asked}
    one.recovery._wanted = lambda: wanted

    async def turn():
        async with module.asyncio.TaskGroup() as tasks:
            one.recovery._start(tasks)

    await turn()
    await turn()
    assert (host.asked, host.listed) == (["1"], 1)
    one.asked.provider = other  # the configuration was read again
    await turn()
    assert other.asked == ["2"]
    wanted.clear()
    await turn()
    assert one.health.report().components == ()


async def test_a_fault_of_ours_is_told_and_the_next_look_comes(bench, monkeypatch):
    one = bench(Host(acme_web=[failed(1)]))
    monkeypatch.setattr(one.missed, "find", None)
    async with module.asyncio.TaskGroup() as tasks:
        one.recovery._start(tasks)
    assert one.how[0] == "degraded"
    assert one.recovery._lines["hub"].task is None


async def test_what_was_asked_for_is_forgotten_after_its_host_forgot_it(bench):
    host = Host(acme_web=[failed(1)])
    one = bench(host)
    await one.look()
    async with one.database.reading() as connection:
        assert list(await missed.redelivered_of(connection, "hub", ["k1"])) == ["k1"]
    await one.look(after=module.KEPT + timedelta(seconds=1))
    async with one.database.reading() as connection:
        assert await missed.redelivered_of(connection, "hub", ["k1"]) == {}
