"""News waits until told: tries, order, crashes and hanging notifiers."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest

from headgate.api import HeadgateError, Notification, RateLimited, Refused, Unavailable
from headgate.notifications import outbox as room
from headgate.notifications.backoff import TRIES
from headgate.plugins.guard import lone_guard
from headgate.storage import notifications
from headgate.storage.errors import Busy


async def test_news_is_told_once_with_what_it_needs(bench: Any) -> None:
    await bench.add("n_1")
    await bench.until("n_1", "told")
    [told] = bench.teller.told
    assert (told.id, told.phase, told.options, told.sequence, told.attempt) == ("n_1", "queued", {"loud": True}, 1, 1)
    assert told.build.id == "b_1"
    assert told.url == "https://ci.example.org/api/v1/builds/b_1"
    assert bench.metrics.results == ["told"]


async def test_the_notifier_is_given_the_builds_connection(bench: Any) -> None:
    provider = object()
    given: list[Any] = []
    bench.outbox._provider_of = {"acme": (provider, lone_guard())}.get

    async def tell(notification: Notification, provider: Any) -> None:
        given.append(provider)

    bench.teller.tell = tell
    await bench.add("n_1")
    await bench.until("n_1", "told")
    assert given == [provider]


@pytest.mark.parametrize("fault", [Unavailable("no route"), TimeoutError("slow"), OSError("reset"), KeyError("bug")])
async def test_what_may_pass_is_tried_again_later_with_the_same_id(bench: Any, fault: Exception) -> None:
    async def fail_once(notification: Notification) -> None:
        if notification.attempt == 1:
            raise fault

    bench.teller.answer = fail_once
    await bench.add("n_1")
    record = await bench.until("n_1", "waiting", attempts=1)
    wait = record.next_attempt_at - bench.clock.moment
    assert timedelta(seconds=4) <= wait <= timedelta(seconds=6)
    assert record.last_error
    assert len(bench.teller.told) == 1
    bench.clock.turn(seconds=7)
    bench.outbox.wake()
    await bench.until("n_1", "told")
    assert [(told.id, told.attempt) for told in bench.teller.told] == [("n_1", 1), ("n_1", 2)]
    assert bench.metrics.results == ["retried", "told"]


async def test_a_rate_limit_is_waited_for(bench: Any) -> None:
    moment = bench.clock.moment + timedelta(minutes=40)

    async def limited(notification: Notification) -> None:
        raise RateLimited("slow down", retry_at=moment)

    bench.teller.answer = limited
    await bench.add("n_1")
    record = await bench.until("n_1", "waiting", attempts=1)
    assert moment <= record.next_attempt_at <= moment + timedelta(seconds=2)


@pytest.mark.parametrize("fault", [Refused("403"), HeadgateError("cannot show a state")])
async def test_what_will_not_pass_is_given_up_at_once_with_its_reason(bench: Any, fault: HeadgateError) -> None:
    async def refuse(notification: Notification) -> None:
        raise fault

    bench.teller.answer = refuse
    await bench.add("n_1")
    record = await bench.until("n_1", "dead")
    assert (record.attempts, record.last_error) == (1, str(fault))
    assert bench.metrics.results == ["dead"]


async def test_after_twelve_tries_it_is_given_up_and_may_be_asked_for_again(bench: Any) -> None:
    async def fail(notification: Notification) -> None:
        raise Unavailable(f"try {notification.attempt}")

    bench.teller.answer = fail
    await bench.add("n_1")
    for attempt in range(1, TRIES):
        await bench.until("n_1", "waiting", attempts=attempt)
        bench.clock.turn(days=1)
        bench.outbox.wake()
    record = await bench.until("n_1", "dead")
    assert (record.attempts, record.last_error) == (TRIES, f"try {TRIES}")
    bench.teller.answer = None
    await bench.database.writer.write(lambda conn: notifications.retry(conn, "n_1"))
    bench.outbox.wake()
    await bench.until("n_1", "told")


async def test_news_for_a_notifier_that_is_gone_is_given_up_with_a_reason(bench: Any) -> None:
    await bench.add("n_1", notifier="gong")
    record = await bench.until("n_1", "dead")
    assert "no notifier gong" in record.last_error


async def test_secrets_in_an_error_are_masked_and_long_errors_cut(bench: Any) -> None:
    async def fail(notification: Notification) -> None:
        raise Refused("token hunter2 " + "x" * 5000)

    bench.teller.answer = fail
    bench.outbox._redact = lambda text: text.replace("hunter2", "***")
    await bench.add("n_1")
    record = await bench.until("n_1", "dead")
    assert record.last_error.startswith("token *** x")
    assert len(record.last_error) == 1000


async def test_a_hanging_notifier_is_cut_and_counts_as_a_failure(idle_bench: Any) -> None:
    async def hang(notification: Notification) -> None:
        await asyncio.Event().wait()

    idle_bench.teller.answer = hang
    outbox = idle_bench.another(patience=0.05)
    await idle_bench.add("n_1")
    task = asyncio.create_task(outbox.run())
    record = await idle_bench.until("n_1", "waiting", attempts=1)
    assert "longer than 0.05 s" in record.last_error
    task.cancel()
    await asyncio.wait([task])


async def test_only_the_newest_of_one_order_is_told(bench: Any, idle_bench: Any) -> None:
    async def fail_first(notification: Notification) -> None:
        if notification.id == "n_1":
            raise Unavailable("later")

    bench.teller.answer = fail_first
    await bench.add("n_1", sequence=1)
    await bench.until("n_1", "waiting", attempts=1)
    await bench.add("n_2", sequence=2)
    await bench.until("n_2", "told")
    bench.clock.turn(hours=1)
    bench.outbox.wake()
    await bench.until("n_1", "superseded")
    assert [told.id for told in bench.teller.told] == ["n_1", "n_2"]


async def test_a_newer_state_waits_until_the_older_one_is_told(bench: Any) -> None:
    """Side by side the older could arrive last; the teller also asserts that one key is never told twice at once."""
    gate = asyncio.Event()

    async def wait(notification: Notification) -> None:
        if notification.id == "n_1":
            await gate.wait()

    bench.teller.answer = wait
    await bench.add("n_1", sequence=1)
    async with asyncio.timeout(10):
        while not bench.teller.told:
            await asyncio.sleep(0.005)
    await bench.add("n_2", sequence=2)
    await bench.add("n_other", key="b_2")
    await bench.until("n_other", "told")  # the outbox did look, and told what may be told
    assert (await bench.record("n_2")).state == "waiting"
    gate.set()
    await bench.until("n_2", "told")
    assert [told.id for told in bench.teller.told] == ["n_1", "n_other", "n_2"]
    assert (await bench.record("n_1")).state == "told"


async def test_different_orders_for_one_target_are_told_side_by_side_up_to_a_quarter_of_the_slots(bench: Any) -> None:
    gate = asyncio.Event()

    async def wait(notification: Notification) -> None:
        await gate.wait()

    bench.teller.answer = wait
    for number in range(room.SLOTS + 8):
        await bench.add(f"n_{number:02d}", key=f"b_{number}")
    async with asyncio.timeout(10):
        while len(bench.teller.running) < room.SLOTS // 4:
            await asyncio.sleep(0.005)
    gate.set()
    for number in range(room.SLOTS + 8):
        await bench.until(f"n_{number:02d}", "told")
    assert bench.teller.most_at_once == room.SLOTS // 4


@pytest.mark.parametrize(("fair", "told"), [(True, {"n_1", "n_2"}), (False, set())])
async def test_a_target_that_hangs_leaves_room_for_the_notifiers_others(
    bench: Any, monkeypatch: pytest.MonkeyPatch, *, fair: bool, told: set[str]
) -> None:
    """Negative control: where a notifier's targets are not told apart, one has all of its slots."""
    if not fair:
        monkeypatch.setattr(bench.outbox, "_has_enough", lambda record: False)
    heard: set[str] = set()

    async def hang(notification: Notification) -> None:
        if notification.options == {"url": "hangs"} and notification.build.connection == "acme":
            await asyncio.Event().wait()
        heard.add(notification.id)

    bench.teller.answer = hang
    for number in range(4 * room.SLOTS):
        await bench.add(f"a_{number:03d}", key=f"a_{number}", options={"url": "hangs"})
    await bench.add("n_1", key="b_1", options={"url": "answers"})
    await bench.add("n_2", key="b_2", options={"url": "hangs"}, connection="other")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            while heard != {"n_1", "n_2"}:
                await asyncio.sleep(0.005)
    assert heard == told


