"""A condition: build only what a trailer of the commit message asks for (`CI: full`); not a way to skip checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z0-9-]+$", "description": "The trailer, as `CI` in `CI: full`."},
        "value": {"type": "string", "description": "What it must say; otherwise any value will do."},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailerCondition:
    """One compiled `trailer:` block."""

    name: str
    value: str | None
    needs_paths: bool = False

    def judge(self, subject: api.Subject) -> api.Verdict:
        """Pure: the same subject gets the same verdict, now, in a replay and in a plan."""
        found = trailers(subject.message or "").get(self.name.lower())
        passed = found is not None and self.value in {None, found}
        return api.Verdict(
            passed=passed,
            rule="conditions.trailer",
            reason="the trailer asks for it" if passed else "no trailer asks for it",
            compared={"name": self.name, "wanted": self.value, "found": found},
        )


def trailers(message: str) -> dict[str, str]:
    """The `Name: value` lines of a message's last paragraph, names in lower case, as `git interpret-trailers` reads them."""
    paragraphs = message.strip().split("\n\n")
    if len(paragraphs) == 1:
        return {}  # a subject line is no trailer
    pairs = (line.partition(":") for line in paragraphs[-1].splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def compile_trailer(options: Mapping[str, Any]) -> TrailerCondition:
    """Gets a block that fits the schema; would raise `ValueError` for what a schema cannot say."""
    return TrailerCondition(name=options["name"], value=options.get("value"))


@api.hookimpl
def headgate_conditions() -> Iterable[api.ConditionKind]:
    """Called once, at start: says what there is and does nothing else."""
    yield api.ConditionKind(
        name="trailer", summary="What a trailer of the commit message asks for", schema=SCHEMA, compile=compile_trailer
    )
