"""From Bitbucket Data Center's payloads to our events, or to a reason why there is none; pure, no word of signatures.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant. `site` is the connection's
base URL, `None` offline: it stands in for links that older versions do not send.
Source: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from __future__ import annotations

from typing import Literal

from headgate import api
from headgate_plugins.bitbucket_server import shapes
from headgate_plugins.bitbucket_server.names import account, href, identity, normalise, page


def push(payload: shapes.PushPayload, site: str | None) -> api.Reading:
    """Each ref that moved is an event of its own; branches and tags count."""
    # A push of several refs lists commits without saying of which.
    commits = payload.commits or [] if len(payload.changes) == 1 else []
    events = [event for change in payload.changes if (event := _moved(payload, change, commits, site)) is not None]
    if not events:
        return api.Ignored(reason="no branch and no tag moved")
    return api.Parsed(events=tuple(events))


def _moved(
    payload: shapes.PushPayload, change: shapes.RefChange, listed: list[shapes.ListedCommit], site: str | None
) -> api.Event | None:
    before = None if change.type == "ADD" else api.full_sha_or_none(change.from_hash)
    after = None if change.type == "DELETE" else api.full_sha_or_none(change.to_hash)
    if before is None and after is None:
        raise ValueError(f"`{change.ref.id[:80]}` has neither a `fromHash` nor a `toHash` that is a commit")
    repository, actor, home = identity(payload.repository, site), account(payload.actor), page(payload.repository, site)
    url = f"{home}/commits/{after}" if home and after else home
    commits = tuple(commit(one, home) for one in reversed(listed)) if after else ()
    if change.ref.id.startswith("refs/tags/"):
        return api.Tag(
            repository=repository,
            ref=change.ref.id,
            tag=change.ref.id.removeprefix("refs/tags/"),
            before=before,
            after=after,
            actor=actor,
            url=url,
            forced=api.tag_moved(before, after),
            commits=commits,
        )
    if not change.ref.id.startswith("refs/heads/"):
        return None
    return api.Push(
        repository=repository,
        ref=change.ref.id,
        before=before,
        after=after,
        actor=actor,
        url=url,
        commits=commits,
        commits_complete=_complete(listed, before, after),
        default_branch=payload.repository.default_branch,
    )


def _complete(listed: list[shapes.ListedCommit], before: str | None, after: str | None) -> bool:
    """Whether every way back from `after` through the listed commits ends at `before`.

    Only then are they all there is: the limit is the admin's, and a forced push or a cut list leads elsewhere.
    """
    if before is None or after is None:
        return False
    ids = {api.full_sha(one.id) for one in listed}
    parents = [[api.full_sha(parent.id) for parent in one.parents or ()] for one in listed]
    return after in ids and all(parents) and {parent for some in parents for parent in some} - ids == {before}


def commit(listed: shapes.ListedCommit, home: str | None) -> api.Commit:
    """Of a push or a listing. `home`: the repository's page. Bitbucket says no paths."""
    author, sha = listed.author or shapes.User(), api.full_sha(listed.id)
    return api.Commit(
        id=sha,
        message=listed.message or "",
        author=api.Person(name=author.display_name or author.name or "", email=author.email_address or ""),
        url=f"{home}/commits/{sha}" if home else None,
    )


