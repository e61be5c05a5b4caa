"""From GitHub's shapes to our events, or to a reason why there is none; pure, and no word about signatures.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from headgate import api
from headgate_plugins.github import shapes
from headgate_plugins.github.names import normalise

MOST_COMMITS = 2048
"""GitHub lists no more. https://docs.github.com/en/webhooks/webhook-events-and-payloads#push"""

DEFAULT_HOST = "github.com"


def push(payload: shapes.PushPayload) -> api.Reading:
    """A branch is a `Push`, a tag a `Tag`. https://docs.github.com/en/webhooks/webhook-events-and-payloads#push"""
    before = None if payload.created else api.full_sha_or_none(payload.before)
    after = None if payload.deleted else api.full_sha_or_none(payload.after)
    if before is None and after is None:
        raise ValueError("neither `before` nor `after` is a commit")
    repository = _repository(payload.repository)
    commits = tuple(_commit(commit) for commit in payload.commits or ())
    actor = payload.sender.login if payload.sender else (payload.pusher.name if payload.pusher else None)
    if payload.ref.startswith("refs/tags/"):
        return _parsed(
            api.Tag(
                repository=repository,
                ref=payload.ref,
                tag=payload.ref.removeprefix("refs/tags/"),
                before=before,
                after=after,
                actor=actor,
                url=payload.compare,
                forced=payload.forced,
                commits=commits,
                commit=api.tagged_commit(payload.head_commit.id if payload.head_commit else None, after),
            )
        )
    if not payload.ref.startswith("refs/heads/"):
        return api.Ignored(reason=f"`{payload.ref[:80]}` is neither a branch nor a tag")
    # A forced or new branch lists what is new, which is not what differs from before.
    complete = (
        before is not None
        and after is not None
        and not payload.forced
        and 0 < len(commits) < MOST_COMMITS
        and commits[-1].id == after
    )
    return _parsed(
        api.Push(
            repository=repository,
            ref=payload.ref,
            before=before,
            after=after,
            actor=actor,
            url=payload.compare,
            forced=payload.forced,
            commits=commits,
            commits_complete=complete,
            default_branch=payload.repository.default_branch,
        )
    )


# https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request; `closed` is told apart below.
CHANGE_ACTIONS: dict[str, api.ChangeAction] = {
    "opened": "opened",
    "synchronize": "updated",
    "reopened": "reopened",
    "edited": "edited",
    "labeled": "labelled",
    "unlabeled": "unlabelled",
    "converted_to_draft": "draft",
    "ready_for_review": "ready",
}
QUIET_ACTIONS = frozenset(
    {
        "assigned",
        "unassigned",
        "auto_merge_enabled",
        "auto_merge_disabled",
        "milestoned",
        "demilestoned",
        "enqueued",
        "dequeued",
        "locked",
        "unlocked",
        "review_requested",
        "review_request_removed",
    }
)
"""Actions that change neither the code nor what a job may look at."""


