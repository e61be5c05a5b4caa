"""The filters triggers share: names of refs and changed paths; not which events a trigger looks at.

A filter gives a verdict that names its own key in the job file, so that `explain` can point at the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate import api

SHOWN_PATHS = 20
"""How many changed paths a verdict keeps; a push may change a hundred thousand."""

GLOBS_SYNTAX = "`*` and `?` stop at a slash, `**` does not, a leading `!` takes back what earlier patterns let in."


def globs_schema(description: str, examples: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a list of globs."""
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "description": f"{description} {GLOBS_SYNTAX}",
        "examples": [list(examples)],
    }


PATHS_SCHEMA = {
    "paths": globs_schema("Builds only when a changed path matches one of these.", ["src/**", "Makefile"]),
    "ignore_paths": globs_schema("Builds nothing when all changed paths match these.", ["docs/**", "**/*.md"]),
}
"""The two keys of `PathFilter`, for a trigger's schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFilter:
    """Which names pass: `only` lets in, `ignore` takes out again; absent ones say nothing.

    `rule` is the trigger's key path, `noun` what the names are (`branch`), `key` the option that lists them.
    """

    rule: str
    noun: str
    key: str
    only: api.Globs | None
    ignore: api.Globs | None = None

    def judge(self, name: str) -> api.Verdict:
        """The verdict on one short name."""
        compared: dict[str, Any] = {self.noun: name}
        rule, reason = self.rule, f"every {self.noun} is wanted"
        if self.only is not None:
            compared[self.key] = list(self.only.patterns)
            rule, found = f"{self.rule}.{self.key}", self.only.match(name)
            if found is None:
                reason = f"{self.noun} `{name}` matches none of the patterns"
                return api.Verdict(passed=False, rule=rule, reason=reason, compared=compared)
            reason = f"{self.noun} `{name}` matches `{found}`"
        if self.ignore is not None:
            ignore_key = f"ignore_{self.key}"
            compared[ignore_key] = list(self.ignore.patterns)
            if (found := self.ignore.match(name)) is not None:
                reason = f"{self.noun} `{name}` is ignored by `{found}`"
                return api.Verdict(passed=False, rule=f"{self.rule}.{ignore_key}", reason=reason, compared=compared)
            if self.only is None:
                rule, reason = f"{self.rule}.{ignore_key}", f"{self.noun} `{name}` is not among the ignored"
        return api.Verdict(passed=True, rule=rule, reason=reason, compared=compared)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFilter:
    """Which changes pass: one changed path that `only` lets in and `ignore` leaves there is enough.

    The semantics of https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions#onpushpull_requestpull_request_targetpathspaths-ignore
    Paths that could not be learned pass: a build too many is a smaller harm than a change that nobody tested.
    """

    rule: str
    only: api.Globs | None
    ignore: api.Globs | None

    @property
    def asks(self) -> bool:
        """Whether it looks at paths at all."""
        return self.only is not None or self.ignore is not None

    def judge(self, subject: api.Subject) -> api.Verdict:
        """The verdict on all changed paths of a subject."""
        compared: dict[str, Any] = {}
        if self.only is not None:
            compared["paths"] = list(self.only.patterns)
        if self.ignore is not None:
            compared["ignore_paths"] = list(self.ignore.patterns)
        rule = f"{self.rule}.{'ignore_paths' if self.only is None else 'paths'}"
        if subject.changed_paths is None:
            problem = subject.paths_problem or "nobody said them"
            reason = f"the changed paths could not be learned ({problem}), and a change that may matter builds"
            return api.Verdict(passed=True, rule=rule, reason=reason, compared=compared | {"changed_paths": None})
        paths = subject.changed_paths
        compared |= {"changed_paths": list(paths[:SHOWN_PATHS]), "changed_paths_count": len(paths)}
        passed, rule, reason = self._decide(paths)
        return api.Verdict(passed=passed, rule=rule, reason=reason, compared=compared)

    def _decide(self, paths: Sequence[str]) -> tuple[bool, str, str]:
        wanted = [path for path in paths if self.only is None or self.only.match(path) is not None]
        if self.only is not None and not wanted:
            return False, f"{self.rule}.paths", f"none of {len(paths)} changed paths matches the patterns"
        if not paths:
            return True, f"{self.rule}.ignore_paths", "no path changed, so there is none to ignore"
        left = next((path for path in wanted if self.ignore is None or self.ignore.match(path) is None), None)
        if left is None:
            return False, f"{self.rule}.ignore_paths", f"all {len(wanted)} changed paths that count are ignored"
        if self.only is not None:
            return True, f"{self.rule}.paths", f"changed path `{left}` matches the patterns"
        return True, f"{self.rule}.ignore_paths", f"changed path `{left}` is not ignored"


def globs(options: Mapping[str, Any], key: str) -> api.Globs | None:
    """The globs under `key`, `None` when it is absent; `ValueError` names the key and the bad pattern."""
    if key not in options:
        return None
    try:
        return api.Globs(options[key])
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def all_of(*verdicts: api.Verdict) -> api.Verdict:
    """The first that failed, else the last: the one that decided. It carries what all before it compared."""
    compared: dict[str, Any] = {}
    for verdict in verdicts:
        compared |= verdict.compared
        if not verdict.passed:
            break
    return api.Verdict(passed=verdict.passed, rule=verdict.rule, reason=verdict.reason, compared=compared)
