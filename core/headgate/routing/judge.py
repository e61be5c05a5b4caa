"""One event and one job in, a judgement with every verdict out; not what moved, nor what is queued."""

from __future__ import annotations

import msgspec

from headgate.api.conditions import Condition
from headgate.api.errors import PluginError
from headgate.api.events import ChangeRequest, Push, Tag, event_type
from headgate.api.jobs import Block
from headgate.api.rules import Subject, Verdict
from headgate.api.triggers import Trigger
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
    judged = [_judged(compiled, block, condition, subject) for block, condition in compiled.conditions]
    verdicts += judged
    refused = next((verdict for verdict in judged if not verdict.passed), None)
    decided = refused or why
    return Judgement(
        build=refused is None, rule=decided.rule, reason=decided.reason, trigger=trigger, verdicts=tuple(verdicts)
    )


def subject_text(subject: Subject) -> Subject:
    """The same subject with message and author filled in from its event, where the event says them."""
    event = subject.event
    if isinstance(event, (Push, Tag)) and event.commits and subject.message is None:
        ids = {event.after} if isinstance(event, Push) else {event.after, event.commit}
        head = next((commit for commit in event.commits if commit.id in ids), event.commits[-1])
        return msgspec.structs.replace(subject, message=head.message, author=subject.author or head.author.name)
    if isinstance(event, ChangeRequest) and subject.message is None:
        return msgspec.structs.replace(subject, message=event.title, author=subject.author or event.author)
    return subject


def _first_match(compiled: CompiledJob, subject: Subject, verdicts: list[Verdict]) -> tuple[str, Verdict] | None:
    for block, trigger in compiled.polled_first if subject.observer == "poll" else compiled.told_first:
        verdict = _matched(compiled, block, trigger, subject)
        if verdict is None:
            continue
        verdicts.append(verdict)
        if verdict.passed:
            return block.kind, verdict
    return None


def _matched(compiled: CompiledJob, block: Block, trigger: Trigger, subject: Subject) -> Verdict | None:
    try:
        return compiled.guards.of("trigger", block.kind).run("match", _checked_match, trigger, subject)
    except PluginError as error:
        return _fault(f"triggers.{block.kind}", error)


def _judged(compiled: CompiledJob, block: Block, condition: Condition, subject: Subject) -> Verdict:
    try:
        return compiled.guards.of("condition", block.kind).run("judge", _checked_judge, condition, subject)
    except PluginError as error:
        return _fault(f"conditions.{block.kind}", error)


def _checked_match(trigger: Trigger, subject: Subject) -> Verdict | None:
    verdict = trigger.match(subject)
    return verdict if verdict is None else _checked(verdict)


def _checked_judge(condition: Condition, subject: Subject) -> Verdict:
    return _checked(condition.judge(subject))


def _checked(verdict: object) -> Verdict:
    if not isinstance(verdict, Verdict):
        raise TypeError(f"it gave a {type(verdict).__name__}, not a Verdict")
    return verdict


def _fault(rule: str, error: PluginError) -> Verdict:
    """A rule that cannot answer has not said yes; `replay` asks it again when its plugin is well."""
    reason = f"{error}; nothing is built on a rule that fails, `headgate replay` judges again"
    return Verdict(passed=False, rule=rule, reason=reason)


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
