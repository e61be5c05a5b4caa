"""Strict YAML: one document of plain values, each with its place; not what the values mean.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `on`, `no`, `22:22` and
`2026-01-01` are texts. `.inf` and `.nan` are texts too, as no setting takes them. Refused are duplicate keys, aliases,
anchors, merge keys, tags, keys that are no plain text, directives and further documents, all of them at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from headgate.api import ConfigError, Problem
from headgate.config.syntax import Place, place_of, syntax_problem

KeyPath: TypeAlias = tuple[str | int, ...]

MAX_CHARACTERS = 16_777_216
MAX_DEPTH = 100
_MAX_DIGITS = 100

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml it is slow, and as strict

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STARTS_NUMBER = frozenset("0123456789+-.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file's value: dictionaries with text keys, lists, texts, numbers, booleans and `None`.

    `places` says where each value starts, `keys` where the key of each value of a mapping stands, and `texts` how
    a number or boolean was written (`1.10`), for those who want the text. The empty path is the whole document.
    """

    file: str
    value: Any
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    keys: Mapping[KeyPath, Place] = field(default_factory=dict)
    texts: Mapping[KeyPath, str] = field(default_factory=dict)

    def problem(self, path: KeyPath, message: str, hint: str | None = None, *, at_key: bool = False) -> Problem:
        """A problem at `path`, or at the nearest place above it that stands in the file."""
        order = (self.keys, self.places) if at_key else (self.places, self.keys)
        near, place = path, None
        while place is None:
            place = order[0].get(near) or order[1].get(near)
            if not near:
                break
            near = near[:-1]
        line, column = place or (0, 0)
        return Problem(file=self.file, line=line, column=column, path=key_path(path), message=message, hint=hint)


def key_path(path: KeyPath) -> str:
    """`jobs.web.run.steps[0].name`, as an admin would say it."""
    said = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return said.removeprefix(".")


def read_yaml(text: str, *, file: str) -> Document:
    """The one document in `text`; an empty one is `None`. Raises `ConfigError` with every fault of its form."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(Problem(file=file, message=f"the file is longer than {MAX_CHARACTERS} characters"))
    reading = _Reading(file)
    try:
        parser = _PARSER(text)
        try:
            while parser.check_event():
                reading.take(parser.get_event())
        finally:
            parser.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(*reading.problems, syntax_problem(error, text, file)) from None
    except UnicodeEncodeError as error:
        line, column = place_of(text, error.start)
        raise ConfigError(
            Problem(file=file, line=line, column=column, message="half of a surrogate pair is no character")
        ) from None
    if reading.problems:
        raise ConfigError(*reading.problems)
    return Document(file=file, value=reading.value, places=reading.places, keys=reading.keys, texts=reading.texts)


class _Reading:
    """The state of one reading: a stack of open collections, and what was found so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Any = None
        self.problems: list[Problem] = []
        self.places: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.texts: dict[KeyPath, str] = {}
        self._open: list[tuple[KeyPath, Any, str | None]] = []
        self._path: KeyPath = ()
        self._container: Any = None
        self._key: str | None = None
        self._documents = 0

    def take(self, event: Any) -> None:  # noqa: C901, PLR0912 - one branch for each event YAML has
        """One event more. Frequent events come first."""
        kind = event.__class__
        if kind is yaml.ScalarEvent:
            if event.anchor is not None or event.tag is not None:
                self._refuse_decoration(event)
            if self._container.__class__ is dict and self._key is None:
                self._take_key(event)
            else:
                self._put(_scalar(event.value) if event.implicit[0] else event.value, event)
                self._key = None
        elif kind is yaml.MappingStartEvent:
            self._enter(event, {})
        elif kind is yaml.SequenceStartEvent:
            self._enter(event, [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._leave()
        elif kind is yaml.AliasEvent:
            hint = 'write the value again where it is needed; a pattern needs quotes, such as "*.md"'
            self._refuse(event, "aliases (`*name`) are refused", hint)
            if self._container.__class__ is dict and self._key is None:
                self._take_key(event)
            else:
                self._put(None, event)
                self._key = None
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, "a second document starts here", "put it into a file of its own")
                raise ConfigError(*self.problems)  # its keys are nobody's
            if event.version not in {None, (1, 2)} or event.tags:
                self._refuse(event, "directives (`%…`) are refused", "files are YAML 1.2 without any")

    def _take_key(self, event: Any) -> None:
        key = event.value if event.__class__ is yaml.ScalarEvent else f"*{event.anchor}"
        mark = event.start_mark
        path = (*self._path, key)
        if key == "<<" and event.implicit[0]:
            self._refuse(event, "merge keys (`<<`) are refused", "write the keys where they are needed")
        elif path in self.keys:
            first = self.keys[path][0]
            self._refuse(event, f"the key `{key}` stands here twice", f"it was first written in line {first}", path)
            key = f"{key} (line {mark.line + 1})"  # or every key below it would seem doubled too
        else:
            self.keys[path] = (mark.line + 1, mark.column + 1)
        self._key = key

    def _put(self, value: Any, event: Any) -> KeyPath:
        """Put a value where it belongs; gives its path."""
        container = self._container
        if container is None:
            path: KeyPath = ()
            if self._documents == 1:
                self.value = value
        elif container.__class__ is list:
            path = (*self._path, len(container))
            container.append(value)
        else:
            path = (*self._path, self._key or "")
            container.setdefault(self._key, value)
        mark = event.start_mark
        self.places[path] = (mark.line + 1, mark.column + 1)
        if value.__class__ is not str and event.__class__ is yaml.ScalarEvent:
            self.texts[path] = event.value
        return path

    def _enter(self, event: Any, container: Any) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_decoration(event)
        if len(self._open) >= MAX_DEPTH:
            self._refuse(event, f"more than {MAX_DEPTH} levels deep")
            raise ConfigError(*self.problems)
        key_after: str | None = None
        if self._container.__class__ is dict and self._key is None:
            self._refuse(event, "a key must be a text", "put it in quotes if it starts with `[` or `{`")
            self._key = key_after = ""  # the value of this impossible key is still to come
        path = self._put(container, event)
        self._open.append((self._path, self._container, key_after))
        self._path, self._container, self._key = path, container, None

    def _leave(self) -> None:
        self._path, self._container, self._key = self._open.pop()

    def _refuse_decoration(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"anchors (`&{event.anchor}`) are refused", "write the value again where it is needed")
        if event.tag is not None:
            self._refuse(event, "tags (`!…`) are refused", 'put a text in quotes instead, such as "!wip"')

    def _refuse(self, event: Any, message: str, hint: str | None = None, path: KeyPath | None = None) -> None:
        mark = event.start_mark
        where = key_path(self._path if path is None else path)
        self.problems.append(
            Problem(file=self.file, line=mark.line + 1, column=mark.column + 1, path=where, message=message, hint=hint)
        )


def _scalar(text: str) -> Any:  # noqa: PLR0911 - one for each rule of the core schema
    """What a plain (unquoted) scalar is under the core schema."""
    if text[:1] in _STARTS_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text) if len(text) <= _MAX_DIGITS else text
        if _FLOAT.fullmatch(text):
            number = float(text)
            return number if math.isfinite(number) else text
        if len(text) <= _MAX_DIGITS:
            if _OCTAL.fullmatch(text):
                return int(text, 0)
            if _HEXADECIMAL.fullmatch(text):
                return int(text, 0)
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    return False if text in _FALSE else text
