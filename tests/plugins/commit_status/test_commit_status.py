"""A build's state beside its commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from headgate.api import (
    Build,
    CommitStatus,
    HeadgateError,
    Notification,
    Notifier,
    Outcome,
    RateLimited,
    Repository,
    State,
    Unavailable,
)
from headgate_plugins.commit_status import CommitStatusNotifier, headgate_notifiers, open_notifier, status_of

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BUILD = Build(
    id="b_1",
    job="web",
    number=12,
    state=State.QUEUED,
    outcome=None,
    reason="push to main",
    trigger="push",
    connection="acme",
    repository=Repository(host="github.com", path="acme/web"),
    ref="refs/heads/main",
    sha="a" * 40,
    before=None,
    change=None,
    definition="d",
    parameters={},
    priority=50,
    event_id="e",
    decision_id="x",
    delivery_id=None,
    queued_at=START,
)
NEWS = Notification(
    id="n_1", build=BUILD, phase="queued", options={}, sequence=1, attempt=1, url="https://ci/builds/b_1"
)


def finished(outcome: Outcome, *, seconds: int = 75, reason: str = "") -> Notification:
    build = replace(
        BUILD,
        state=State.FINISHED,
        outcome=outcome,
        reason=reason,
        started_at=START,
        finished_at=START + timedelta(seconds=seconds),
    )
    return replace(NEWS, build=build, phase="finished")


class Hosting:
    """A provider that shows states."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.shown: list[tuple[Any, ...]] = []
        self.fault = fault

    async def report_status(self, repository: Repository, sha: str, status: CommitStatus) -> None:
        if self.fault:
            raise self.fault
        self.shown.append((repository, sha, status))


async def test_it_is_one_notifier_that_opens_without_anything() -> None:
    [kind] = headgate_notifiers()
    assert kind.name == "commit_status"
    async with open_notifier({}, None) as notifier:
        assert isinstance(notifier, Notifier)


async def test_a_state_is_shown_beside_the_commit() -> None:
    hosting = Hosting()
    await CommitStatusNotifier().tell(NEWS, hosting)
    assert hosting.shown == [
        (
            BUILD.repository,
            "a" * 40,
            CommitStatus(
                context="headgate/web",
                state="queued",
                description="web #12 waits for a free slot",
                url="https://ci/builds/b_1",
            ),
        )
    ]


@pytest.mark.parametrize(
    ("news", "state", "description"),
    [
        (NEWS, "queued", "web #12 waits for a free slot"),
        (replace(NEWS, phase="running"), "running", "web #12 is running"),
        (finished(Outcome.SUCCEEDED, reason="all steps"), "succeeded", "web #12 succeeded after 1 min 15 s"),
        (
            finished(Outcome.FAILED, reason="step test: exit 1"),
            "failed",
            "web #12 failed after 1 min 15 s: step test: exit 1",
        ),
        (finished(Outcome.ERRORED, seconds=2), "errored", "web #12 errored after 2 s"),
        (finished(Outcome.TIMED_OUT, seconds=7300), "failed", "web #12 timed out after 2 h 1 min"),
        (finished(Outcome.CANCELLED), "cancelled", "web #12 cancelled after 1 min 15 s"),
        (finished(Outcome.SUPERSEDED), "cancelled", "web #12 superseded after 1 min 15 s"),
        (finished(Outcome.LOST), "errored", "web #12 lost after 1 min 15 s"),
    ],
)
def test_every_phase_and_outcome_has_its_state_and_words(news: Notification, state: str, description: str) -> None:
    status = status_of(news)
    assert (status.state, status.description) == (state, description)


def test_no_outcome_is_forgotten() -> None:
    assert {status_of(finished(outcome)).state for outcome in Outcome} == {
        "succeeded",
        "failed",
        "errored",
        "cancelled",
    }


def test_a_long_description_is_cut_to_what_hosts_take() -> None:
    text = status_of(finished(Outcome.FAILED, reason="x" * 500)).description
    assert len(text) == 140
    assert text.endswith("…")


def test_it_wants_all_news_of_a_build_whose_commit_is_known() -> None:
    notifier = CommitStatusNotifier()
    assert all(notifier.wants(phase, BUILD, {}) for phase in ("queued", "running", "finished"))
    assert not notifier.wants("queued", replace(BUILD, sha=None), {})


def test_the_order_key_is_the_line_that_is_overwritten() -> None:
    notifier = CommitStatusNotifier()
    key = notifier.order_key(BUILD, {})
    assert notifier.order_key(replace(BUILD, id="b_2", number=13, state=State.RUNNING), {}) == key
    others = [
        notifier.order_key(replace(BUILD, sha="b" * 40), {}),
        notifier.order_key(replace(BUILD, connection="other"), {}),
        notifier.order_key(replace(BUILD, job="docs"), {}),
        notifier.order_key(replace(BUILD, repository=Repository(host="github.com", path="acme/api")), {}),
        notifier.order_key(BUILD, {"context": "ci"}),
    ]
    assert len({key, *others}) == 6


async def test_a_connection_that_is_gone_or_cannot_show_states_is_final() -> None:
    notifier = CommitStatusNotifier()
    for provider, reason in ((None, "is gone"), (object(), "cannot show")):
        with pytest.raises(HeadgateError, match=reason) as caught:
            await notifier.tell(NEWS, provider)
        assert not isinstance(caught.value, RateLimited | Unavailable)


async def test_what_the_provider_raises_comes_through() -> None:
    with pytest.raises(Unavailable):
        await CommitStatusNotifier().tell(NEWS, Hosting(Unavailable("502")))


def test_the_block_takes_a_context_and_nothing_else() -> None:
    [kind] = headgate_notifiers()
    jsonschema.validate({"context": "ci/web"}, kind.schema)
    for bad in ({"context": ""}, {"contxt": "x"}, {"context": 5}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, kind.schema)
