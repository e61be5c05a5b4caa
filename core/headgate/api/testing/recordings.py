"""Recorded deliveries as files beside what they must mean; not how they were recorded.

A folder holds `NAME.json` (the body; any other ending will do), `NAME.headers.json` (an object of the headers that
differ from those the contract sends, may be left out) and `NAME.events.json` (the golden: `{"events": [...]}` or
`{"ignored": "reason"}`, as `headgate parse` prints it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from headgate import api

HEADERS, EVENTS = ".headers.json", ".events.json"


class Recording(NamedTuple):
    """One delivery. `headers` differ from those of the contract; `golden` is `None` where the file is missing."""

    body: bytes
    headers: Mapping[str, str]
    golden: Mapping[str, Any] | None


def read_recordings(folder: Path) -> dict[str, Recording]:
    """All recordings of a folder by their names; `AssertionError` for a file beside nothing and for two of one name."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    bodies = [path for path in files if not path.name.endswith((HEADERS, EVENTS))]
    names = [path.stem for path in bodies]
    assert len(set(names)) == len(names), f"two bodies in {folder} have one name: {names}"
    beside = {path.name.removesuffix(HEADERS).removesuffix(EVENTS) for path in files if path not in bodies}
    assert beside <= set(names), f"in {folder} there is no body for {sorted(beside - set(names))}"
    return {
        path.stem: Recording(path.read_bytes(), _json(folder / f"{path.stem}{HEADERS}") or {}, _json(golden))
        for path in bodies
        for golden in [folder / f"{path.stem}{EVENTS}"]
    }


def as_golden(reading: api.Reading) -> dict[str, Any]:
    """A reading as its golden says it."""
    if isinstance(reading, api.Ignored):
        return {"ignored": reading.reason}
    plain: dict[str, Any] = json.loads(msgspec.json.encode(reading))
    return plain


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
