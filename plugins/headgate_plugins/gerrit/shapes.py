"""Gerrit's events as they are sent, by webhook and by stream alike, only the fields we use; not what they mean to us.

"Note that any field may be missing": https://gerrit-review.googlesource.com/Documentation/json.html; the events are
those of https://gerrit-review.googlesource.com/Documentation/cmd-stream-events.html#events
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Number: TypeAlias = int | str
"""Servers before 2.15 write numbers as text."""


class Account(msgspec.Struct):
    """Who did it; any of these may be unset."""

    name: str | None = None
    email: str | None = None
    username: str | None = None


class Change(msgspec.Struct):
    """https://gerrit-review.googlesource.com/Documentation/json.html#change"""

    branch: str
    number: Number
    project: str | None = None
    subject: str | None = None
    owner: Account | None = None
    url: str | None = None
    status: str | None = None
    hashtags: list[str] | None = None
    wip: bool | None = None
    private: bool | None = None


class PatchSet(msgspec.Struct, rename="camel"):
    """https://gerrit-review.googlesource.com/Documentation/json.html#patchSet; `isDraft` is of servers before 2.15."""

    number: Number
    revision: str
    ref: str | None = None
    is_draft: bool | None = None


class Approval(msgspec.Struct, rename="camel"):
    """A vote; `oldValue` is there when this event changed it.

    https://gerrit-review.googlesource.com/Documentation/json.html#approval
    """

    type: str
    value: Number | None = None
    old_value: Number | None = None


class ChangeEvent(msgspec.Struct, rename="camel"):
    """What all events about a change have; some have no patch set."""

    change: Change
    patch_set: PatchSet | None = None
    project: str | None = None


class PatchSetCreated(ChangeEvent):
    """A first or later upload. Also `draft-published`, of servers before 2.15."""

    uploader: Account | None = None


class ChangeMerged(ChangeEvent):
    """It was submitted."""

    submitter: Account | None = None


class ChangeAbandoned(ChangeEvent):
    """It was given up."""

    abandoner: Account | None = None


class ChangeRestored(ChangeEvent):
    """It was taken up again."""

    restorer: Account | None = None


class CommentAdded(ChangeEvent):
    """Words, votes, or both."""

    author: Account | None = None
    comment: str | None = None
    approvals: list[Approval] | None = None


class StateChanged(ChangeEvent):
    """`wip-state-changed`, `private-state-changed`, `topic-changed`."""

    changer: Account | None = None


class HashtagsChanged(ChangeEvent):
    """`hashtags` are those it has now."""

    editor: Account | None = None
    added: list[str] | None = None
    removed: list[str] | None = None
    hashtags: list[str] | None = None


class RefUpdate(msgspec.Struct, rename="camel"):
    """https://gerrit-review.googlesource.com/Documentation/json.html#refUpdate; old servers shorten a branch's name."""

    project: str
    ref_name: str
    old_rev: str | None = None
    new_rev: str | None = None


class RefUpdated(msgspec.Struct, rename="camel"):
    """One ref moved."""

    ref_update: RefUpdate
    submitter: Account | None = None


class BatchRefUpdated(msgspec.Struct, rename="camel"):
    """Several refs moved at once; a server that sends it can send `ref-updated` for each as well."""

    ref_updates: list[RefUpdate]
    submitter: Account | None = None


class Traits(msgspec.Struct, rename="camel"):
    """What tells one event from another, whatever its type."""

    type: str
    change: _NumberedChange | None = None
    patch_set: _NumberedPatchSet | None = None
    ref_update: RefUpdate | None = None
    ref_updates: list[RefUpdate] | None = None
    project: str | None = None
    ref_name: str | None = None
    event_created_on: Number | None = None
    author: Account | None = None
    comment: str | None = None
    approvals: list[Approval] | None = None
    reviewer: Account | None = None
    added: list[str] | None = None
    removed: list[str] | None = None


class _NumberedChange(msgspec.Struct):
    project: str | None = None
    number: Number | None = None


class _NumberedPatchSet(msgspec.Struct):
    number: Number | None = None
    revision: str | None = None
