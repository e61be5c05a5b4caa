"""From Bitbucket's shapes to our events, or to a reason why there is none; pure, and no word about signatures.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

import re
from typing import Literal

from headgate import api
from headgate_plugins.bitbucket import shapes
from headgate_plugins.bitbucket.names import normalise, sha

DEFAULT_HOST = "bitbucket.org"
API_HOST = "api.bitbucket.org"
"""The documentation's examples link pages there."""

NOBODY = "former user"
"""Bitbucket sends null for accounts that were deleted."""

_RAW_AUTHOR = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>\s*")
_COMMIT_OF_LINK = re.compile(r"/commit/([0-9a-fA-F]{40})(?:[/?#]|$)")


# -- pushes


def push(payload: shapes.PushPayload) -> api.Reading:
    """One event for each branch and tag that moved.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push
    """
    events: list[api.Event] = []
    passed_over: list[str] = []
    for change in payload.push.changes:
        ref = change.new or change.old
        if ref is None:
            passed_over.append("a change without a ref")
        elif ref.type in BRANCHES:
            events.append(_branch(change, ref.name, payload))
        elif ref.type in TAGS:
            events.append(_tag(change, ref.name, payload))
        else:
            passed_over.append(f"`{ref.name[:80]}`, a {ref.type[:40]}")
    if not events:
        named = ", ".join(passed_over[:5]) or "nothing"
        return api.Ignored(reason=f"the push moved neither a branch nor a tag, but {named}")
    return _parsed(*events)


BRANCHES = frozenset({"branch", "named_branch"})
TAGS = frozenset({"tag", "annotated_tag"})
"""https://developer.atlassian.com/cloud/bitbucket/rest/api-group-refs/"""


def _branch(change: shapes.RefChange, name: str, payload: shapes.PushPayload) -> api.Push:
    before, after = _sides(change)
    commits = tuple(_commit(commit) for commit in change.commits or ())
    # At most five commits are listed, newest first, and `truncated` says whether there were more. A forced or new
    # branch lists what is new, which is not what differs from before.
    complete = (
        before is not None
        and after is not None
        and not change.forced
        and change.truncated is False
        and bool(commits)
        and commits[0].id == after
    )
    mainbranch = payload.repository.mainbranch
    return api.Push(
        repository=_repository(payload.repository),
        ref=f"refs/heads/{name}",
        before=before,
        after=after,
        actor=account(payload.actor),
        url=page(change.links),
        forced=change.forced,
        commits=commits,
        commits_complete=complete,
        default_branch=mainbranch.name if mainbranch else None,
    )


def _tag(change: shapes.RefChange, name: str, payload: shapes.PushPayload) -> api.Tag:
    before, after = _sides(change)
    return api.Tag(
        repository=_repository(payload.repository),
        ref=f"refs/tags/{name}",
        tag=name,
        before=before,
        after=after,
        actor=account(payload.actor),
        url=page(change.links),
        forced=change.forced,
        commits=tuple(_commit(commit) for commit in change.commits or ()),
    )


def _sides(change: shapes.RefChange) -> tuple[str | None, str | None]:
    return (
        api.full_sha(change.old.target.hash) if change.old else None,
        api.full_sha(change.new.target.hash) if change.new else None,
    )


def _commit(commit: shapes.PushedCommit) -> api.Commit:
    """Its paths are never sent."""
    return api.Commit(
        id=api.full_sha(commit.hash),
        message=commit.message or "",
        author=person(commit.author),
        url=page(commit.links),
    )


# -- pull requests


def pull_request(payload: shapes.PullRequestPayload, *, action: api.ChangeAction) -> api.Reading:
    """Its commits are abbreviated to 12 digits, and said as they come; there is no ref that leads to a fork's head.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Pull-request-events
    """
    change = payload.pullrequest
    if change.source.commit is None:
        return api.Ignored(reason=f"pull request {change.id} names no commit: its source is gone")
    repository = _repository(payload.repository)
    source = _repository(change.source.repository) if change.source.repository else None
    target = change.destination.commit
    return _parsed(
        api.ChangeRequest(
            repository=repository,
            number=change.id,
            action=action,
            title=change.title,
            source=api.ChangeSource(
                repository=source, branch=change.source.branch.name, sha=sha(change.source.commit.hash)
            ),
            target=api.ChangeTarget(branch=change.destination.branch.name, sha=sha(target.hash) if target else None),
            author=account(change.author) or NOBODY,
            actor=account(payload.actor),
            url=page(change.links),
            # A deleted fork was a fork: a branch of the repository itself cannot lose its repository.
            from_fork=source is None or normalise(source.path) != normalise(repository.path),
            draft=bool(change.draft),
        )
    )


