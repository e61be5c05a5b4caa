"""What is wrong with a value, in an admin's words; not whether something is wrong.

jsonschema finds the errors; this says where each stands, what was expected and what was probably meant. Of the
branches of `oneOf` and `anyOf` it explains the one that the admin seems to have had in mind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from headgate.api import Problem
from headgate.config.formats import Formats
from headgate.config.kinds import SINGULAR, KnownKinds, missing
from headgate.config.nearest import nearest, suggestion
from headgate.config.nodes import KINDS, elsewhere, word_for_type
from headgate.config.wording import (
    BOUNDS,
    LATER,
    exclusion,
    expected_values,
    first_sentence,
    found,
    later_word,
    pattern_problem,
    said,
    type_problem,
    type_words,
)
from headgate.config.yaml import Document, KeyPath, key_path

Error: TypeAlias = Any
"""A `jsonschema.exceptions.ValidationError`, whose own types say that any attribute may be unset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """What explaining the errors of one value needs: where the value stands and what it may name."""

    document: Document
    below: KeyPath
    schema: Mapping[str, Any]
    formats: Formats
    kinds: KnownKinds | None = None

    def problems(self, errors: Iterable[Error]) -> tuple[Problem, ...]:
        """One problem or more for each error, in the order they stand in the file."""
        found = dict.fromkeys(problem for error in _without_echoes(list(errors)) for problem in self._explain(error))
        return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))

    def _path(self, error: Error) -> KeyPath:
        return (*self.below, *error.absolute_path)

    def _explain(self, error: Error) -> Iterator[Problem]:
        if "propertyNames" in error.absolute_schema_path:
            yield self._bad_name(error)
        elif error.validator in {"additionalProperties", "unevaluatedProperties"}:
            yield from self._unknown_keys(error)
        elif error.validator == "required":
            yield from self._missing_keys(error)
        elif error.validator in {"oneOf", "anyOf"}:
            yield from self._no_branch(error)
        else:
            message, hint = self._words(error)
            yield self.document.problem(self._path(error), message, hint)

    # --- keys -----------------------------------------------------------------------------------------------------

    def _bad_name(self, error: Error) -> Problem:
        message, hint = self._words(error)
        return self.document.problem((*self._path(error), str(error.instance)), message, hint, at_key=True)

    def _unknown_keys(self, error: Error) -> Iterator[Problem]:
        node: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        group = node.get(KINDS)
        for key in unknown_keys(error):
            path = (*self._path(error), key)
            hint: str | None
            known = list(node.get("properties", {}))
            if key in node.get(LATER, ()):
                message, hint = f"`{key}` is not supported by this version of Headgate", "remove it"
            elif group is not None:
                message, hint = self._no_kind(group, key, known)
            elif near := nearest(key, known):
                message, hint = f"unknown key `{key}`", f"did you mean `{near}`?"
            elif other := elsewhere(self.schema, key):
                where = key_path((*self.below, *other))
                message, hint = f"unknown key `{key}`", f"it belongs to `{where}`"
            else:
                message, hint = f"unknown key `{key}`", suggestion(key, known, noun="keys here")
            yield self.document.problem(path, message, hint, at_key=True)

    def _no_kind(self, group: Any, name: str, known: Sequence[str]) -> tuple[str, str | None]:
        singular = SINGULAR[group]
        cause = missing(self.kinds, group, name) if self.kinds else None
        near = nearest(name, known)
        if cause and not near:
            return f"there is no {singular} `{name}`: {cause}", None
        hint = suggestion(name, known, noun=f"installed {singular}s")
        return f"there is no {singular} `{name}`" + (f"; {cause}" if cause else ""), hint

    def _missing_keys(self, error: Error) -> Iterator[Problem]:
        properties = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        for name in _missing(error):
            about = properties.get(name)
            hint = about.get("description") if isinstance(about, dict) else None
            yield self.document.problem(self._path(error), f"`{name}` is missing", first_sentence(hint), at_key=True)

    # --- branches -------------------------------------------------------------------------------------------------

    def _no_branch(self, error: Error) -> Iterator[Problem]:
        branches = _branches(error)
        if not branches:
            yield self.document.problem(self._path(error), _several_forms(error))
            return
        at_top = len(error.absolute_path)
        if all(e.validator == "required" and len(e.absolute_path) == at_top for b in branches for e in b):
            quantity = "one" if error.validator == "oneOf" else "at least one"
            choices = " or ".join(
                dict.fromkeys(" with ".join(f"`{n}`" for e in b for n in _missing(e)[:1]) for b in branches)
            )
            yield self.document.problem(self._path(error), f"expected {quantity} of {choices}", at_key=True)
            return
        meant = [branch for branch in branches if not any(_other_type(e, at_top) for e in branch)]
        if not meant or all(
            e.validator in {"const", "enum"} and len(e.absolute_path) == at_top for b in meant for e in b
        ):
            yield self._none_of(error, branches)
            return
        if together := _discriminator(meant, at_top):
            values = [value for branch in together for value in _values(branch)]
            message, hint = expected_values(together[0].instance, values)
            yield self.document.problem(self._path(together[0]), message, hint)
            return
        best = min(meant, key=lambda branch: (sum(e.validator in {"const", "enum"} for e in branch), len(branch)))
        for inner in _without_echoes(best):
            yield from self._explain(inner)

    def _none_of(self, error: Error, branches: Sequence[Sequence[Error]]) -> Problem:
        """The value fits no branch from its first look: say what each would take."""
        at_top = len(error.absolute_path)
        wanted: list[str] = []
        values: list[Any] = []
        for branch in branches:
            tops = [inner for inner in branch if len(inner.absolute_path) == at_top]
            for inner in tops[:1]:
                if inner.validator in {"const", "enum"}:
                    values += _values(inner)
                    wanted += [said(value) for value in _values(inner)]
                elif inner.validator == "type":
                    wanted.append(type_words(inner.validator_value))
        near = nearest(str(error.instance), map(str, values)) if isinstance(error.instance, str) else None
        message = f"expected {' or '.join(dict.fromkeys(wanted))}, found {found(error.instance)}"
        return self.document.problem(self._path(error), message, f"did you mean `{near}`?" if near else None)

    # --- single values --------------------------------------------------------------------------------------------

    def _words(self, error: Error) -> tuple[str, str | None]:  # noqa: PLR0911 - one for each sort of error
        node: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        argument, value = error.validator_value, error.instance
        if error.validator == "format":
            fault = self.formats.fault(argument, str(value))
            return (fault.message, fault.hint) if fault else (error.message, None)
        if error.validator == "enum" and node.get(KINDS) and isinstance(value, str):
            return self._no_kind(node[KINDS], value, [str(name) for name in argument])
        if error.validator == "type":
            return type_problem(argument, value, node)
        if error.validator in {"enum", "const"}:
            return later_word(value, node) or expected_values(value, _values(error))
        if error.validator == "pattern":
            return pattern_problem(argument, value, node)
        say = BOUNDS.get(str(error.validator))
        hint = first_sentence(node.get("description"))
        if say is not None:
            return say(argument, value), hint
        if error.validator is None:
            return f"{found(value)} must not stand here", None
        if error.validator == "not":
            names = argument.get("required", []) if isinstance(argument, dict) else []
            return (exclusion(names) if len(names) > 1 else "this is not allowed"), hint
        return f"does not fit: {error.message}", hint


