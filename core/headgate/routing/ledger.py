"""Ref transitions: what moved, once, whoever saw it; not what is built because of it.

Webhooks and polls observe the same moves at different times, in different order, some twice, some never. (A stream
tells what a webhook would: wherever this page says webhook, either is meant.)
Each move is one `Transition` with a generation that grows per ref. An observation either witnesses a
transition that another observer brought, or repeats one it brought itself, or is a new one.

A webhook tells (before, after); a poll only tells where the head is now. So the state of a ref holds three heads:
where the ref is, where the last webhook in order left it, where the last poll saw it. The rules, as they are tried:

webhook
    a. Only polls saw a transition to `after`, within the last hour: this is it, whatever they skipped on the way.
    b. It goes on from where the last webhook left the ref: the ref moved, and the head follows unless polls are
       ahead already. Not so when a webhook told the same before, and those since show no way back: as c.
    c. It does not, and a webhook told the same before and after already: told again under another id.
    d. It does not, and the ref has moved on past `after`: out of order; it counts, the head stays.
    e. Otherwise deliveries were missed in between: the ref moved, and the head follows.

poll
    f. The head is what the last poll saw: nothing moved that a poll could see.
    g. Only webhooks told a transition to this head, within the last hour and after what polls saw: this is it.
    h. Otherwise the ref moved.

A sender that names no `before` (most change requests, some pushes) repeats the head we know, or moves it.

A replay tells of a move we know, as long as that is among the moves remembered of its ref: told again long after, it
would look like a move back, and be built twice.

So A→B→A is two transitions, a push seen by both observers is one, and in any interleaving of observers a
pushed head gets exactly one transition (tests/routing/test_ledger.py lets hypothesis try to break this).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from headgate.storage.refs import REMEMBERED, RefKey, RefState, Transition

Known: TypeAlias = Literal["new", "witnessed", "repeated", "unchanged"]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one observer says about one ref.

    `before_known=False`: the sender names only where the head is now. `again`: a person asked for a kept report to be
    looked at once more.
    """

    key: RefKey
    before: str | None
    after: str | None
    by_poll: bool
    at: datetime
    before_known: bool = True
    again: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an observation turned out to be. `transition` is `None` only when nothing is known to have moved."""

    known: Known
    transition: Transition | None
    state: RefState

    @property
    def late(self) -> bool:
        """Whether the move came after the ref had moved on, so that the head stayed."""
        return self.transition is not None and self.transition.late


HEARING = timedelta(hours=1)
"""How long after one observer saw a move the other may still report it; later its report is taken for lost, and a
move to the same head for another move."""


def observe(observation: Observation, state: RefState, *, new_id: Callable[[], str]) -> Entry:
    """What `observation` is, given what is known of its ref; pure. `new_id` names a new transition."""
    seen = _Seen(observation, state, new_id)
    if observation.again and (known := _known_move(observation, state)) is not None:
        return seen.repeated(known)
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
        return Entry(known="new", transition=transition, state=self._polled_up_to(state, generation))

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
        """What this poll says of where the ref is; its cursor does not pass moves that webhooks told ahead of it."""
        if not self.observation.by_poll:
            return state
        ahead = unpolled(self.observation, state)
        holds = any(one.generation < generation for one in ahead)
        return replace(
            state,
            head=state.head if any(one.generation > generation for one in ahead) else self.observation.after,
            polled_head=self.observation.after,
            polled_generation=state.polled_generation if holds else generation,
        )


def _known_move(observation: Observation, state: RefState) -> Transition | None:
    """The last move to this head, best from the same place: polls may have skipped what lay between."""
    there = [one for one in reversed(state.recent) if one.after == observation.after]
    return next((one for one in there if one.before == observation.before), there[0] if there else None)


def unheard(observation: Observation, state: RefState) -> list[Transition]:
    """Moves that only polls saw and whose webhook may still come."""
    return [one for one in state.recent if not one.by_webhook and observation.at - one.observed_at < HEARING]


def unpolled(observation: Observation, state: RefState) -> list[Transition]:
    """Moves that only webhooks told and that a poll may still see."""
    return [
        one
        for one in state.recent
        if not one.by_poll and one.generation > state.polled_generation and observation.at - one.observed_at < HEARING
    ]


def _told(seen: _Seen) -> Entry:
    before, after, state = seen.observation.before, seen.observation.after, seen.state
    only_polled = unheard(seen.observation, state)
    same = [one for one in only_polled if one.after == after]
    if same:  # a.
        exact = next((one for one in same if one.before == before), same[0])
        return _leaving(seen.witnessed(exact), after)
    told = [one for one in state.recent if one.before == before and one.after == after]
    if before == state.told_head:  # b.
        if told and _broke_off(told[-1], state):
            entry = _leaving(seen.repeated(told[-1]), after)
            return entry if only_polled else replace(entry, state=replace(entry.state, head=after))
        return _leaving(seen.moved(before=before, late=bool(only_polled)), after)
    if told:  # c.
        return seen.repeated(told[-1])
    if any(_left(one, before, after) for one in state.recent):  # d.
        return seen.moved(before=before, late=True)
    return _leaving(seen.moved(before=before), after)  # e.


def _leaving(entry: Entry, head: str | None) -> Entry:
    """The entry, with `head` as where the webhooks left the ref."""
    return replace(entry, state=replace(entry.state, told_head=head))


def _broke_off(one: Transition, state: RefState) -> bool:
    """Whether the moves since `one`, told by webhooks with no poll between, are no unbroken way back to its beginning.

    Then webhooks came out of order, and this one is told again; or others were lost, and a repetition is with them.
    """
    since = [later for later in state.recent if later.generation >= one.generation]
    polled = any(later.by_poll for later in state.recent)
    if any(later.by_poll or (polled and later.late) for later in since):
        return False  # where a poll's move began is not what a webhook would say
    return any(left.after != taken.before for left, taken in pairwise(since))


def _left(one: Transition, before: str | None, after: str | None) -> bool:
    """Whether `one` shows that the ref was at `after` before: it left it, jumped over it, or a late move led to it."""
    return (
        (after is not None and one.before == after)
        or (one.before == before and not one.by_webhook)
        or (one.late and one.after == before)
    )


def _headed(seen: _Seen) -> Entry:
    """A sender without `before`: only a head that differs from ours is a move."""
    state, after = seen.state, seen.observation.after
    if state.known and state.head == after:
        last = next((one for one in reversed(state.recent) if one.after == after), None)
        return _leaving(seen.witnessed(last) if last and not last.by_webhook else seen.repeated(last), after)
    return _leaving(seen.moved(before=state.head), after)


def _polled(seen: _Seen) -> Entry:
    state, after = seen.state, seen.observation.after
    if state.polled_head == after:  # f.
        return seen.repeated(None)
    for one in reversed(unpolled(seen.observation, state)):  # g.
        if one.after == after:
            return seen.witnessed(one)
    return seen.moved(before=state.head)  # h.
