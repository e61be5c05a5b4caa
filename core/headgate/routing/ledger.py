"""Ref transitions: what moved, once, whoever saw it; not what is built because of it.

Webhooks and polls observe the same moves at different times, in different order, some twice, some never.
Each move is one `Transition` with a generation that grows per ref. An observation either witnesses a
transition that another observer brought, or repeats one it brought itself, or is a new one.

A webhook tells (before, after); a poll only tells where the head is now. The rules, in the order they are tried:

webhook
    a. A transition with the same before and after that no webhook has witnessed: this is it.
    b. A transition to `after` that only a poll saw (it may have skipped heads in between): this is it.
    c. `before` is the head we know: the ref moved.
    d. A transition with the same before and after that a webhook did witness: told again under another id.
    e. The ref has moved on past `after` already: this move is late; it counts, the head stays.
    f. Otherwise deliveries were missed in between: the ref moved, and the head follows.

poll
    g. The head is what the last poll saw: nothing moved that a poll could see.
    h. A transition to this head after the last one a poll witnessed: this is it, and all before it.
    i. Otherwise the ref moved.

A sender that names no `before` (most change requests) repeats the head we know, or moves it.

So A→B→A is two transitions, a push seen by both observers is one, and in any interleaving of observers a
pushed head gets exactly one transition (tests/routing/test_ledger.py lets hypothesis try to break this).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from headgate.storage.refs import RefKey, RefState, Transition

Known: TypeAlias = Literal["new", "witnessed", "repeated", "unchanged"]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one observer says about one ref. `before_known=False`: the sender names only where the head is now."""

    key: RefKey
    before: str | None
    after: str | None
    by_poll: bool
    at: datetime
    before_known: bool = True


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an observation turned out to be. `transition` is `None` only when nothing is known to have moved."""

    known: Known
    transition: Transition | None
    state: RefState
    late: bool = False


REMEMBERED = 32
"""How many transitions of a ref are held against an observation; older ones can only be repetitions (rule d)."""


def observe(observation: Observation, state: RefState, *, new_id: Callable[[], str]) -> Entry:
    """What `observation` is, given what is known of its ref; pure. `new_id` names a new transition."""
    seen = _Seen(observation, state, new_id)
    if observation.by_poll:
        return _polled(seen)
    if not observation.before_known:
        return _headed(seen)
    return _told(seen)


class _Seen:
    """An observation beside what is known of its ref, and the three things it can turn out to be."""

    def __init__(self, observation: Observation, state: RefState, new_id: Callable[[], str]) -> None:
        self.observation = observation
        self.state = state
        self._new_id = new_id

    def moved(self, *, before: str | None, late: bool = False) -> Entry:
        """A new transition; the head follows unless it is late."""
        observation, state = self.observation, self.state
        generation = state.generation + 1
        transition = Transition(
            id=self._new_id(),
            key=observation.key,
            generation=generation,
            before=before,
            after=observation.after,
            observed_at=observation.at,
            by_webhook=not observation.by_poll,
            by_poll=observation.by_poll,
            late=late,
        )
        state = replace(
            state,
            known=True,
            generation=generation,
            head=state.head if late else observation.after,
            recent=(*state.recent, transition)[-REMEMBERED:],
        )
        return Entry(known="new", transition=transition, state=self._polled_up_to(state, generation), late=late)

    def witnessed(self, transition: Transition) -> Entry:
        """The other observer's transition, seen by this one too."""
        by_poll = self.observation.by_poll
        marked = replace(
            transition, by_poll=transition.by_poll or by_poll, by_webhook=transition.by_webhook or not by_poll
        )
        recent = tuple(marked if one.id == marked.id else one for one in self.state.recent)
        state = self._polled_up_to(replace(self.state, recent=recent), transition.generation)
        return Entry(known="witnessed", transition=marked, state=state)

    def repeated(self, transition: Transition | None) -> Entry:
        """Nothing this observer had not told before."""
        return Entry(known="repeated" if transition else "unchanged", transition=transition, state=self.state)

    def _polled_up_to(self, state: RefState, generation: int) -> RefState:
        if not self.observation.by_poll:
            return state
        return replace(state, polled_head=self.observation.after, polled_generation=generation)


def _told(seen: _Seen) -> Entry:
    before, after, state = seen.observation.before, seen.observation.after, seen.state
    told = max((one.generation for one in state.recent if one.by_webhook and not one.late), default=0)
    same = [one for one in state.recent if one.before == before and one.after == after]
    for one in same:  # a. With `before` at the head, an old one whose webhook never came is not this one.
        if not one.by_webhook and (one.generation > told or before != state.head):
            return seen.witnessed(one)
    for one in state.recent:  # b.
        if one.after == after and not one.by_webhook and one.generation > told:
            return seen.witnessed(one)
    if not state.known or before == state.head:  # c.
        return seen.moved(before=before)
    if same:  # d.
        return seen.repeated(same[-1])
    return seen.moved(before=before, late=_moved_on(before, after, state))  # e, f.


def _moved_on(before: str | None, after: str | None, state: RefState) -> bool:
    """Whether we saw the ref leave `after`, a poll jump from `before` past it, or a late move that led here."""
    return any(
        (after is not None and one.before == after)
        or (one.before == before and not one.by_webhook)
        or (one.late and one.after == before)
        for one in state.recent
    )


def _headed(seen: _Seen) -> Entry:
    """A sender without `before`: only a head that differs from ours is a move."""
    state, after = seen.state, seen.observation.after
    if state.known and state.head == after:
        last = next((one for one in reversed(state.recent) if one.after == after), None)
        return seen.witnessed(last) if last and not last.by_webhook else seen.repeated(last)
    return seen.moved(before=state.head)


def _polled(seen: _Seen) -> Entry:
    state, after = seen.state, seen.observation.after
    if state.polled_head == after and (state.polled_generation or after is None):  # g.
        return seen.repeated(None)
    for one in reversed(state.recent):  # h.
        if one.after == after and one.generation > state.polled_generation:
            return seen.witnessed(one)
    return seen.moved(before=state.head)  # i.
