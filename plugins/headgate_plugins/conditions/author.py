"""`author`: who made the change, as the provider or the commit says it; not a permission, for it can be forged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate import api

RULE = "conditions.author"

_NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "properties": {
        "is": _NAMES | {"description": "Only changes of these authors; letter case does not matter."},
        "not": _NAMES | {"description": "Not changes of these authors.", "examples": [["renovate-bot"]]},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorCondition:
    """One compiled `author:` block. Names are whole and compared without letter case."""

    only: tuple[str, ...] | None
    ignored: tuple[str, ...] | None
    needs_paths: bool = False

    def judge(self, subject: api.Subject) -> api.Verdict:
        """An unknown author is nobody: it satisfies `not` and fails `is`."""
        author = (subject.author or "").casefold()
        compared: dict[str, Any] = {"author": subject.author}
        if self.only is not None:
            compared["is"] = list(self.only)
            if not author or author not in {name.casefold() for name in self.only}:
                reason = "the author is none of those wanted" if author else "the author is not known"
                return api.Verdict(passed=False, rule=f"{RULE}.is", reason=reason, compared=compared)
        if self.ignored is None:
            return api.Verdict(passed=True, rule=f"{RULE}.is", reason="the author is wanted", compared=compared)
        compared["not"] = list(self.ignored)
        unwanted = author in {name.casefold() for name in self.ignored}
        reason = "the author is to be ignored" if unwanted else "the author is not among those to be ignored"
        return api.Verdict(passed=not unwanted, rule=f"{RULE}.not", reason=reason, compared=compared)


def compile_author(options: Mapping[str, Any]) -> AuthorCondition:
    """A block that fits the schema."""
    return AuthorCondition(
        only=tuple(options["is"]) if "is" in options else None,
        ignored=tuple(options["not"]) if "not" in options else None,
    )


KIND = api.ConditionKind(
    name="author", summary="Whose changes build, and whose do not", schema=SCHEMA, compile=compile_author
)
