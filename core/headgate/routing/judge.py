"""One event and one job in, a judgement with every verdict out; not what moved, nor what is queued."""

from __future__ import annotations

import msgspec

from headgate.api.events import ChangeRequest, Push, event_type
from headgate.api.rules import Subject, Verdict
from headgate.api.triggers import Polls
from headgate.routing.index import CompiledJob


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's rules say of one event. `rule` is the one that decided, `trigger` the one that matched."""

    build: bool
    rule: str
    reason: str
    trigger: str | None
    verdicts: tuple[Verdict, ...]


def judge(compiled: CompiledJob, subject: Subject) -> Judgement:
    """Ask the triggers until one matches, then every condition. All verdicts given are kept."""
    verdicts: list[Verdict] = []
    matched = _first_match(compiled, subject, verdicts)
    if matched is None:
        return _no_trigger(subject, verdicts)
    trigger, why = matched
    judged = [condition.judge(subject) for _, condition in compiled.conditions]
    verdicts += judged
    refused = next((verdict for verdict in judged if not verdict.passed), None)
    decided = refused or why
    return Judgement(
        build=refused is None, rule=decided.rule, reason=decided.reason, trigger=trigger, verdicts=tuple(verdicts)
    )


def subject_text(subject: Subject) -> Subject:
    """The same subject with message and author filled in from its event, where the event says them."""
    event = subject.event
    if isinstance(event, Push) and event.commits and subject.message is None:
        head = next((commit for commit in event.commits if commit.id == event.after), event.commits[-1])
        return msgspec.structs.replace(subject, message=head.message, author=subject.author or head.author.name)
    if isinstance(event, ChangeRequest) and subject.message is None:
        return msgspec.structs.replace(subject, message=event.title, author=subject.author or event.author)
    return subject


def _first_match(compiled: CompiledJob, subject: Subject, verdicts: list[Verdict]) -> tuple[str, Verdict] | None:
    # What a poll saw is a poll's doing, and what a webhook told is not, whatever the file names first.
    polled = subject.observer == "poll"
    for block, trigger in sorted(compiled.triggers, key=lambda one: isinstance(one[1], Polls) is not polled):
        verdict = trigger.match(subject)
        if verdict is None:
            continue
        verdicts.append(verdict)
        if verdict.passed:
            return block.kind, verdict
    return None


def _no_trigger(subject: Subject, verdicts: list[Verdict]) -> Judgement:
    if verdicts:
        last = verdicts[-1]
        return Judgement(build=False, rule=last.rule, reason=last.reason, trigger=None, verdicts=tuple(verdicts))
    kind = event_type(subject.event)
    return Judgement(
        build=False,
        rule="triggers",
        reason=f"no trigger of this job listens to {kind} events",
        trigger=None,
        verdicts=(),
    )
