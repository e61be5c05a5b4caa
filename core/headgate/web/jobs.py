"""Routes about jobs: the list, one, and asking for a build; not how jobs are read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from headgate.api import Build, Job, NotFound
from headgate.routing.index import why_absent
from headgate.storage import builds
from headgate.storage.database import Database
from headgate.web.ports import ReadJobs, RunJob
from headgate.web.routes import Call, Reply, Route, json_reply
from headgate.web.shapes import Closed, JobPage, Limit, Name, RunRequest
from headgate.web.shaping import job_summary

JobCursor = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="`next` of the page before.")]


class JobsQuery(Closed, frozen=True, kw_only=True):
    """Which jobs."""

    connection: Name | None = None
    cursor: JobCursor | None = None
    limit: Limit = 50


def job_routes(*, database: Database, jobs: ReadJobs, run_job: RunJob) -> tuple[Route, ...]:
    """The routes under `/api/v1/jobs`."""

    async def list_jobs(call: Call) -> web.Response:
        query: JobsQuery = call.query
        snapshot = jobs()
        names = [
            name
            for name in sorted(snapshot.jobs)
            if (query.cursor is None or name > query.cursor)
            and query.connection in (None, snapshot.jobs[name].source.connection)
        ]
        shown = names[: query.limit]
        async with database.reading() as connection:
            last = await builds.newest(connection, shown)
        return json_reply(
            JobPage(
                items=tuple(job_summary(snapshot.jobs[name], last.get(name)) for name in shown),
                next=shown[-1] if len(names) > len(shown) else None,
                problems=snapshot.problems,
            )
        )

    async def show_job(call: Call) -> web.Response:
        name, listed = call.path["job"], jobs()
        job = listed.jobs.get(name)
        if job is None:
            raise NotFound(why_absent(name, listed.problems))
        return json_reply(job)

    async def run(call: Call) -> web.Response:
        asked: RunRequest = call.body
        build = await run_job(
            call.path["job"],
            ref=asked.ref,
            sha=asked.sha,
            parameters=asked.parameters,
            reason=asked.reason,
            actor=call.who,
            idempotency_key=call.idempotency_key,
        )
        return json_reply(build, status=201, headers={"Location": f"/api/v1/builds/{build.id}"})

    return (
        Route(
            method="GET",
            path="/api/v1/jobs",
            answer=list_jobs,
            permission="jobs:read",
            summary="List jobs, by name, with the problems of job files",
            tag="jobs",
            query=JobsQuery,
            replies=(Reply(shape=JobPage, description="A page of jobs."),),
            errors=(400,),
        ),
        Route(
            method="GET",
            path="/api/v1/jobs/{job}",
            answer=show_job,
            permission="jobs:read",
            summary="Show a job as it is in force",
            tag="jobs",
            replies=(Reply(shape=Job, description="The job."),),
            errors=(404,),
        ),
        Route(
            method="POST",
            path="/api/v1/jobs/{job}/builds",
            answer=run,
            permission="builds:write",
            summary="Queue a build of a job",
            description="With an Idempotency-Key, asking again gives the same build, also after a restart.",
            tag="builds",
            body=RunRequest,
            takes_idempotency_key=True,
            replies=(Reply(status=201, shape=Build, description="The queued build."),),
            errors=(400, 404, 408, 413, 415, 422, 502),
        ),
    )