def pull_request(payload: shapes.PullRequestPayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request"""
    action = CHANGE_ACTIONS.get(payload.action)
    if payload.action == "closed":
        action = "merged" if payload.pull_request.merged else "closed"
    if action is None:
        why = "changes nothing a job looks at" if payload.action in QUIET_ACTIONS else "is not known"
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a pull request {why}")
    return _parsed(_change(payload.pull_request, payload.repository, action, payload.sender))


REVIEW_ACTIONS: dict[str, api.ChangeAction] = {"approved": "approved", "changes_requested": "rejected"}


def review(payload: shapes.ReviewPayload) -> api.Reading:
    """A verdict is something that happens to the change; its text, if any, is a comment beside it.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review
    """
    if payload.action not in {"submitted", "edited"}:
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a review says neither yes nor no")
    events: list[api.Event] = []
    verdict = REVIEW_ACTIONS.get(payload.review.state.lower())
    if verdict is not None and payload.action == "submitted":
        events.append(_change(payload.pull_request, payload.repository, verdict, payload.sender))
    if payload.review.body:
        events.append(
            api.Comment(
                repository=_repository(payload.repository),
                on="review",
                action="created" if payload.action == "submitted" else "edited",
                body=payload.review.body,
                author=_login(payload.review.user),
                change=payload.pull_request.number,
                sha=api.full_sha_or_none(payload.review.commit_id),
                actor=_actor(payload.sender),
                url=payload.review.html_url,
            )
        )
    if not events:
        return api.Ignored(reason=f"a review that is `{payload.review.state[:80]}` and has no text")
    return _parsed(*events)


def issue_comment(payload: shapes.IssueCommentPayload) -> api.Reading:
    """On a pull request's conversation, or on an issue.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#issue_comment
    """
    on_change = payload.issue.pull_request is not None
    return _comment(
        payload,
        on="change_request" if on_change else "issue",
        change=payload.issue.number if on_change else None,
    )


def review_comment(payload: shapes.ReviewCommentPayload) -> api.Reading:
    """On a line of a pull request. https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request_review_comment"""
    return _comment(payload, on="review", change=payload.pull_request.number)


def commit_comment(payload: shapes.CommitCommentPayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#commit_comment"""
    return _comment(payload, on="commit")


COMMENT_ACTIONS: dict[str, Literal["created", "edited", "deleted"]] = {
    "created": "created",
    "edited": "edited",
    "deleted": "deleted",
}


def _comment(
    payload: shapes.IssueCommentPayload | shapes.ReviewCommentPayload | shapes.CommitCommentPayload,
    *,
    on: Literal["change_request", "review", "commit", "issue"],
    change: int | None = None,
) -> api.Reading:
    action = COMMENT_ACTIONS.get(payload.action)
    if action is None:
        return api.Ignored(reason=f"the action `{payload.action[:80]}` of a comment does not change it")
    return _parsed(
        api.Comment(
            repository=_repository(payload.repository),
            on=on,
            action=action,
            body=payload.comment.body,
            author=_login(payload.comment.user),
            change=change,
            sha=api.full_sha_or_none(payload.comment.commit_id),
            actor=_actor(payload.sender),
            url=payload.comment.html_url,
        )
    )


def release(payload: shapes.ReleasePayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#release"""
    return _parsed(
        api.Release(
            repository=_repository(payload.repository),
            tag=payload.release.tag_name,
            name=payload.release.name or "",
            action=payload.action,
            prerelease=payload.release.prerelease,
            draft=payload.release.draft,
            actor=_actor(payload.sender),
            url=payload.release.html_url,
        )
    )


def ping(payload: shapes.PingPayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping"""
    repository = _repository(payload.repository) if payload.repository else None
    return _parsed(api.Ping(repository=repository, actor=_actor(payload.sender)))


CiState = Literal["pending", "success", "failure", "error"]
STATES: dict[str, CiState] = {"pending": "pending", "success": "success", "failure": "failure", "error": "error"}

# https://docs.github.com/en/rest/checks/runs: neutral and skipped do not stand in a merge's way.
CONCLUSIONS: dict[str, CiState] = {
    "success": "success",
    "neutral": "success",
    "skipped": "success",
    "failure": "failure",
    "timed_out": "failure",
    "action_required": "failure",
    "cancelled": "error",
    "stale": "error",
    "startup_failure": "error",
}

AGAIN = frozenset({"rerequested", "requested", "requested_action"})
"""Actions that ask for a check to be run."""


def status(payload: shapes.StatusPayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#status"""
    state = STATES.get(payload.state)
    if state is None:
        return api.Ignored(reason=f"a commit status in the unknown state `{payload.state[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=_repository(payload.repository),
            sha=api.full_sha(payload.sha),
            context=payload.context,
            state=state,
            branches=tuple(branch.name for branch in payload.branches or ()),
            actor=_actor(payload.sender),
            url=payload.target_url,
        )
    )


def check_suite(payload: shapes.CheckSuitePayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_suite"""
    suite = payload.check_suite
    return _checked(payload, suite, suite.app.name if suite.app else "check suite", suite.head_branch, None)


def check_run(payload: shapes.CheckRunPayload) -> api.Reading:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#check_run"""
    run = payload.check_run
    return _checked(payload, run, run.name, run.check_suite.head_branch if run.check_suite else None, run.details_url)


def workflow_run(payload: shapes.WorkflowRunPayload) -> api.Reading:
    """A run for a fork names the fork's branch, which says nothing of ours: a fork may call its branch `main`.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run
    """
    run = payload.workflow_run
    name = run.name or (payload.workflow.name if payload.workflow else None) or "workflow"
    return _checked(payload, run, name, run.head_branch if _is_ours(payload) else None, run.html_url)


def _is_ours(payload: shapes.WorkflowRunPayload) -> bool:
    head = payload.workflow_run.head_repository
    if head is UNSET:  # older servers do not say it
        return True
    return head is not None and normalise(_repository(head).path) == normalise(_repository(payload.repository).path)


def _checked(
    payload: shapes.CheckSuitePayload | shapes.CheckRunPayload | shapes.WorkflowRunPayload,
    check: shapes.CheckSuite | shapes.CheckRun | shapes.WorkflowRun,
    context: str,
    branch: str | None,
    url: str | None,
) -> api.Reading:
    """Only the end of a check is news. One that is asked for again still carries its old conclusion."""
    if payload.action in AGAIN or check.status != "completed" or check.conclusion is None:
        return api.Ignored(reason=f"`{context[:80]}` is not complete (action `{payload.action[:80]}`)")
    state = CONCLUSIONS.get(check.conclusion)
    if state is None:
        return api.Ignored(reason=f"`{context[:80]}` ended with the unknown conclusion `{check.conclusion[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=_repository(payload.repository),
            sha=api.full_sha(check.head_sha),
            context=context,
            state=state,
            branches=(branch,) if branch else (),
            actor=_actor(payload.sender),
            url=url,
        )
    )


def _change(
    change: shapes.PullRequest, repo: shapes.Repo, action: api.ChangeAction, sender: shapes.User | None
) -> api.ChangeRequest:
    repository = _repository(repo)
    source = _repository(change.head.repo) if change.head.repo else None
    return api.ChangeRequest(
        repository=repository,
        number=change.number,
        action=action,
        title=change.title,
        source=api.ChangeSource(repository=source, branch=change.head.ref, sha=api.full_sha(change.head.sha)),
        target=api.ChangeTarget(branch=change.base.ref, sha=api.full_sha(change.base.sha)),
        author=_login(change.user),
        actor=_actor(sender),
        url=change.html_url,
        # A deleted fork was a fork: a branch of the repository itself cannot lose its repository.
        from_fork=source is None or normalise(source.path) != normalise(repository.path),
        draft=bool(change.draft),
        labels=tuple(label.name for label in change.labels or ()),
        head_ref=f"refs/pull/{change.number}/head",
    )


def _commit(commit: shapes.PushedCommit) -> api.Commit:
    author = commit.author or shapes.Author()
    lists = (commit.added, commit.modified, commit.removed)
    return api.Commit(
        id=api.full_sha(commit.id),
        message=commit.message or "",
        author=api.Person(name=author.name or "", email=author.email or ""),
        url=commit.url,
        paths=tuple(sorted({path for paths in lists for path in paths or ()})) if None not in lists else None,
    )


def _repository(repo: shapes.Repo) -> api.Repository:
    owner = repo.owner or shapes.Owner()
    path = repo.full_name or f"{owner.login or owner.name or ''}/{repo.name or ''}"
    normalise(path)
    return api.Repository(host=api.host_of(repo.html_url) if repo.html_url else DEFAULT_HOST, path=path)


def _login(user: shapes.User | None) -> str:
    """GitHub shows deleted accounts as `ghost`, and sends null."""
    return user.login if user else "ghost"


def _actor(user: shapes.User | None) -> str | None:
    return user.login if user else None


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
