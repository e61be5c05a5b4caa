"""The JSON that a post-receive hook sends, ours or your own; not what it means to us. See docs/providers-git.md."""

from __future__ import annotations

import msgspec


class Author(msgspec.Struct):
    """Who wrote a commit."""

    name: str = ""
    email: str = ""


class PushedCommit(msgspec.Struct):
    """One commit. `paths`: all it added, changed or removed; absent when the hook does not know."""

    id: str
    message: str = ""
    author: Author | None = None
    url: str | None = None
    paths: list[str] | None = None


class RefUpdate(msgspec.Struct):
    """One ref of a push, as githooks(5) gives it to post-receive; null or all zeros for "none".

    `commits_complete` says that `commits` are all between `before` and `after`.
    """

    ref: str
    before: str | None = None
    after: str | None = None
    forced: bool = False
    commits: list[PushedCommit] | None = None
    commits_complete: bool = False


class PushPayload(msgspec.Struct):
    """One push. https://git-scm.com/docs/githooks#post-receive"""

    repository: str
    refs: list[RefUpdate]
    actor: str | None = None
    url: str | None = None
    default_branch: str | None = None
