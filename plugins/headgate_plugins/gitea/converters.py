"""From the shapes of Gitea, Forgejo and Gogs to our events, or to a reason why there is none; pure.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from headgate import api
from headgate_plugins.gitea import shapes
from headgate_plugins.gitea.names import normalise

DEFAULT_HOST = "localhost"
"""Where a payload names no address; servers always do."""

# The defaults of WORK_IN_PROGRESS_PREFIXES. https://docs.gitea.com/usage/issues-prs/pull-request#work-in-progress-pull-requests
DRAFT_PREFIXES = ("wip:", "[wip]")


def push(payload: shapes.PushPayload) -> api.Reading:
    """A branch is a `Push`, a tag a `Tag`; the same commit before and after is what the button "Test" sends.

    That its commits are complete is never said: the payload does not tell a forced push from another.
    """
    repository = _repository(payload.repository)
    actor = _actor(payload.pusher) or _actor(payload.sender)
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
                forced=before is not None and after is not None,  # git moves no tag without force
                commits=commits,
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
        repository = _repository(payload.repository)
        return _parsed(api.PollRequested(repository=repository, actor=_actor(payload.sender)))
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
            repository=_repository(payload.repository),
            ref=_full_ref("refs/heads/", payload.ref),
            before=None,
            after=None,
            before_known=False,
            actor=_actor(payload.sender),
            default_branch=payload.repository.default_branch,
        )
    )


def _tag(payload: shapes.RefPayload, *, after: str | None) -> api.Tag:
    """Gogs says of a tag where it is, also when it was moved there."""
    ref = _full_ref("refs/tags/", payload.ref)
    return api.Tag(
        repository=_repository(payload.repository),
        ref=ref,
        tag=ref.removeprefix("refs/tags/"),
        before=None,
        after=after,
        before_known=False,
        actor=_actor(payload.sender),
    )


def _full_ref(prefix: str, ref: str) -> str:
    if not ref or ref == prefix:
        raise ValueError("`ref` is empty")
    return ref if ref.startswith(prefix) else prefix + ref


# https://docs.gitea.com/usage/repository/webhooks; `closed`, `edited` and `label_updated` are told apart below.
CHANGE_ACTIONS: Mapping[str, api.ChangeAction] = {
    "opened": "opened",
    "synchronized": "updated",
    "reopened": "reopened",
    "label_cleared": "unlabelled",
}
QUIET_ACTIONS = frozenset(
    {"assigned", "unassigned", "milestoned", "demilestoned", "review_requested", "review_request_removed"}
)
"""Actions that change neither the code nor what a job may look at."""


def pull_request(payload: shapes.PullRequestPayload) -> api.Reading:
    """What happened to a pull request; with the action `reviewed`, what somebody thinks of it."""
    if payload.action == "reviewed":
        return review(payload)
    if payload.action == "label_updated":
        return _parsed(*(_change(payload, action) for action in _labelled(payload.changes)))
    action = CHANGE_ACTIONS.get(payload.action)
    if payload.action == "closed":
        action = "merged" if payload.pull_request.merged else "closed"
    elif payload.action == "edited":
        action = _edited(payload)
    if action is None:
        why = "changes nothing a job looks at" if payload.action in QUIET_ACTIONS else "is not known"
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a pull request {why}")
    return _parsed(_change(payload, action))


def _labelled(changes: shapes.Changes | None) -> tuple[api.ChangeAction, ...]:
    """Whether labels came, went, or both; servers that tell only those that are there now say that some came."""
    if changes is None or not changes.removed_labels:
        return ("labelled",)
    return ("labelled", "unlabelled") if changes.added_labels else ("unlabelled",)


def _edited(payload: shapes.PullRequestPayload) -> api.ChangeAction:
    """A draft is one by its title, so a new title may make or end it."""
    changed = payload.changes.title if payload.changes else None
    if changed is None or changed.from_ is None:
        return "edited"
    was, now = is_draft_title(changed.from_), is_draft_title(payload.pull_request.title)
    if was == now:
        return "edited"
    return "draft" if now else "ready"


def is_draft_title(title: str) -> bool:
    """Whether a title says that the work goes on; the prefixes are the servers' defaults, whatever the letter case."""
    return title.lower().startswith(DRAFT_PREFIXES)


VERDICTS: Mapping[str, api.ChangeAction] = {"approved": "approved", "rejected": "rejected"}


def review(payload: shapes.PullRequestPayload, verdict: str = "") -> api.Reading:
    """A verdict is something that happens to the change; its text, if any, is a comment beside it.

    `verdict`: what the event's name ends in, which counts when the payload does not say it.
    """
    said = payload.review or shapes.Review()
    word = (said.type or "").rpartition("_")[2] or verdict
    action = VERDICTS.get(word)
    change = _change(payload, action or "edited")
    events: list[api.Event] = [change] if action is not None else []
    if said.content:
        events.append(
            api.Comment(
                repository=change.repository,
                on="review",
                action="created",
                body=said.content,
                author=change.actor or "ghost",
                change=change.number,
                sha=change.source.sha,
                actor=change.actor,
                url=change.url,
            )
        )
    if not events:
        return api.Ignored(reason=f"a review of the kind `{word[:80]}` that has no text")
    return _parsed(*events)


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
            repository=_repository(payload.repository),
            on="change_request" if on_change else "issue",
            action=action,
            body=payload.comment.body,
            author=_actor(payload.comment.user) or "ghost",
            change=payload.issue.number if on_change else None,
            sha=api.full_sha_or_none(head.sha) if head else None,
            actor=_actor(payload.sender),
            url=payload.comment.html_url or None,
        )
    )


