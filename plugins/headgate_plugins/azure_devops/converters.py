"""From Azure DevOps' shapes to our events, or to a reason why there is none; pure, and no word about secrets.

A converter takes the resource and the message's text, and raises `ValueError` for what cannot be meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeVar

from headgate import api
from headgate_plugins.azure_devops import shapes, spelling

TOO_LITTLE = (
    "the subscription sends too little; set `Resource details to send` to All, and the version to the newest offered"
)


def push(payload: shapes.Push, text: str) -> api.Reading:  # noqa: ARG001 - a converter's signature
    """Each branch is a `Push`, each tag a `Tag`. https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.push

    Nothing says whether a branch was forced, nor which of its commits belong to which ref.
    """
    if payload.repository is None or payload.ref_updates is None:
        return api.Ignored(reason=f"`git.push`: {TOO_LITTLE}")
    repository = spelling.repository(payload.repository)
    commits = tuple(_commit(one) for one in payload.commits or ()) if len(payload.ref_updates) == 1 else ()
    moves = [_move(one, payload, repository, commits) for one in payload.ref_updates]
    events = tuple(move for move in moves if move is not None)
    if not events:
        names = ", ".join(f"`{one.name[:80]}`" for one in payload.ref_updates[:3])
        return api.Ignored(reason=f"a push of {names or 'nothing'}: neither a branch nor a tag")
    return api.Parsed(events=events)


def _move(
    update: shapes.RefUpdate, payload: shapes.Push, repository: api.Repository, commits: tuple[api.Commit, ...]
) -> api.Event | None:
    before, after = api.full_sha_or_none(update.old_object_id), api.full_sha_or_none(update.new_object_id)
    if before is None and after is None:
        raise ValueError(f"`{update.name[:80]}` leads from nothing to nothing")
    actor, page = spelling.account(payload.pushed_by), spelling.page(payload.repository)
    url = f"{page}/commit/{after}" if page and after else page
    if commits and commits[0].id == after:  # the newest first; ours last
        commits = commits[::-1]
    if update.name.startswith("refs/tags/"):
        tag = update.name.removeprefix("refs/tags/")
        return api.Tag(
            repository=repository, ref=update.name, tag=tag, before=before, after=after, actor=actor, url=url,
            forced=api.tag_moved(before, after),
            commits=commits,
        )  # fmt: skip
    if not update.name.startswith("refs/heads/"):
        return None
    return api.Push(
        repository=repository,
        ref=update.name,
        before=before,
        after=after,
        actor=actor,
        url=url,
        commits=commits,
        default_branch=spelling.branch(payload.repository.default_branch) if payload.repository else None,
    )


def pull_request_created(change: shapes.PullRequest, text: str) -> api.Reading:  # noqa: ARG001 - a converter's signature
    """https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.pullrequest.created"""
    return _change(change, "opened", spelling.account(change.created_by))


def pull_request_merged(change: shapes.PullRequest, text: str) -> api.Reading:
    """A merge was tried, often only to see whether it would work: it is one when the pull request is completed.

    https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.pullrequest.merged
    """
    if change.status and change.status != "completed":
        return api.Ignored(reason=f"a merge was tried; the pull request is still `{change.status[:40]}`")
    return _change(change, "merged", _closer(change, text))


# What the payload does not say in a field stands in its message, in English, before "pull request". The title comes
# behind, so that it cannot be taken for it. Words not known here are an update: at most, nothing moved.
_SAID = re.compile(
    r"[^\r\n]{0,300}?\s(?:(updated the source branch|approved|has approved and left suggestions"
    r"|is waiting for the author|rejected|voted|reactivated|changed the reviewer list)(?: (?:for|in|of|on))? pull request\b"
    r"|(published|marked) the pull request\b( as (?:a )?draft\b)?)"
)
_MEANT: dict[str, api.ChangeAction] = {
    "updated the source branch": "updated",
    "approved": "approved",
    "has approved and left suggestions": "approved",
    "is waiting for the author": "rejected",
    "rejected": "rejected",
    "reactivated": "reopened",
    "published": "ready",
}
_LEAST_APPROVAL = 5


def pull_request_updated(change: shapes.PullRequest, text: str) -> api.Reading:
    """Its status counts first, then its message, and a vote only if a reviewer's vote still says the same.

    https://learn.microsoft.com/en-us/azure/devops/service-hooks/events#git.pullrequest.updated
    """
    if change.status == "completed":
        return _change(change, "merged", _closer(change, text))
    if change.status == "abandoned":
        return _change(change, "closed", _closer(change, text))
    said = _SAID.match(text)
    words, other, draft = (said[1], said[2], said[3]) if said else (None, None, None)
    if words is not None and words.startswith("changed the reviewer list"):
        return api.Ignored(reason="a change of reviewers changes neither the code nor what a job may look at")
    action: api.ChangeAction = "draft" if draft else _MEANT.get(words or other or "", "updated")
    votes = [reviewer.vote or 0 for reviewer in change.reviewers or ()]
    if words == "voted" and (vote := _vote(change, text)) is not None:
        action, votes = "approved" if vote > 0 else "rejected", [vote]
    gone = (action == "approved" and max(votes, default=0) < _LEAST_APPROVAL) or (
        action == "rejected" and min(votes, default=0) >= 0
    )
    if gone and change.reviewers is not None:
        return api.Ignored(reason="a vote that was taken back before this was sent")
    return _change(change, action, _actor(change, text))


def commented(payload: shapes.Commented, text: str) -> api.Reading:  # noqa: ARG001 - a converter's signature
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-thread-comments/get"""
    comment, change = payload.comment, payload.pull_request
    if comment is None or change is None or change.repository is None or change.pull_request_id is None:
        return api.Ignored(reason=f"a comment: {TOO_LITTLE}")
    if comment.comment_type == "system":
        return api.Ignored(reason="a comment that Azure DevOps wrote about something else that happened")
    action: Literal["created", "edited", "deleted"] = "created"
    if comment.is_deleted:
        action = "deleted"
    elif comment.published_date and comment.last_content_updated_date not in {None, comment.published_date}:
        action = "edited"
    return api.Parsed(
        events=(
            api.Comment(
                repository=spelling.repository(change.repository),
                on="change_request",
                action=action,
                body=comment.content or "",
                author=spelling.account(comment.author) or "",
                change=change.pull_request_id,
                actor=spelling.account(comment.author),
                url=spelling.change_page(change),
            ),
        )
    )


