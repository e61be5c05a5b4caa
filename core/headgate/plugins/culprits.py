"""Whose code this is: from a traceback, a running frame or an allocation to the plugin; not what it did wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from types import FrameType, TracebackType
from typing import Final

import msgspec

import headgate
from headgate.api.capabilities import CAPABILITIES

HOST = os.path.dirname(os.path.abspath(headgate.__file__)) + os.sep  # noqa: PTH100, PTH120 - compared with code's own file names, which are text
API = os.path.join(HOST, "api") + os.sep  # noqa: PTH118 - as above
"""What plugins call as their library: its frames say nothing of whose fault it is."""
GUARDS = os.path.join(HOST, "plugins") + os.sep  # noqa: PTH118 - as above
"""What stands around every call."""

METHODS: Final = frozenset(
    {"answer", "authenticate", "get", "judge", "list", "match", "normalise", "order_key", "parse", "poll_plan", "run",
     "tell", "wants"}
    | {name for protocol in CAPABILITIES.values() for name in vars(protocol) if not name.startswith("_")}
)  # fmt: skip
"""What the host calls by name; other code of a plugin is its own, and held against all of it."""


class Culprit(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin's code at work. `function` is the one of its functions that somebody else called, `place` the innermost."""

    plugin: str
    function: str
    place: str


class Culprits:
    """Finds plugins by the files their code stands in."""

    def __init__(self, places: Mapping[str, str]) -> None:
        """`places`: a plugin's name → its one file, or its folder with a slash at the end."""
        # The longest first, so that a plugin within another one's folder keeps what is its own.
        self._places = sorted(places.items(), key=lambda one: -len(one[1]))
        self._known: dict[str, str | None] = {}

    def of_file(self, file: str) -> str | None:
        """Whose file it is; `None`: nobody's we know."""
        try:
            return self._known[file]
        except KeyError:
            found = self._known[file] = next((name for name, place in self._places if _within(file, place)), None)
            return found

    def of_error(self, error: BaseException) -> Culprit | None:
        """Whose code raised it, or was waiting when it was cancelled."""
        return self._innermost(_raised_in(error.__traceback__))

    def of_frame(self, frame: FrameType | None) -> Culprit | None:
        """Whose code a thread is in."""
        inner_first: list[tuple[str, int, str]] = []
        while frame is not None:
            inner_first.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        return self._innermost(inner_first)

    def of_files(self, inner_first: Iterable[str]) -> str | None:
        """Whose code is nearest to an allocation."""
        return next((plugin for file in inner_first if (plugin := self.of_file(file))), None)

    def is_ours(self, error: BaseException) -> bool:
        """Whether it was raised in the host's own code, which a plugin had called: a full disk is nobody's bug."""
        for file, _, _ in _raised_in(error.__traceback__):
            if self.of_file(file) or file.startswith(GUARDS):
                return False
            if file.startswith(HOST) and not file.startswith(API):
                return True
        return False

    def _innermost(self, inner_first: Iterable[tuple[str, int, str]]) -> Culprit | None:
        found: Culprit | None = None
        for file, line, function in inner_first:
            plugin = self.of_file(file)
            if plugin is None:
                continue
            if found is None:
                found = Culprit(plugin=plugin, function=function, place=f"{file}:{line}")
            elif plugin == found.plugin:
                found = msgspec.structs.replace(found, function=function)
            else:
                break
        return found


def place_of(module_name: str, *, alone: bool) -> str | None:
    """Where a plugin's code stands: its folder or file. `alone`: the only plugin of its distribution.

    Then all of its topmost package is its own; else only its own module is. `None` for code without a file.
    """
    names = module_name.split(".")
    prefixes = [".".join(names[: end + 1]) for end in range(len(names))]
    for name in prefixes if alone else prefixes[-1:]:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:  # a name space that several distributions share has none
            folder, base = os.path.split(os.path.abspath(str(file)))  # noqa: PTH100 - see HOST
            return folder + os.sep if base == "__init__.py" else os.path.join(folder, base)  # noqa: PTH118 - see HOST
    return None


def _raised_in(traceback: TracebackType | None) -> list[tuple[str, int, str]]:
    outer_first: list[tuple[str, int, str]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        outer_first.append((code.co_filename, traceback.tb_lineno, code.co_name))
        traceback = traceback.tb_next
    return outer_first[::-1]


def _within(file: str, place: str) -> bool:
    return file.startswith(place) if place.endswith(os.sep) else file == place
