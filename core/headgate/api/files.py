"""Files of a repository read and written through its host's API, guarded against whoever is faster; not a checkout."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class FileContent(msgspec.Struct, frozen=True, kw_only=True):
    """A file at a commit. `revision` is what a later change of it is guarded with: a blob's sha or a commit's."""

    path: str
    content: bytes
    revision: str


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a commit to make. `content` of `None` deletes it.

    `revision`: that of `FileContent` when the file was there, `None` when it is new: `Conflict` if either is not so.
    """

    path: str
    content: bytes | None
    revision: str | None = None


class FileCommit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit with all of `changes`, or none. `head`: the sha the branch must still have, if given."""

    branch: str
    message: str
    changes: tuple[FileChange, ...]
    head: str | None = None


MergeMethod: TypeAlias = Literal["merge", "squash", "rebase"]


class NewChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change request to open, between two branches of one repository."""

    title: str
    source: str
    target: str
    body: str = ""
    draft: bool = False
