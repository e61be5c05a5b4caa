"""The ledger: each move of a ref is one transition, whoever saw it, in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.routing import ledger
from headgate.storage.refs import RefKey, RefState

KEY = RefKey(connection="acme", repository="acme/web", ref="refs/heads/main")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Ref:
    """One ref as the ledger sees it: state kept, transitions counted."""

    def __init__(self) -> None:
        self.state = RefState()
        self.made: list[ledger.Transition] = []
        self.now = NOW
        self._ids = count(1)

    def _observe(self, before, after, *, by_poll, before_known=True, again=False):
        entry = ledger.observe(
            ledger.Observation(
                key=KEY,
                before=before,
                after=after,
                by_poll=by_poll,
                at=self.now,
                before_known=before_known,
                again=again,
            ),
            self.state,
            new_id=lambda: f"t{next(self._ids)}",
        )
        self.state = entry.state
        if entry.known == "new":
            self.made.append(entry.transition)
        return entry

    def webhook(self, before, after, *, again=False):
        return self._observe(before, after, by_poll=False, again=again)

    def change(self, after, *, again=False):
        return self._observe(None, after, by_poll=False, before_known=False, again=again)

    def poll(self, after):
        return self._observe(None, after, by_poll=True)

    def heads(self):
        return [one.after for one in self.made]


@pytest.mark.parametrize("first", ["webhook", "poll"])
def test_a_push_seen_by_both_observers_is_one_transition(first):
    ref = Ref()
    ref.webhook(None, "a")
    ref.poll("a")
    if first == "webhook":
        assert ref.webhook("a", "b").known == "new"
        assert ref.poll("b").known == "witnessed"
    else:
        assert ref.poll("b").known == "new"
        assert ref.webhook("a", "b").known == "witnessed"
    assert ref.heads() == ["a", "b"]
    assert ref.poll("b").known == "unchanged"


def test_there_and_back_again_makes_the_first_head_twice():
    ref = Ref()
    for before, after in [(None, "a"), ("a", "b"), ("b", "a")]:
        ref.webhook(before, after)
    assert ref.heads() == ["a", "b", "a"]
    assert [one.generation for one in ref.made] == [1, 2, 3]
    assert ref.poll("a").known == "witnessed"


def test_a_replay_of_an_overtaken_head_is_the_move_it_was_and_moves_nothing():
    """A change request was at `a`, is at `b`; `a` is replayed. What follows is judged as if nothing had happened."""
    ref = Ref()
    first = ref.change("a").transition
    ref.change("b")
    replayed = ref.change("a", again=True)
    assert (replayed.known, replayed.transition) == ("repeated", first)
    assert ref.change("b").known == "repeated", "the head is where it was"
    assert ref.heads() == ["a", "b"]


def test_a_replay_of_a_push_that_was_taken_back_is_the_move_it_was():
    ref = Ref()
    for before, after in [(None, "a"), ("a", "b"), ("b", "a")]:
        ref.webhook(before, after)
    assert ref.webhook("a", "b", again=True).transition == ref.made[1]
    assert ref.webhook(None, "a", again=True).transition == ref.made[0]
    assert ref.heads() == ["a", "b", "a"]


def test_without_saying_so_the_same_reports_are_moves_back():
    """The control: nobody else can be told from a sender that moved the ref."""
    change, branch = Ref(), Ref()
    for after in ("a", "b", "a"):
        change.change(after)
    for before, after in [(None, "a"), ("a", "b"), ("b", "a"), ("a", "b")]:
        branch.webhook(before, after)
    assert change.heads() == ["a", "b", "a"]
    assert branch.heads() == ["a", "b", "a", "b"]


def test_a_replay_of_what_no_move_came_of_moves_the_ref():
    """A delivery nobody could read is replayed with a mended plugin."""
    ref = Ref()
    assert ref.change("a", again=True).known == "new"
    assert ref.webhook("a", "b", again=True).known == "new"


def test_there_and_back_seen_by_polls_first_is_not_made_again_by_late_webhooks():
    ref = Ref()
    for head in "aba":
        ref.poll(head)
    for before, after in [(None, "a"), ("a", "b"), ("b", "a")]:
        assert ref.webhook(before, after).known == "witnessed"
    assert ref.heads() == ["a", "b", "a"]


def test_a_head_that_a_poll_jumped_over_is_made_when_its_webhook_comes():
    ref = Ref()
    ref.webhook(None, "a")
    ref.poll("a")
    ref.poll("c")
    late = ref.webhook("a", "b")
    assert (late.known, late.late, ref.state.head) == ("new", True, "c")
    assert ref.webhook("b", "c").known == "witnessed"
    assert ref.poll("c").known == "unchanged"
    assert ref.heads() == ["a", "c", "b"]


def test_the_same_push_under_another_delivery_id_is_told_again_not_made_again():
    ref = Ref()
    ref.webhook(None, "a")
    ref.webhook("a", "b")
    assert ref.webhook("a", "b").known == "repeated"
    assert ref.heads() == ["a", "b"]


def test_out_of_order_and_told_again_is_one_move_though_the_order_seems_to_lead_back():
    """As real pushes came after a crash: the newest first, then what led to it, then the newest under another id."""
    ref = Ref()
    for before, after in [(None, "a"), ("c", "d"), ("a", "b"), ("b", "c"), ("c", "d")]:
        ref.webhook(before, after)
    assert ref.heads() == ["a", "d", "b", "c"]
    assert ref.state.head == "d"
    assert ref.poll("d").known == "witnessed"


def test_a_missed_webhook_does_not_hide_a_later_push_of_the_same_heads():
    """Only a poll saw a→b the first time; an hour later its webhook is lost, and a→b told then is a new move."""
    ref = Ref()
    ref.webhook(None, "a")
    ref.poll("a")
    ref.poll("b")
    ref.now += ledger.HEARING
    ref.webhook("b", "a")
    assert ref.webhook("a", "b").known == "new"
    assert ref.heads() == ["a", "b", "a", "b"]


def test_deletion_and_creation_are_transitions_too():
    ref = Ref()
    ref.webhook(None, "a")
    ref.webhook("a", None)
    ref.webhook(None, "a")
    assert ref.heads() == ["a", None, "a"]


@pytest.mark.parametrize("polled", [False, True])
def test_a_deletion_that_names_no_commit_lets_the_same_head_come_back(polled):
    """Gitea, Forgejo and Gogs tell a deleted branch like this; whoever polled it too saw the same."""
    ref = Ref()
    for _ in range(2):
        ref.webhook(None, "a")
        if polled:
            ref.poll("a")
            ref.poll(None)
        assert ref.change(None).known == ("witnessed" if polled else "new")
        assert ref.change(None).known == "repeated"
    assert ref.heads() == ["a", None, "a", None]


def test_control_without_the_deletion_the_head_that_came_back_is_told_again():
    ref = Ref()
    ref.webhook(None, "a")
    assert ref.webhook(None, "a").known == "repeated"
    assert ref.heads() == ["a"]


def test_a_change_request_without_before_moves_only_to_another_head():
    ref = Ref()
    assert ref.change("a").known == "new"
    assert ref.change("a").known == "repeated"
    assert ref.change("b").known == "new"
    assert ref.change("a").known == "new"


def test_a_push_without_before_and_the_same_push_with_it_are_one_move():
    """Two webhooks of one push: whichever comes first, the other only says it again."""
    for first, second in (((None, "b"), ("a", "b")), (("a", "b"), (None, "b"))):
        ref = Ref()
        ref.webhook(None, "a")
        for before, after in (first, second):
            _ = ref.change(after) if before is None else ref.webhook(before, after)
        assert ref.heads() == ["a", "b"]


def test_pushes_without_before_and_polls_make_each_head_once():
    ref = Ref()
    for seen in ("a", "b", "a"):
        ref.change(seen)
        ref.poll(seen)
    ref.poll("c")
    ref.change("c")
    assert ref.heads() == ["a", "b", "a", "c"]


@st.composite
def observed_history(draw, *, revisits: bool):
    """A true history of heads, and one order in which webhooks and polls report it.

    Webhooks may be reordered (only where no head comes twice: then order is all that tells moves apart) and
    each poll reports the head as it was at some time, in the order of time.
    """
    length = draw(st.integers(1, 8))
    heads = (
        draw(st.lists(st.sampled_from("abc"), min_size=length, max_size=length))
        if revisits
        else [f"h{number}" for number in range(length)]
    )
    heads = [head for number, head in enumerate(heads) if number == 0 or head != heads[number - 1]]
    moves = list(pairwise([None, *heads]))
    if not revisits:
        moves = draw(st.permutations(moves))
    polls = sorted(draw(st.lists(st.integers(0, len(heads) - 1), max_size=6)))
    script = [("webhook", move) for move in moves]
    for number, poll in enumerate(polls):
        place = draw(st.integers(0, len(script)))
        script.insert(place, ("poll", (number, poll)))
    # Polls are answered in the order they were asked, wherever they fell between the webhooks.
    order = iter(polls)
    return heads, [(kind, move if kind == "webhook" else heads[next(order)]) for kind, move in script]


def _play(script) -> Ref:
    ref = Ref()
    for kind, what in script:
        if kind == "webhook":
            ref.webhook(*what)
        else:
            ref.poll(what)
    return ref


@settings(max_examples=1500, deadline=None)
@given(observed_history(revisits=False))
def test_in_any_interleaving_each_pushed_head_has_exactly_one_transition(case):
    heads, script = case
    assert Counter(_play(script).heads()) == Counter(heads)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.integers(1, 6))
def test_webhooks_in_any_order_one_told_again_under_another_id_make_each_head_once(data, length):
    moves = list(pairwise([None, *(f"h{number}" for number in range(length))]))
    script = data.draw(st.permutations(moves + data.draw(st.lists(st.sampled_from(moves), max_size=1))))
    assert Counter(_play([("webhook", move) for move in script]).heads()) == {after: 1 for _, after in moves}


@settings(max_examples=500, deadline=None)
@given(observed_history(revisits=True))
def test_no_move_that_a_webhook_told_in_order_is_ever_lost(case):
    heads, script = case
    made = Counter(_play(script).heads())
    assert not Counter(heads) - made


def test_control_without_witnesses_a_push_is_made_twice():
    """The protection is the witness: forget who saw a transition, and the poll's push is built again."""
    ref = Ref()
    ref.webhook(None, "a")
    ref.webhook("a", "b")
    ref.state = ledger.replace(ref.state, recent=(), polled_generation=1, polled_head="a")
    ref.poll("b")
    assert ref.heads() == ["a", "b", "b"]
