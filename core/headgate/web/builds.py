"""Routes about builds: list, show, cancel, explain, and their changes as they happen; not their logs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from headgate.api import Build, NotFound, State
from headgate.storage import builds, explanations
from headgate.storage.database import Database
from headgate.web.changes import BuildChanges
from headgate.web.ports import CancelBuild
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import BuildPage, CancelRequest, Closed, Cursor, ExplanationShape, Limit, Name, Sha
from headgate.web.shaping import explanation_shape
from headgate.web.sse import Streams


class BuildsQuery(Closed, frozen=True, kw_only=True):
    """Which builds. `number` goes with `job`: that one build."""

    job: Name | None = None
    state: State | None = None
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class EventsQuery(Closed, frozen=True, kw_only=True):
    """Whose changes."""

    job: Name | None = None


class CommitQuery(Closed, frozen=True, kw_only=True):
    """Which job and which commit."""

    job: Name
    sha: Sha


def build_routes(
    *, database: Database, cancel_build: CancelBuild, changes: BuildChanges, streams: Streams
) -> tuple[Route, ...]:
    """The routes under `/api/v1/builds`, but for logs, and `/api/v1/explain`."""

    async def list_builds(call: Call) -> web.Response:
        query: BuildsQuery = call.query
        async with database.reading() as connection:
            if query.job is not None and query.number is not None:
                one = await builds.by_number(connection, query.job, query.number)
                kept = one is not None and query.state in (None, one.state)
                return json_reply(BuildPage(items=(one,) if one and kept else (), next=None))
            page = await builds.page(
                connection, cursor=query.cursor, limit=query.limit, job=query.job, state=query.state
            )
        return json_reply(BuildPage(items=page.items, next=page.next))

    async def show_build(call: Call) -> web.Response:
        return json_reply(await _build(database, call.path["build"]))

    async def cancel(call: Call) -> web.Response:
        asked: CancelRequest = call.body or CancelRequest()
        return json_reply(await cancel_build(call.path["build"], actor=call.who, reason=asked.reason))

    async def explain_build(call: Call) -> web.Response:
        build = await _build(database, call.path["build"])
        async with database.reading() as connection:
            explanation = await explanations.explain_build(connection, build.id)
        if explanation is None:
            raise _no_build(build.id)
        return json_reply(explanation_shape(explanation, build))

    async def explain_commit(call: Call) -> web.Response:
        query: CommitQuery = call.query
        async with database.reading() as connection:
            explanation = await explanations.explain_commit(connection, query.job, query.sha)
        return json_reply(explanation_shape(explanation))

    async def listen(call: Call) -> web.StreamResponse:
        query: EventsQuery = call.query
        last_id = call.request.headers.get("Last-Event-ID")
        return await streams.send(call.request, changes.listen(last_id, job=query.job))

    return (
        Route(
            method="GET",
            path="/api/v1/builds",
            answer=list_builds,
            permission="builds:read",
            summary="List builds, newest first",
            tag="builds",
            query=BuildsQuery,
            replies=(Reply(shape=BuildPage, description="A page of builds."),),
            errors=(400,),
        ),
        Route(
            method="GET",
            path="/api/v1/builds/events",
            answer=listen,
            permission="builds:read",
            summary="Changes of builds as they happen",
            description=(
                "Server-sent events `build`, whose data is the build. Resume with Last-Event-ID; `reset` means that "
                "changes were missed and the list is to be read again."
            ),
            tag="builds",
            query=EventsQuery,
            replies=(
                Reply(content_type="text/event-stream", events=("build", "reset"), description="A stream without end."),
            ),
            errors=(400,),
        ),
        Route(
            method="GET",
            path="/api/v1/builds/{build}",
            answer=show_build,
            permission="builds:read",
            summary="Show a build",
            tag="builds",
            replies=(Reply(shape=Build, description="The build."),),
            errors=(404,),
        ),
        Route(
            method="POST",
            path="/api/v1/builds/{build}/cancel",
            answer=cancel,
            permission="builds:write",
            summary="Cancel a build that waits or runs",
            description="A running build ends soon after. Cancelling twice, or what has ended, changes nothing.",
            tag="builds",
            body=CancelRequest,
            body_required=False,
            takes_idempotency_key=True,
            replies=(Reply(shape=Build, description="The build as it is now."),),
            errors=(400, 404, 408, 413, 415, 422),
        ),
        Route(
            method="GET",
            path="/api/v1/builds/{build}/explain",
            answer=explain_build,
            permission="builds:read",
            summary="Why a build was queued",
            tag="explain",
            replies=(Reply(shape=ExplanationShape, description="The way from the event to the build."),),
            errors=(404,),
        ),
        Route(
            method="GET",
            path="/api/v1/explain",
            answer=explain_commit,
            permission="builds:read",
            summary="Why a commit was, or was not, built by a job",
            tag="explain",
            query=CommitQuery,
            replies=(Reply(shape=ExplanationShape, description="Every decision; no events when it was never seen."),),
            errors=(400,),
        ),
    )


async def _build(database: Database, build_id: str) -> Build:
    async with database.reading() as connection:
        build = await builds.get(connection, build_id)
    if build is None:
        raise _no_build(build_id)
    return build


def _no_build(build_id: str) -> NotFound:
    return NotFound(f"There is no build {build_id[:80]!r}.")
