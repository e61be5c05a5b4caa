"""What every trigger and condition keeps: strict, pure, and a verdict that names its rule; not what it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jsonschema
import msgspec
import pytest

from headgate import api
from headgate.api.testing.kit import check_schema, no_sockets, sample_events, sample_subject, with_durations


class RuleContract:
    """What triggers and conditions have in common. Options are written as in a job file."""

    kind: ClassVar[Any]
    passing: ClassVar[Sequence[tuple[Mapping[str, Any], api.Subject]]]
    """Options and a subject they let through."""
    failing: ClassVar[Sequence[tuple[Mapping[str, Any], api.Subject]]]
    """Options and a subject they stop."""
    refused: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Options that either the schema or `compile` refuses."""
    key: ClassVar[str]

    def compile(self, options: Mapping[str, Any]) -> Any:
        """Checked and compiled, as the host does it."""
        jsonschema.validate(options, self.kind.schema)
        return self.kind.compile(with_durations(self.kind.schema, options))

    def judge(self, rule: Any, subject: api.Subject) -> api.Verdict | None:
        """What the rule says."""
        raise NotImplementedError

    def test_schema_is_strict(self) -> None:
        """A misspelt key must not be passed over."""
        check_schema(self.kind.schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"no_such_option": 1}, self.kind.schema)

    def test_refuses_what_it_must(self) -> None:
        """By schema or by `ValueError`, and by nothing else."""
        for options in self.refused:
            with pytest.raises((jsonschema.ValidationError, ValueError)):
                self.compile(options)

    def test_passes_and_fails_as_it_says(self) -> None:
        """The verdicts name their rule, give a reason and survive JSON."""
        for examples, passed in ((self.passing, True), (self.failing, False)):
            assert examples
            for options, subject in examples:
                verdict = self.judge(self.compile(options), subject)
                assert verdict is not None
                assert verdict.passed is passed, verdict.reason
                self.check_verdict(verdict)

    def test_copes_with_every_event(self) -> None:
        """Any event, with little known about it; the same verdict every time, without a socket."""
        for options, _ in (*self.passing, *self.failing):
            rule = self.compile(options)
            assert isinstance(rule.needs_paths, bool)
            for event in sample_events():
                subject = sample_subject(event)
                with no_sockets():
                    verdict = self.judge(rule, subject)
                    assert self.judge(rule, subject) == verdict
                if verdict is not None:
                    self.check_verdict(verdict)

    def check_verdict(self, verdict: api.Verdict) -> None:
        """Names a key of this rule, says why, and can be stored."""
        prefix = f"{self.key}.{self.kind.name}"
        assert verdict.rule == prefix or verdict.rule.startswith(f"{prefix}.")
        assert verdict.reason
        assert msgspec.json.decode(msgspec.json.encode(verdict), type=api.Verdict) == verdict


class TriggerContract(RuleContract):
    """What every trigger keeps."""

    key = "triggers"

    def judge(self, rule: api.Trigger, subject: api.Subject) -> api.Verdict | None:
        """A trigger may have no opinion."""
        return rule.match(subject)

    def test_compiles_to_a_trigger(self) -> None:
        """The protocol is there, and a polling trigger says exactly one timetable."""
        for options, _ in (*self.passing, *self.failing):
            rule = self.compile(options)
            assert isinstance(rule, api.Trigger)
            if isinstance(rule, api.Polls):
                plan = rule.poll_plan()
                assert (plan.every is None) != (plan.cron is None)
                assert plan.ref_prefixes


class ConditionContract(RuleContract):
    """What every condition keeps: unlike a trigger it has an opinion on everything."""

    key = "conditions"

    def judge(self, rule: api.Condition, subject: api.Subject) -> api.Verdict:
        """A condition always answers."""
        return rule.judge(subject)

    def test_compiles_to_a_condition(self) -> None:
        """The protocol is there."""
        for options, _ in (*self.passing, *self.failing):
            assert isinstance(self.compile(options), api.Condition)
