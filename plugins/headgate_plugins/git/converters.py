"""From the hook's shapes to our events, or to a reason why there is none; pure.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

import re

from headgate import api
from headgate_plugins.git import shapes
from headgate_plugins.git.place import LOCAL_HOST, Place, host_and_path, normalise

_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")

# https://git-scm.com/docs/git-check-ref-format
_REF = re.compile(r"refs(/[^\x00-\x20\x7f~^:?*\[\\/]+)+")
_NOT_IN_REF = ("..", "@{", "/.", ".lock/")


def push(payload: shapes.PushPayload, host: str) -> api.Reading:
    """One event for each branch and tag; other refs are passed over."""
    repository = api.Repository(host=host, path=normalise(payload.repository))
    events = tuple(event for update in payload.refs if (event := _moved(update, payload, repository)) is not None)
    if not events:
        return api.Ignored(reason="the push moved neither a branch nor a tag")
    return api.Parsed(events=events)


def notification(url: str, place: Place | None) -> api.Reading:
    """A wish that a repository be asked; what else the request says (branches, sha1) is unproven and not used."""
    if place is not None:
        path = place.path_of(url)
        if path is None:
            return api.Ignored(reason=f"`{url[:200]}` is not below this connection's base_url or root")
        return api.Parsed(events=(api.PollRequested(repository=api.Repository(host=place.host, path=path)),))
    host, path = host_and_path(url) or (LOCAL_HOST, url)
    try:
        repository = api.Repository(host=host, path=normalise(path))
    except ValueError as error:
        raise api.Unreadable(f"the argument `url` cannot be meant: {error}") from None
    return api.Parsed(events=(api.PollRequested(repository=repository),))


def _moved(
    update: shapes.RefUpdate, payload: shapes.PushPayload, repository: api.Repository
) -> api.Push | api.Tag | None:
    ref, before, after = _ref(update.ref), _sha(update.before), _sha(update.after)
    if before is None and after is None:
        raise ValueError(f"`{ref[:80]}` has neither `before` nor `after`")
    commits = tuple(_commit(commit) for commit in update.commits or ())
    if ref.startswith("refs/tags/"):
        return api.Tag(
            repository=repository,
            ref=ref,
            tag=ref.removeprefix("refs/tags/"),
            before=before,
            after=after,
            actor=payload.actor,
            url=payload.url,
            forced=update.forced,
            commits=commits,
        )
    if ref.startswith("refs/heads/"):
        return api.Push(
            repository=repository,
            ref=ref,
            before=before,
            after=after,
            actor=payload.actor,
            url=payload.url,
            forced=update.forced,
            commits=commits,
            commits_complete=update.commits_complete and bool(commits) and before is not None and not update.forced,
            default_branch=payload.default_branch,
        )
    return None


def _commit(commit: shapes.PushedCommit) -> api.Commit:
    sha = _sha(commit.id)
    if sha is None:
        raise ValueError("a commit has no id")
    author = commit.author or shapes.Author()
    return api.Commit(
        id=sha,
        message=commit.message,
        author=api.Person(name=author.name, email=author.email),
        url=commit.url,
        paths=None if commit.paths is None else tuple(sorted(set(commit.paths))),
    )


def _ref(text: str) -> str:
    bad = any(part in text for part in _NOT_IN_REF) or text.endswith((".", ".lock"))
    if bad or not _REF.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no full ref name")
    return text


def _sha(text: str | None) -> str | None:
    if text and not _SHA.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no full commit id")
    return api.sha_or_none(text)
