"""One key for one event, whether a webhook, the stream or the log of events tells it; not the seal of a webhook.

Gerrit numbers no events. What it sends is the same JSON everywhere, but for fields that depend on who asks, so the key
is made of what tells events apart.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from headgate import api
from headgate_plugins.gerrit.shapes import RefUpdate, Traits

ONCE = frozenset({"patchset-created", "change-merged"})
"""Happen to a patch set once, so that they are known again without the time Gerrit noted: the list of changes, which we
ask where there is no log of events, does not know it."""


def event_key(body: bytes) -> str | None:
    """The key of an event; `None` for what is none, and for one that does not say when it was."""
    try:
        traits = api.read_json(body, Traits)
    except api.Unreadable:
        return None
    change, patch_set = traits.change, traits.patch_set
    said: list[Any] = [
        traits.type,
        (change.project if change else None) or traits.project,
        None if change is None else str(change.number),
        None if patch_set is None else (str(patch_set.number), patch_set.revision),
    ]
    if traits.type not in ONCE or change is None or patch_set is None:
        if traits.event_created_on is None:
            return None
        moved = [*(traits.ref_updates or ()), *((traits.ref_update,) if traits.ref_update else ())]
        said += [
            str(traits.event_created_on),
            traits.ref_name,
            [_moved(one) for one in moved],
            traits.comment,
            [(one.type, str(one.value)) for one in traits.approvals or ()],
            [one and (one.username, one.email) for one in (traits.author, traits.reviewer)],
            traits.added,
            traits.removed,
        ]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _moved(update: RefUpdate) -> tuple[str | None, ...]:
    return update.project, update.ref_name, update.old_rev, update.new_rev


def is_dropped_output(line: bytes) -> bool:
    """Whether a line of the stream says that others are missing from it.

    https://gerrit-review.googlesource.com/Documentation/cmd-stream-events.html#_dropped_output
    """
    return len(line) < _SHORT and b'"dropped-output"' in line


_SHORT = 200