RESULTS: dict[str, Literal["success", "failure", "error"]] = {
    "succeeded": "success",
    # Issues are warnings: `succeeded()` is true, https://learn.microsoft.com/en-us/azure/devops/pipelines/process/expressions
    "partiallySucceeded": "success",
    "failed": "failure",
    "canceled": "error",
}


def build_complete(build: shapes.Build, text: str) -> api.Reading:  # noqa: ARG001 - a converter's signature
    """Version 2.0; 1.0 is of another kind of build and names no repository."""
    source, project = build.repository, build.project
    # Asked first: one that is elsewhere may have no name here, whatever the subscription sends.
    if source is not None and source.type and source.type != "TfsGit":
        return api.Ignored(reason=f"a build of a repository that is elsewhere (`{source.type[:40]}`)")
    if source is None or not source.type or not source.name or project is None or not project.name:
        return api.Ignored(reason=f"`build.complete`: it names no repository; {TOO_LITTLE}")
    if not build.source_version:
        return api.Ignored(reason=f"`build.complete`: it names no commit; {TOO_LITTLE}")
    name = (build.definition.name if build.definition else None) or "build"
    state = RESULTS.get(build.result or "")
    if state is None:
        return api.Ignored(reason=f"`{name[:80]}` ended with the unknown result `{str(build.result)[:40]}`")
    repo = shapes.Repo(name=source.name, project=project, remote_url=source.url)
    branch = spelling.branch(build.source_branch)
    return api.Parsed(
        events=(
            api.CiStatus(
                repository=spelling.repository(repo),
                sha=api.full_sha(build.source_version),
                context=name,
                state=state,
                branches=(branch,) if branch else (),
                actor=spelling.account(build.requested_for),
                url=spelling.web_link(build.links),
            ),
        )
    )


def _change(change: shapes.PullRequest, action: api.ChangeAction, actor: str | None) -> api.Reading:
    if change.repository is None or change.pull_request_id is None or not change.source_ref_name:
        return api.Ignored(reason=f"a pull request: {TOO_LITTLE}")
    head = change.last_merge_source_commit
    if head is None or not head.commit_id:
        return api.Ignored(reason="a pull request whose head is not known yet; what follows names it")
    repository, source = spelling.repository(change.repository), None
    source_branch, target_branch = spelling.branch(change.source_ref_name), spelling.branch(change.target_ref_name)
    if source_branch is None or target_branch is None:
        raise ValueError("a source or target that is no branch")
    target = change.last_merge_target_commit
    forked = change.fork_source is not None
    if change.fork_source is None:
        source = repository
    elif change.fork_source.repository is not None:
        source = spelling.repository(change.fork_source.repository)
    return api.Parsed(
        events=(
            api.ChangeRequest(
                repository=repository,
                number=change.pull_request_id,
                action=action,
                title=change.title,
                source=api.ChangeSource(repository=source, branch=source_branch, sha=api.full_sha(head.commit_id)),
                target=api.ChangeTarget(
                    branch=target_branch, sha=api.full_sha_or_none(target.commit_id if target else None)
                ),
                author=spelling.account(change.created_by) or "",
                actor=actor,
                url=spelling.change_page(change),
                from_fork=forked,
                draft=bool(change.is_draft),
                labels=spelling.labels(change),
                # Only refs/pull/N/merge exists, which leads to the merge and never to the head.
                head_ref=None,
            ),
        )
    )


def _commit(commit: shapes.PushedCommit) -> api.Commit:
    author = commit.author or shapes.Author()
    return api.Commit(
        id=api.full_sha(commit.commit_id),
        message=commit.comment or "",
        author=api.Person(name=author.name or "", email=author.email or ""),
        url=commit.url,
    )


def _actor(change: shapes.PullRequest, text: str) -> str | None:
    """Who the message begins with, if exactly one of those whom the payload names is called so."""
    named = _named(text, [change.created_by, change.closed_by, *(change.reviewers or ())])
    accounts = {spelling.account(one) for one in named}
    return accounts.pop() if len(accounts) == 1 else None


def _closer(change: shapes.PullRequest, text: str) -> str | None:
    """Who completed or abandoned it; the message of a merge that was tried begins with nobody."""
    return _actor(change, text) or spelling.account(change.closed_by)


def _vote(change: shapes.PullRequest, text: str) -> int | None:
    """What the reviewer says whom the message begins with; `None` unless exactly one is called so."""
    named = _named(text, change.reviewers or ())
    return (named[0].vote or 0) if len(named) == 1 else None


Someone = TypeVar("Someone", bound=shapes.Identity)


def _named(text: str, people: Iterable[Someone | None]) -> list[Someone]:
    """Those with whose name the message begins; of a name that begins another, the longer one."""
    named = [one for one in people if one is not None and one.display_name and text.startswith(f"{one.display_name} ")]
    longest = max((len(one.display_name or "") for one in named), default=0)
    return [one for one in named if len(one.display_name or "") == longest]
