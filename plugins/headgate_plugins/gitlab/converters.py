"""From GitLab's shapes to our events, or to a reason why there is none; pure, and no word about signatures.

A converter raises `ValueError` for a payload that fits its shape and yet cannot be meant. Merge requests have a module
of their own, `merge_requests.py`.
"""

from __future__ import annotations

from typing import Literal

from headgate import api
from headgate_plugins.gitlab import shapes
from headgate_plugins.gitlab.merge_requests import merge_request
from headgate_plugins.gitlab.people import account, who
from headgate_plugins.gitlab.projects import repository_of

__all__ = ["job", "merge_request", "note", "pipeline", "push", "release"]


def push(payload: shapes.PushPayload) -> api.Reading:
    """A branch is a `Push`, a tag a `Tag`, and what did not move a `Ping`.

    https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events. GitLab does not say whether a push
    rewrote history, so its list of commits never surely is all that lies between `before` and `after`. Its "Test"
    button sends the newest commits as if they were pushed, in a project with one commit from that to itself.
    """
    before, after = api.full_sha_or_none(payload.before), api.full_sha_or_none(payload.after)
    if before is None and after is None:
        raise ValueError("neither `before` nor `after` is a commit")
    repository = repository_of(payload.project)
    if before == after:
        return _parsed(api.Ping(repository=repository, actor=payload.user_username or None))
    commits = tuple(_commit(commit) for commit in payload.commits or ())
    url = f"{payload.project.web_url}/-/compare/{before}...{after}" if payload.project.web_url else None
    url = url if before and after else None
    if payload.ref.startswith("refs/tags/"):
        return _parsed(
            api.Tag(
                repository=repository,
                ref=payload.ref,
                tag=payload.ref.removeprefix("refs/tags/"),
                before=before,
                after=after,
                actor=payload.user_username or None,
                url=url,
                forced=api.tag_moved(before, after),
                commits=commits,
                commit=api.tagged_commit(payload.checkout_sha, after),
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
            actor=payload.user_username or None,
            url=url,
            commits=commits,
            default_branch=payload.project.default_branch,
        )
    )


NOTE_ACTIONS: dict[str, Literal["created", "edited"]] = {"create": "created", "update": "edited"}


def note(payload: shapes.NotePayload) -> api.Reading:
    """A comment on a commit, a merge request or an issue.

    https://docs.gitlab.com/user/project/integrations/webhook_events/#comment-events
    """
    written = payload.object_attributes
    action = NOTE_ACTIONS.get(written.action or "create")
    if written.noteable_type not in {"Commit", "MergeRequest", "Issue"}:
        return api.Ignored(reason=f"a comment on a `{written.noteable_type[:80]}` is on nothing that is built")
    if action is None or written.system:
        return api.Ignored(reason=f"the action `{(written.action or 'system')[:80]}` of a comment says nothing new")
    if payload.project is None:
        raise ValueError("the comment names no project")
    change, sha = None, None
    on: Literal["change_request", "review", "commit", "issue"] = "issue"
    if written.noteable_type == "Commit":
        on, sha = "commit", written.commit_id or (payload.commit.id if payload.commit else None)
    elif written.noteable_type == "MergeRequest":
        if payload.merge_request is None:
            raise ValueError("the comment is on a merge request and does not say which")
        on, change = "review" if written.type == "DiffNote" else "change_request", payload.merge_request.iid
        sha = payload.merge_request.last_commit.id if payload.merge_request.last_commit else None
    return _parsed(
        api.Comment(
            repository=repository_of(payload.project),
            on=on,
            action=action,
            body=written.note,
            author=who(written.author_id, payload.user, did_it=action == "created"),
            change=change,
            sha=api.full_sha_or_none(sha),
            actor=account(payload.user),
            url=written.url,
        )
    )


RELEASE_ACTIONS = {"create": "created", "update": "edited", "delete": "deleted"}


def release(payload: shapes.ReleasePayload) -> api.Reading:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#release-events; GitLab has no prereleases."""
    action = payload.action or "create"
    return _parsed(
        api.Release(
            repository=repository_of(payload.project),
            tag=payload.tag,
            name=payload.name or "",
            action=RELEASE_ACTIONS.get(action, action),
            url=payload.url,
        )
    )


CiState = Literal["pending", "success", "failure", "error"]

# https://docs.gitlab.com/api/pipelines/#list-project-pipelines; skipped ones do not stand in a merge's way.
CI_STATES: dict[str, CiState] = {
    "created": "pending",
    "waiting_for_resource": "pending",
    "waiting_for_callback": "pending",
    "preparing": "pending",
    "pending": "pending",
    "running": "pending",
    "canceling": "pending",
    "manual": "pending",
    "scheduled": "pending",
    "success": "success",
    "skipped": "success",
    "failed": "failure",
    "canceled": "error",
}


def pipeline(payload: shapes.PipelinePayload) -> api.Reading:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events

    Its context is its name; without one `external` for what is made of others' commit statuses, ours among them, and
    `pipeline` for the rest.
    """
    run, change = payload.object_attributes, payload.merge_request
    ours = change is None or change.source_project_id == change.target_project_id
    web = payload.project.web_url
    return _checked(
        payload.project,
        payload.user,
        sha=run.sha,
        context=run.name or ("external" if run.source == "external" else "pipeline"),
        status=run.status,
        branch=run.ref if ours and not run.tag else None,
        url=run.url or (f"{web}/-/pipelines/{run.id}" if web else None),
    )


def job(payload: shapes.JobPayload) -> api.Reading:
    """https://docs.gitlab.com/user/project/integrations/webhook_events/#job-events"""
    project = payload.project or payload.repository
    if project is None:
        raise ValueError("the job names no project")
    web = project.web_url or project.homepage
    return _checked(
        project,
        payload.user,
        sha=payload.sha,
        context=payload.build_name,
        status=payload.build_status,
        branch=None if payload.tag else payload.ref,
        url=f"{web}/-/jobs/{payload.build_id}" if web else None,
    )


def _checked(
    project: shapes.Project,
    user: shapes.User | None,
    *,
    sha: str,
    context: str,
    status: str,
    branch: str | None,
    url: str | None,
) -> api.Reading:
    state = CI_STATES.get(status)
    if state is None:
        return api.Ignored(reason=f"`{context[:80]}` is in the unknown state `{status[:80]}`")
    return _parsed(
        api.CiStatus(
            repository=repository_of(project),
            sha=api.full_sha(sha),
            context=context,
            state=state,
            branches=(branch,) if branch and not branch.startswith("refs/") else (),
            actor=account(user),
            url=url,
        )
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


def _parsed(*events: api.Event) -> api.Parsed:
    return api.Parsed(events=events)