def opened(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:opened`"""
    return _happened(payload, "opened", site)


def updated(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:from_ref_updated`: there are new commits."""
    return _happened(payload, "updated", site)


def modified(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:modified`: words, the draft mark or the target. Another target makes another merge of the same commits."""
    now, before = payload.pull_request, payload.previous_target
    if before is not None and before.id != now.to_ref.id:
        return _happened(payload, "updated", site)
    draft = bool(now.draft)
    if payload.previous_draft is not None and payload.previous_draft != draft:
        return _happened(payload, "draft" if draft else "ready", site)
    return _happened(payload, "edited", site)


def reopened(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:reopened`"""
    return _happened(payload, "reopened", site)


def approved(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:reviewer:approved`"""
    return _happened(payload, "approved", site)


def rejected(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:reviewer:needs_work`, which people see as "changes requested"."""
    return _happened(payload, "rejected", site)


def merged(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:merged`"""
    return _happened(payload, "merged", site)


def closed(payload: shapes.ChangePayload, site: str | None) -> api.Reading:
    """`pr:declined` and `pr:deleted`"""
    return _happened(payload, "closed", site)


def _happened(payload: shapes.ChangePayload, action: api.ChangeAction, site: str | None) -> api.Reading:
    change = payload.pull_request
    event = api.ChangeRequest(
        repository=_target(change, site),
        number=change.id,
        action=action,
        title=change.title,
        source=source(change, site),
        target=api.ChangeTarget(branch=branch(change.to_ref), sha=api.full_sha_or_none(change.to_ref.latest_commit)),
        author=account(change.author.user if change.author else None) or "",
        actor=account(payload.actor),
        url=change_page(change, site),
        from_fork=from_fork(change),
        draft=bool(change.draft),
        head_ref=head_ref(change.id),
    )
    return api.Parsed(events=(event,))


def head_ref(number: int) -> str:
    """The ref of the target repository that leads to the head of a pull request."""
    return f"refs/pull-requests/{number}/from"


def source(change: shapes.PullRequest, site: str | None) -> api.ChangeSource:
    """The end with the new commits. Raises `ValueError` without a full commit id."""
    end = change.from_ref
    return api.ChangeSource(
        repository=identity(end.repository, site) if end.repository else None,
        branch=branch(end),
        sha=api.full_sha(end.latest_commit or ""),
    )


def branch(end: shapes.Ref) -> str:
    """The short name."""
    return end.id.removeprefix("refs/heads/")


def from_fork(change: shapes.PullRequest) -> bool:
    """Whether the commits are in another repository; one that is gone was another."""
    there, here = change.from_ref.repository, change.to_ref.repository
    if there is None or here is None:
        return True
    if there.id is not None and here.id is not None and there.id != here.id:
        return True
    return normalise(f"{there.project.key}/{there.slug}") != normalise(f"{here.project.key}/{here.slug}")


def change_page(change: shapes.PullRequest, site: str | None) -> str | None:
    """Where people look at a pull request."""
    home = page(change.to_ref.repository, site) if change.to_ref.repository else None
    return href(change.links) or (f"{home}/pull-requests/{change.id}" if home else None)


def _target(change: shapes.PullRequest, site: str | None) -> api.Repository:
    if change.to_ref.repository is None:
        raise ValueError("`toRef` names no repository")
    return identity(change.to_ref.repository, site)


CommentAction = Literal["created", "edited", "deleted"]


def change_comment(payload: shapes.ChangeCommentPayload, site: str | None, *, action: CommentAction) -> api.Reading:
    """`pr:comment:…`, on the conversation or on a line."""
    change, written = payload.pull_request, payload.comment
    home = change_page(change, site)
    event = api.Comment(
        repository=_target(change, site),
        on="review" if written.anchor else "change_request",
        action=action,
        body=written.text,
        author=account(written.author) or "",
        change=change.id,
        sha=api.full_sha_or_none(change.from_ref.latest_commit),
        actor=account(payload.actor),
        url=f"{home}/overview?commentId={written.id}" if home and written.id is not None else home,
    )
    return api.Parsed(events=(event,))


def commit_comment(payload: shapes.CommitCommentPayload, site: str | None, *, action: CommentAction) -> api.Reading:
    """`repo:comment:…`"""
    written, home = payload.comment, page(payload.repository, site)
    sha = api.full_sha_or_none(payload.commit)
    url = f"{home}/commits/{sha}" if home and sha else None
    event = api.Comment(
        repository=identity(payload.repository, site),
        on="commit",
        action=action,
        body=written.text,
        author=account(written.author) or "",
        sha=sha,
        actor=account(payload.actor),
        url=f"{url}?commentId={written.id}" if url and written.id is not None else url,
    )
    return api.Parsed(events=(event,))


def ping(payload: shapes.PingPayload, site: str | None) -> api.Reading:  # noqa: ARG001 - a converter's signature
    """`diagnostics:ping` names no repository."""
    return api.Parsed(events=(api.Ping(),))
