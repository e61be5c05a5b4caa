"""`manual`: a person or a program asks for this job by name; not a webhook, however it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api

RULE = "triggers.manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualTrigger:
    """One `manual: {}`: its presence allows `headgate run` and the API to start this job."""

    needs_paths: bool = False

    def match(self, subject: api.Subject) -> api.Verdict | None:
        """Requests only; for which job, the host has already asked."""
        event = subject.event
        if not isinstance(event, api.Manual):
            return None
        reason = f"asked for by {event.actor}" + (f": {event.reason}" if event.reason else "")
        compared = {"actor": event.actor, "ref": event.ref, "sha": event.sha}
        return api.Verdict(passed=True, rule=RULE, reason=reason, compared=compared)


def compile_manual(options: Mapping[str, Any]) -> ManualTrigger:  # noqa: ARG001 - the block has no options
    """A block that fits the empty schema."""
    return ManualTrigger()


KIND = api.TriggerKind(
    name="manual",
    summary="Allows people and programs to start the job",
    schema=api.EMPTY_SCHEMA,
    compile=compile_manual,
)