# -- comments

CommentAction = Literal["created", "edited", "deleted"]


def change_comment(payload: shapes.ChangeCommentPayload, *, action: CommentAction) -> api.Reading:
    """On a pull request, or on a line of it.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Comment-created
    """
    return _comment(
        payload,
        on="change_request" if payload.comment.inline is None else "review",
        action=action,
        change=payload.pullrequest.id,
    )


def commit_comment(payload: shapes.CommitCommentPayload) -> api.Reading:
    """https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Commit-comment-created"""
    return _comment(payload, on="commit", action="created", commit=sha(payload.commit.hash))


def _comment(
    payload: shapes.ChangeCommentPayload | shapes.CommitCommentPayload,
    *,
    on: Literal["change_request", "review", "commit"],
    action: CommentAction,
    change: int | None = None,
    commit: str | None = None,
) -> api.Reading:
    comment = payload.comment
    # The documented comment has no `user`: whoever made it just now is its author.
    author = account(comment.user) or (account(payload.actor) if action == "created" else None)
    return _parsed(
        api.Comment(
            repository=_repository(payload.repository),
            on=on,
            action=action,
            body=(comment.content.raw if comment.content else None) or "",
            author=author or NOBODY,
            change=change,
            sha=commit,
            actor=account(payload.actor),
            url=page(comment.links),
        )
    )


# -- build statuses

CiState = Literal["pending", "success", "failure", "error"]

# https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
STATES: dict[str, CiState] = {
    "INPROGRESS": "pending",
    "SUCCESSFUL": "success",
    "FAILED": "failure",
    "STOPPED": "error",
}


def status(payload: shapes.StatusPayload) -> api.Reading:
    """`context` is the key, because a newer status replaces the one of the same key.

    https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Build-status-created
    """
    told = payload.commit_status
    state = STATES.get(told.state)
    if state is None:
        return api.Ignored(reason=f"the build status `{told.key[:80]}` has the unknown state `{told.state[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=_repository(payload.repository),
            sha=_status_sha(told),
            context=told.key,
            state=state,
            branches=(told.refname,) if told.refname else (),
            actor=account(payload.actor),
            url=told.url,
        )
    )


def _status_sha(told: shapes.BuildStatus) -> str:
    """As the status says it, or as its link to the commit ends."""
    if told.commit is not None:
        return api.full_sha(told.commit.hash)
    link = told.links.commit if told.links else None
    found = _COMMIT_OF_LINK.search((link.href if link else None) or "")
    if found is None:
        raise ValueError("the build status names no commit")
    return found[1].lower()


# -- what they have in common


def person(author: shapes.Author | None) -> api.Person:
    """`Name <address>`, as git has it; the account's name when there is nothing else."""
    if author is None:
        return api.Person()
    if author.raw is None:
        return api.Person(name=account(author.user) or account(author) or "")
    found = _RAW_AUTHOR.fullmatch(author.raw)
    if found is None:
        return api.Person(name=author.raw.strip())
    return api.Person(name=found["name"].strip(), email=found["email"].strip())


def _repository(repo: shapes.Repo) -> api.Repository:
    workspace = repo.workspace.slug if repo.workspace else None
    path = repo.full_name or f"{workspace or ''}/{repo.name or ''}"
    normalise(path)
    url = page(repo.links)
    host = api.host_of(url) if url else DEFAULT_HOST
    return api.Repository(host=DEFAULT_HOST if host == API_HOST else host, path=path)


def account(user: shapes.User | None) -> str | None:
    """The name people know; no two fields of it are always there, and none is unique."""
    return (user.username or user.nickname or user.display_name) if user else None


def page(links: shapes.Links | None) -> str | None:
    """Where people see it."""
    return links.html.href if links and links.html else None


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
