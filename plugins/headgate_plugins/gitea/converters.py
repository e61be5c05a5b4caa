"""From the shapes of Gitea, Forgejo and Gogs to our events, or to a reason why there is none; pure.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant. Pull requests have a module of
their own, `pull_requests.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from headgate import api
from headgate_plugins.gitea import shapes
from headgate_plugins.gitea.places import account, repository_of


def push(payload: shapes.PushPayload) -> api.Reading:
    """A branch is a `Push`, a tag a `Tag`; the same commit before and after is what the button "Test" sends.

    That its commits are complete is never said: the payload does not tell a forced push from another.
    """
    repository = repository_of(payload.repository)
    actor = account(payload.pusher) or account(payload.sender)
    if payload.before == payload.after:
        return _parsed(api.Ping(repository=repository, actor=actor))
    before, after = api.full_sha_or_none(payload.before), api.full_sha_or_none(payload.after)
    if before is None and after is None:
        raise ValueError("neither `before` nor `after` is a commit")
    commits = tuple(_commit(commit) for commit in payload.commits or ())
    if commits and commits[0].id == after:
        commits = commits[::-1]  # ours come as git applied them
    if payload.ref.startswith("refs/tags/"):
        return _parsed(
            api.Tag(
                repository=repository,
                ref=payload.ref,
                tag=payload.ref.removeprefix("refs/tags/"),
                before=before,
                after=after,
                actor=actor,
                url=payload.compare_url or None,
                forced=api.tag_moved(before, after),
                commits=commits,
                commit=api.tagged_commit(payload.head_commit.id if payload.head_commit else None, after),
            )
        )
    if not payload.ref.startswith("refs/heads/"):
        return api.Ignored(reason=f"`{payload.ref[:80]}` is neither a branch nor a tag")
    return _parsed(
        api.Push(
            repository=repository,
            ref=payload.ref,
            before=before,
            after=after,
            actor=actor,
            url=payload.compare_url or None,
            commits=commits,
            default_branch=payload.repository.default_branch,
        )
    )


def created(payload: shapes.RefPayload, *, tags_are_pushed: bool) -> api.Reading:
    """Told as `push`, too, in either order, but for the tags of Gogs."""
    if payload.ref_type == "branch":
        return api.Ignored(reason="a new branch arrives as `push`, too, with its commits")
    if payload.ref_type != "tag":
        return api.Ignored(reason=f"`{payload.ref_type[:80]}` is neither a branch nor a tag")
    if tags_are_pushed:
        return api.Ignored(reason="a new tag arrives as `push`, too, with its commit")
    if not payload.sha:  # older versions: so the repository is asked where it is
        repository = repository_of(payload.repository)
        return _parsed(api.PollRequested(repository=repository, actor=account(payload.sender)))
    return _parsed(_tag(payload, after=api.full_sha(payload.sha)))


def deleted(payload: shapes.RefPayload, *, tags_are_pushed: bool) -> api.Reading:
    """The only word about a branch that was deleted, and it names no commit; tags arrive as `push`, but for Gogs'."""
    if payload.ref_type == "tag":
        if tags_are_pushed:
            return api.Ignored(reason="a deleted tag arrives as `push`, too, with the commit it pointed to")
        return _parsed(_tag(payload, after=None))
    if payload.ref_type != "branch":
        return api.Ignored(reason=f"`{payload.ref_type[:80]}` is neither a branch nor a tag")
    return _parsed(
        api.Push(
            repository=repository_of(payload.repository),
            ref=_full_ref("refs/heads/", payload.ref),
            before=None,
            after=None,
            before_known=False,
            actor=account(payload.sender),
            default_branch=payload.repository.default_branch,
        )
    )


def _tag(payload: shapes.RefPayload, *, after: str | None) -> api.Tag:
    """Gogs says of a tag where it is, also when it was moved there."""
    ref = _full_ref("refs/tags/", payload.ref)
    return api.Tag(
        repository=repository_of(payload.repository),
        ref=ref,
        tag=ref.removeprefix("refs/tags/"),
        before=None,
        after=after,
        before_known=False,
        actor=account(payload.sender),
    )


def _full_ref(prefix: str, ref: str) -> str:
    if not ref or ref == prefix:
        raise ValueError("`ref` is empty")
    return ref if ref.startswith(prefix) else prefix + ref


COMMENT_ACTIONS: Mapping[str, Literal["created", "edited", "deleted"]] = {
    "created": "created",
    "edited": "edited",
    "deleted": "deleted",
}