async def test_what_was_being_told_at_a_stop_is_told_again_after_the_start(idle_bench: Any) -> None:
    """At least once: the receiver heard it, we did not write it down, and the id stays the same."""
    first = asyncio.create_task(idle_bench.outbox.run())

    async def heard_then_stopped(notification: Notification) -> None:
        first.cancel()
        await asyncio.Event().wait()

    idle_bench.teller.answer = heard_then_stopped
    await idle_bench.add("n_1")
    await asyncio.wait([first], timeout=10)
    assert first.cancelled()
    assert (await idle_bench.record("n_1")).state == "waiting"
    idle_bench.teller.answer = None
    second = asyncio.create_task(idle_bench.another().run())
    await idle_bench.until("n_1", "told")
    assert [told.id for told in idle_bench.teller.told] == ["n_1", "n_1"]
    second.cancel()
    await asyncio.wait([second])


async def test_a_busy_database_delays_and_does_not_tell_twice(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_STORAGE_PAUSE", 0.01)
    told = notifications.told
    refusals = iter([Busy("full"), Busy("full")])

    async def busy(conn: Any, id: str) -> bool:  # noqa: A002
        for refusal in refusals:
            raise refusal
        return await told(conn, id)

    monkeypatch.setattr(room.notifications, "told", busy)
    await bench.add("n_1")
    await bench.until("n_1", "told")
    assert len(bench.teller.told) == 1


async def test_an_idle_outbox_writes_nothing(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.add("n_1")
    await bench.until("n_1", "told")
    writes: list[Any] = []
    monkeypatch.setattr(bench.database.writer, "write", writes.append)
    looks: list[Any] = []
    look = notifications.next_attempt

    async def counted(conn: Any) -> Any:
        looks.append(conn)
        return await look(conn)

    monkeypatch.setattr(room.notifications, "next_attempt", counted)
    for _ in range(3):
        seen = len(looks)
        bench.outbox.wake()
        async with asyncio.timeout(10):
            while len(looks) == seen:
                await asyncio.sleep(0.005)
    assert writes == []


async def test_control_without_the_order_a_newer_state_overtakes_an_older_one(bench: Any) -> None:
    """Negative control: with nothing remembered of what is being told, the teller is called twice at once."""

    class Forgetful(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            return False

        def __delitem__(self, key: str) -> None:
            self.pop(key, None)

    gate = asyncio.Event()

    async def wait(notification: Notification) -> None:
        await gate.wait()

    bench.outbox._telling = Forgetful()
    bench.teller.answer = wait
    await bench.add("n_1", sequence=1)
    async with asyncio.timeout(10):
        while not bench.teller.told:
            await asyncio.sleep(0.005)
    await bench.add("n_2", sequence=2)
    record = await bench.until("n_2", "waiting", attempts=1)
    assert "told twice at once" in record.last_error
    gate.set()