def release(payload: shapes.ReleasePayload) -> api.Reading:
    """Published, updated or deleted. Gogs knows only the first, and its older versions do not say it."""
    return _parsed(
        api.Release(
            repository=_repository(payload.repository),
            tag=payload.release.tag_name,
            name=payload.release.name or "",
            action=payload.action or "published",
            prerelease=payload.release.prerelease,
            draft=payload.release.draft,
            actor=_actor(payload.sender),
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
            repository=_repository(payload.repository),
            sha=api.full_sha(payload.sha),
            context=payload.context,
            state=state,
            actor=_actor(payload.sender),
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
            repository=_repository(payload.repository),
            sha=api.full_sha(run.head_sha),
            context=context,
            state=state,
            branches=(run.head_branch,) if run.head_branch else (),
            actor=_actor(payload.sender),
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
            repository=_repository(run.repository),
            sha=api.full_sha(run.commit_sha),
            context=run.workflow_id or run.title or "workflow",
            state=state,
            branches=(run.prettyref,) if run.prettyref and not run.prettyref.startswith(("#", "refs/")) else (),
            actor=_actor(run.trigger_user),
            url=run.html_url or None,
        )
    )


PULL = "refs/pull/"
"""How the ref of a head begins that has no branch, or has none any more."""

AGIT_FLOW = 1
"""https://codeberg.org/api/swagger, the `flow` of a pull request."""


def _change(payload: shapes.PullRequestPayload, action: api.ChangeAction) -> api.ChangeRequest:
    change = payload.pull_request
    number = change.number if change.number is not None else payload.number
    if number is None:
        raise ValueError("the pull request has no number")
    head = _side(change.head, change.head_branch, change.head_repo)
    base = _side(change.base, change.base_branch, change.base_repo)
    repository = _repository(payload.repository)
    source, from_fork = (None, True) if _is_agit(change, head) else _source(head, base, repository)
    sha = api.full_sha_or_none(head.sha)
    branch = (head.label or head.ref) if head.ref.startswith(PULL) else head.ref
    # Gogs moves a pull request's own ref only after it has told of it; a branch has moved by then.
    moved = sha is not None or from_fork or branch != head.ref
    return api.ChangeRequest(
        repository=repository,
        number=number,
        action=action,
        title=change.title,
        source=api.ChangeSource(repository=source, branch=branch, sha=sha),
        target=api.ChangeTarget(branch=base.ref, sha=api.full_sha_or_none(base.sha)),
        author=_actor(change.user) or "ghost",
        actor=_actor(payload.sender),
        url=change.html_url or None,
        from_fork=from_fork,
        draft=change.draft if change.draft is not None else is_draft_title(change.title),
        labels=tuple(label.name for label in change.labels or ()),
        head_ref=f"refs/pull/{number}/head" if moved else f"refs/heads/{head.ref}",
    )


def _side(side: shapes.Side | None, branch: str | None, repo: shapes.Repo | None) -> shapes.Side:
    """As Gitea and Forgejo tell it, or as Gogs does, which names no commit."""
    if side is not None:
        return side
    if not branch:
        raise ValueError("the pull request names no branch")
    return shapes.Side(ref=branch, repo=repo)


def _is_agit(change: shapes.PullRequest, head: shapes.Side) -> bool:
    """Whether it was pushed to `refs/for/…`, which whoever may read the repository may do.

    Servers name the repository itself as the head's, and yet what was pushed is no more trusted than a fork; their own
    Actions take it for one, too. https://docs.gitea.com/usage/agit
    """
    return change.flow == AGIT_FLOW or (head.ref.startswith(PULL) and not head.label)


def _source(head: shapes.Side, base: shapes.Side, repository: api.Repository) -> tuple[api.Repository | None, bool]:
    """Where the head is, and whether that is a fork; who does not say it is taken for one, for it is trusted less."""
    if head.repo is not None:
        source = _repository(head.repo)
        return source, normalise(source.path) != normalise(repository.path)
    same = head.repo_id is not None and head.repo_id == base.repo_id
    return (repository, False) if same else (None, True)


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


def _repository(repo: shapes.Repo) -> api.Repository:
    path = repo.full_name or f"{_actor(repo.owner) or ''}/{repo.name or ''}"
    normalise(path)
    url = repo.html_url or repo.clone_url or repo.url
    return api.Repository(host=api.host_of(url) if url else DEFAULT_HOST, path=path)


def _actor(user: shapes.User | None) -> str | None:
    return (user.login or user.username or None) if user else None


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