def comment(payload: shapes.CommentPayload) -> api.Reading:
    """On a pull request's conversation, or on an issue."""
    action = COMMENT_ACTIONS.get(payload.action)
    if action is None:
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a comment does not change it")
    on_change = bool(payload.is_pull) or payload.issue.pull_request is not None
    head = payload.pull_request.head if payload.pull_request else None
    return _parsed(
        api.Comment(
            repository=repository_of(payload.repository),
            on="change_request" if on_change else "issue",
            action=action,
            body=payload.comment.body,
            author=account(payload.comment.user) or "ghost",
            change=payload.issue.number if on_change else None,
            sha=api.full_sha_or_none(head.sha) if head else None,
            actor=account(payload.sender),
            url=payload.comment.html_url or None,
        )
    )


def release(payload: shapes.ReleasePayload) -> api.Reading:
    """Published, updated or deleted. Gogs knows only the first, and its older versions do not say it."""
    return _parsed(
        api.Release(
            repository=repository_of(payload.repository),
            tag=payload.release.tag_name,
            name=payload.release.name or "",
            action=payload.action or "published",
            prerelease=payload.release.prerelease,
            draft=payload.release.draft,
            actor=account(payload.sender),
            url=payload.release.html_url or None,
        )
    )


CiState = Literal["pending", "success", "failure", "error"]

# A warning is no success, so it does not let a merge through: https://docs.gitea.com/usage/access-control/protected-branches
STATES: Mapping[str, CiState] = {
    "pending": "pending",
    "success": "success",
    "skipped": "success",
    "failure": "failure",
    "warning": "failure",
    "error": "error",
    "cancelled": "error",
}


def status(payload: shapes.StatusPayload) -> api.Reading:
    """Somebody set a commit's status; the Actions do it for each of their jobs."""
    state = STATES.get(payload.state)
    if state is None:
        return api.Ignored(reason=f"a commit status in the unknown state `{payload.state[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=repository_of(payload.repository),
            sha=api.full_sha(payload.sha),
            context=payload.context,
            state=state,
            actor=account(payload.sender),
            url=payload.target_url or None,
        )
    )


def workflow_run(payload: shapes.WorkflowRunPayload) -> api.Reading:
    """A run of Gitea's Actions."""
    run = payload.workflow_run
    name = payload.workflow.name if payload.workflow else None
    return _worked(payload, run, name or (run.path or "").partition("@")[0] or "workflow")


def workflow_job(payload: shapes.WorkflowJobPayload) -> api.Reading:
    """A job of such a run."""
    return _worked(payload, payload.workflow_job, payload.workflow_job.name or "job")


def _worked(
    payload: shapes.WorkflowRunPayload | shapes.WorkflowJobPayload, run: shapes.WorkflowRun, context: str
) -> api.Reading:
    """Only the end is news."""
    if payload.action != "completed" or not run.conclusion:
        return api.Ignored(reason=f"`{context[:80]}` is not complete (action `{payload.action[:80]}`)")
    state = STATES.get(run.conclusion)
    if state is None:
        return api.Ignored(reason=f"`{context[:80]}` ended with the unknown conclusion `{run.conclusion[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=repository_of(payload.repository),
            sha=api.full_sha(run.head_sha),
            context=context,
            state=state,
            branches=(run.head_branch,) if run.head_branch else (),
            actor=account(payload.sender),
            url=run.html_url or None,
        )
    )


def action_run(payload: shapes.ActionRunPayload) -> api.Reading:
    """A run of Forgejo's Actions, which tells only how it ended."""
    run = payload.run
    state = STATES.get(run.status)
    if run.repository is None or state is None:
        return api.Ignored(reason=f"a run in the state `{run.status[:80]}` that names no repository or has not ended")
    return _parsed(
        api.CiStatus(
            repository=repository_of(run.repository),
            sha=api.full_sha(run.commit_sha),
            context=run.workflow_id or run.title or "workflow",
            state=state,
            branches=(run.prettyref,) if run.prettyref and not run.prettyref.startswith(("#", "refs/")) else (),
            actor=account(run.trigger_user),
            url=run.html_url or None,
        )
    )


def _commit(commit: shapes.PushedCommit) -> api.Commit:
    author = commit.author or shapes.Author()
    lists = (commit.added, commit.modified, commit.removed)
    return api.Commit(
        id=api.full_sha(commit.id),
        message=commit.message or "",
        author=api.Person(name=author.name or "", email=author.email or ""),
        url=commit.url or None,
        paths=tuple(sorted({path for paths in lists for path in paths or ()})) if None not in lists else None,
    )


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