def unknown_keys(error: Error) -> list[str]:
    """The keys an `additionalProperties` or `unevaluatedProperties` error is about."""
    node: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "unevaluatedProperties":
        return [key for key in error.instance if f"'{key}'" in error.message]
    return [
        key
        for key in error.instance
        if key not in node.get("properties", {})
        and not any(re.search(p, key) for p in node.get("patternProperties", {}))
    ]


def _without_echoes(errors: Sequence[Error]) -> list[Error]:
    """Drop what only repeats another error: a missing key that was misspelt, the pattern of a text whose format is wrong.

    So do the branches of a value whose type is wrong already.
    """
    meant = {
        (*error.absolute_path, nearest(key, error.schema.get("properties", {})))
        for error in errors
        if error.validator in {"additionalProperties", "unevaluatedProperties"} and isinstance(error.schema, dict)
        for key in unknown_keys(error)
    }
    formats = {tuple(error.absolute_path) for error in errors if error.validator == "format"}
    types = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    kept = []
    for error in errors:
        path = tuple(error.absolute_path)
        if error.validator == "pattern" and path in formats:
            continue
        if error.validator in {"oneOf", "anyOf"} and path in types:
            continue
        wanted = _missing(error) if error.validator == "required" else _wanted_by_branches(error)
        if any((*path, name) in meant for name in wanted):
            continue
        kept.append(error)
    return kept


def _wanted_by_branches(error: Error) -> list[str]:
    """The keys that the branches of a `oneOf` or `anyOf` are about, when they are about nothing else."""
    if error.validator not in {"oneOf", "anyOf"}:
        return []
    inner = [one for branch in _branches(error) for one in branch]
    if any(one.validator != "required" or len(one.absolute_path) > len(error.absolute_path) for one in inner):
        return []
    return [name for one in inner for name in _missing(one)]


def _missing(error: Error) -> list[str]:
    """The one key a `required` error is about; jsonschema makes an error for each."""
    return [name for name in error.validator_value if name not in error.instance and repr(name) in error.message]


def _branches(error: Error) -> list[list[Error]]:
    branches: dict[Any, list[Error]] = {}
    for inner in error.context or ():
        # The branch `false` has no path of its own.
        branches.setdefault(next(iter(inner.relative_schema_path), None), []).append(inner)
    return list(branches.values())


def _several_forms(error: Error) -> str:
    """A `oneOf` that fits more than one branch."""
    sets = [branch.get("required", []) for branch in error.validator_value if isinstance(branch, dict)]
    names = [
        name for required in sets for name in required if isinstance(error.instance, dict) and name in error.instance
    ]
    if len(names) > 1:
        return exclusion(names)
    return "this can be read in several ways; make it one of them"


def _other_type(error: Error, at_top: int) -> bool:
    """Whether a branch is for values of another type altogether."""
    if len(error.absolute_path) > at_top:
        return False
    if error.validator in {"const", "enum"}:
        return word_for_type(error.instance) not in {word_for_type(value) for value in _values(error)}
    return bool(error.validator == "type")


def _discriminator(branches: Sequence[Sequence[Error]], at_top: int) -> list[Error]:
    """The errors of one key whose value decides between all branches, when it fits none of them."""
    by_path: dict[KeyPath, list[Error]] = {}
    for branch in branches:
        for error in branch:
            if error.validator in {"const", "enum"} and len(error.absolute_path) == at_top + 1:
                by_path.setdefault(tuple(error.absolute_path), []).append(error)
    return next((errors for errors in by_path.values() if len(errors) == len(branches) > 1), [])


def _values(error: Error) -> list[Any]:
    return [error.validator_value] if error.validator == "const" else list(error.validator_value)
