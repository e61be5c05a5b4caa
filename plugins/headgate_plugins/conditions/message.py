"""`message`: what the head commit's message, or a change request's title, must or must not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api

RULE = "conditions.message"
SHOWN = 200
"""How many characters of a message a verdict keeps."""

_PATTERN = {"type": "string", "minLength": 1, "format": "regex"}

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "matching": _PATTERN | {"description": "An RE2 expression that must be found somewhere in the message."},
        "not_matching": _PATTERN
        | {"description": "An RE2 expression that must not be found.", "examples": [r"\[skip ci\]"]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCondition:
    """One compiled `message:` block; the expressions are RE2, linear in the message's length."""

    matching: str | None
    not_matching: str | None
    wanted: Any
    unwanted: Any
    needs_paths: bool = False

    def judge(self, subject: api.Subject) -> api.Verdict:
        """An unknown message is the empty one: it satisfies `not_matching` and fails `matching`."""
        message = subject.message or ""
        known = subject.message is not None
        compared: dict[str, Any] = {"message": message[:SHOWN] if known else None}
        if self.matching is not None:
            compared["matching"] = self.matching
            if not self.wanted.search(message):
                reason = "the message does not match" if known else "the message is not known, so it cannot match"
                return api.Verdict(passed=False, rule=f"{RULE}.matching", reason=reason, compared=compared)
        if self.not_matching is None:
            return api.Verdict(passed=True, rule=f"{RULE}.matching", reason="the message matches", compared=compared)
        compared["not_matching"] = self.not_matching
        found = self.unwanted.search(message)
        nothing = (
            "the message says nothing unwanted" if known else "the message is not known, so it says nothing unwanted"
        )
        reason = "the message says what must not be there" if found else nothing
        return api.Verdict(passed=not found, rule=f"{RULE}.not_matching", reason=reason, compared=compared)


def compile_message(options: Mapping[str, Any]) -> MessageCondition:
    """A block that fits the schema; `ValueError` names an expression that is not RE2."""
    matching, not_matching = options.get("matching"), options.get("not_matching")
    return MessageCondition(
        matching=matching,
        not_matching=not_matching,
        wanted=api.compile_regex(matching) if matching is not None else None,
        unwanted=api.compile_regex(not_matching) if not_matching is not None else None,
    )


KIND = api.ConditionKind(
    name="message", summary="What the commit message must or must not say", schema=SCHEMA, compile=compile_message
)
