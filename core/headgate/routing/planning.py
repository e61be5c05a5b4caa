"""What follows from judged facts, as rows to write: moves, events, decisions, builds; not the writing.

Pure: it runs inside the transaction, on the ref states that were read there, and may run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import msgspec

from headgate.api.errors import QueueError
from headgate.api.events import ChangeRequest, Event, Manual, Push, Repository, Tag
from headgate.api.jobs import Job
from headgate.api.rules import Observer, Verdict
from headgate.config.parameters import validate
from headgate.routing.index import CompiledJob
from headgate.routing.judge import Judgement
from headgate.routing.ledger import Entry, Observation, observe
from headgate.storage.builds import NewBuild, Planned
from headgate.storage.decisions import Decision
from headgate.storage.events import EventRecord
from headgate.storage.ids import new_id
from headgate.storage.refs import RefKey, RefState, Transition


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """An event and how we know it. `key` is the repository's identity within `connection`.

    `rejudge`: judge again even when the move is known (a replay); no job builds a move twice all the same.
    `event_id` is given by who must not be admitted twice (an idempotency key); others get a new one.
    """

    event: Event
    connection: str
    key: str
    observer: Observer
    delivery_id: str | None = None
    event_id: str | None = None
    first_seen: bool = False
    default_branch: str | None = None
    parameters: dict[str, str] = {}
    """What a person gave, passwords in clear; the event holds them masked, because events are kept as they are."""
    rejudge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A fact with what each job says of it, should it turn out to be something we did not know."""

    fact: Fact
    judgements: tuple[tuple[CompiledJob, Judgement], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A decision still without its build's number: `build` is `None` when the answer is no."""

    decision: Decision
    job: Job
    build: NewBuild | None

    def settled(self, planned: Planned | None) -> Decision:
        """The decision, once the queue has said whether this move was built before."""
        if planned is None:
            return self.decision
        if planned.existing:
            reason = f"{planned.build.label} was already built for this move"
            return msgspec.structs.replace(
                self.decision, build=False, rule="queue", reason=reason, existing_build_id=planned.build.id
            )
        return msgspec.structs.replace(self.decision, build_id=planned.build.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFact:
    """All that follows from one fact."""

    event: EventRecord
    transition: Transition | None
    drafts: tuple[Draft, ...]


CHANGE_MOVES = frozenset({"opened", "updated", "reopened"})
CHANGE_ENDS = frozenset({"merged", "closed"})


def ref_key(fact: Fact) -> RefKey | None:
    """The ref that this fact says something about, `None` when it moves none."""
    event = fact.event
    if isinstance(event, (Push, Tag)):
        return RefKey(connection=fact.connection, repository=fact.key, ref=event.ref)
    if isinstance(event, ChangeRequest) and event.source.sha and event.action in CHANGE_MOVES | CHANGE_ENDS:
        # A change request without a ref of its own is still a head that moves, under a name git never has.
        ref = event.head_ref or f"change/{event.number}"
        return RefKey(connection=fact.connection, repository=fact.key, ref=ref)
    return None


class Plan:
    """Rows for the facts that arrived together, each judged on what the ones before it left."""

    def __init__(self, *, known: Mapping[RefKey, RefState], seal: Callable[[str, str], str], now: datetime) -> None:
        """`known`: the state of every ref of the facts; `seal(text, bound_to)` for password parameters."""
        self.states: dict[RefKey, RefState] = {}
        self.transitions: dict[str, Transition] = {}
        self.witnessed: dict[str, Transition] = {}
        self.facts: list[PlannedFact] = []
        self.now = now
        self._known = known
        self._seal = seal

    def add(self, judged: Judged) -> None:
        """Add what follows from one fact."""
        fact = judged.fact
        entry = self._move(fact)
        transition = entry.transition if entry else None
        event = EventRecord(
            id=fact.event_id or new_id("e", self.now),
            event=fact.event,
            connection=fact.connection,
            repository=fact.key,
            observer=fact.observer,
            delivery_id=fact.delivery_id,
            transition_id=transition.id if transition else None,
            created_at=self.now,
        )
        if entry is None or entry.known == "new" or (fact.rejudge and transition is not None):
            drafts = tuple(
                self._draft(event, transition, fact, compiled, judgement) for compiled, judgement in judged.judgements
            )
        else:
            drafts = tuple(self._known_already(event, entry, compiled) for compiled, _ in judged.judgements)
        self.facts.append(PlannedFact(event=event, transition=transition, drafts=drafts))

    def _move(self, fact: Fact) -> Entry | None:
        key = ref_key(fact)
        if key is None:
            return None
        entry = observe(
            _observation(fact, key, self.now),
            self.states.get(key) or self._known[key],
            new_id=lambda: new_id("t", self.now),
        )
        self.states[key] = entry.state
        transition = entry.transition
        if transition is not None:
            # One that is new in this very transaction is written with its later witness, not updated after it.
            home = self.transitions if entry.known == "new" or transition.id in self.transitions else self.witnessed
            if entry.known != "repeated":
                home[transition.id] = transition
        return entry

    def _draft(
        self,
        event: EventRecord,
        transition: Transition | None,
        fact: Fact,
        compiled: CompiledJob,
        judgement: Judgement,
    ) -> Draft:
        job = compiled.job
        decision = Decision(
            id=new_id("x", self.now),
            event_id=event.id,
            job=job.name,
            definition=job.definition,
            build=judgement.build,
            reason=judgement.reason,
            rule=judgement.rule,
            verdicts=judgement.verdicts,
            build_id=None,
            existing_build_id=None,
            created_at=self.now,
        )
        if not judgement.build:
            return Draft(decision=decision, job=job, build=None)
        try:
            build = self._build(
                decision, event=event, transition=transition, fact=fact, compiled=compiled, judgement=judgement
            )
        except QueueError as error:
            refused = msgspec.structs.replace(decision, build=False, rule="parameters", reason=str(error))
            return Draft(decision=refused, job=job, build=None)
        return Draft(decision=decision, job=job, build=build)

    def _build(
        self,
        decision: Decision,
        *,
        event: EventRecord,
        transition: Transition | None,
        fact: Fact,
        compiled: CompiledJob,
        judgement: Judgement,
    ) -> NewBuild:
        job = compiled.job
        values, passwords = validate(job.parameters, fact.parameters)
        build_id = new_id("b", self.now)
        return NewBuild(
            id=build_id,
            job=job.name,
            reason=judgement.reason,
            trigger=judgement.trigger or "",
            connection=fact.connection,
            repository=_repository(fact.event, compiled),
            repository_key=fact.key,
            **_what(fact.event),
            definition=job.definition,
            parameters={**values, **dict.fromkeys(passwords, "***")},
            sealed={name: self._seal(text, password_binding(build_id, name)) for name, text in passwords.items()},
            priority=job.queue.priority,
            event_id=event.id,
            decision_id=decision.id,
            delivery_id=fact.delivery_id,
            transition_id=transition.id if transition else None,
            queued_at=self.now,
            max_running=job.queue.max_running,
            retries=job.run.retries,
        )

    def _known_already(self, event: EventRecord, entry: Entry, compiled: CompiledJob) -> Draft:
        transition = entry.transition
        if transition is None:
            reason, compared = "nothing moved since the last look", {}
        else:
            reason = (
                f"this move of {transition.key.ref} is known as generation {transition.generation} and was judged then"
            )
            compared = {"before": transition.before, "after": transition.after, "generation": transition.generation}
        decision = Decision(
            id=new_id("x", self.now),
            event_id=event.id,
            job=compiled.job.name,
            definition=compiled.job.definition,
            build=False,
            reason=reason,
            rule="transition",
            verdicts=(Verdict(passed=False, rule="transition", reason=reason, compared=compared),),
            build_id=None,
            existing_build_id=None,
            created_at=self.now,
        )
        return Draft(decision=decision, job=compiled.job, build=None)


def password_binding(build_id: str, name: str) -> str:
    """What a sealed password parameter is bound to."""
    return f"build/{build_id}/{name}"


def _observation(fact: Fact, key: RefKey, now: datetime) -> Observation:
    event = fact.event
    by_poll = fact.observer == "poll"
    if isinstance(event, ChangeRequest):
        after = None if event.action in CHANGE_ENDS else event.source.sha
        return Observation(
            key=key, before=None, after=after, by_poll=by_poll, at=now, before_known=False, again=fact.rejudge
        )
    assert isinstance(event, (Push, Tag))  # noqa: S101 - ref_key gave a key for nothing else
    return Observation(
        key=key,
        before=event.before,
        after=event.after,
        by_poll=by_poll,
        at=now,
        before_known=event.before_known is not False,
        again=fact.rejudge,
    )


def _repository(event: Event, compiled: CompiledJob) -> Repository:
    """As the admin wrote it, because git asks for it under that path; a pattern takes the event's own."""
    told = getattr(event, "repository", None)
    if compiled.key is None and isinstance(told, Repository):
        return told
    return Repository(host=told.host if isinstance(told, Repository) else "", path=compiled.job.source.repository)


class _What(TypedDict):
    ref: str | None
    sha: str | None
    before: str | None
    change: int | None


def _what(event: Event) -> _What:
    if isinstance(event, Push):
        return _What(ref=event.ref, sha=event.after, before=event.before, change=None)
    if isinstance(event, Tag):
        return _What(ref=event.ref, sha=event.sha, before=event.before, change=None)
    if isinstance(event, ChangeRequest):
        return _What(ref=event.head_ref, sha=event.source.sha, before=event.target.sha, change=event.number)
    if isinstance(event, Manual):
        return _What(ref=_full_ref(event.ref), sha=event.sha, before=None, change=None)
    return _What(ref=None, sha=getattr(event, "sha", None), before=None, change=None)


def _full_ref(ref: str | None) -> str | None:
    return ref if ref is None or ref.startswith("refs/") else f"refs/heads/{ref}"
