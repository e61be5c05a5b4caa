"""`headgate explain`."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from headgate.cli.builds import expect_job, find_build
from headgate.cli.client import client_of, segment
from headgate.cli.endings import Ending, ExitCode
from headgate.cli.explained import print_explanation
from headgate.cli.invocation import Invocation
from headgate.cli.jobs import unanswered_polls
from headgate.cli.output import write_json

app = typer.Typer()

_FULL_SHA = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}", re.ASCII)


@app.command()
def explain(
    context: typer.Context,
    what: Annotated[str | None, typer.Argument(metavar="DELIVERY | BUILD", help="An id, or a build as job#12.")] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="With --commit: why did this job (not) build it?")
    ] = None,
    commit: Annotated[str | None, typer.Option(metavar="SHA", help="The commit, in full.")] = None,
) -> None:
    """Say why a delivery, a build or a commit did (not) build.

    Nothing is judged again: these are the decisions as they were made, with the values they compared.
    """
    call = Invocation.of(context)
    client = client_of(call)
    if what is not None and job is None and commit is None:
        if what.startswith("d_"):
            explanation = client.get(f"deliveries/{segment(what)}/explain")
        else:
            explanation = client.get(f"builds/{segment(find_build(client, what)['id'])}/explain")
    elif what is None and job is not None and commit is not None:
        if not _FULL_SHA.fullmatch(commit):
            raise Ending(
                f"{commit} is no full commit id",
                code=ExitCode.INPUT,
                hint=f"`git rev-parse {commit}` may say it in full",
            )
        explanation = client.get("explain", {"job": job, "sha": commit.lower()})
        if not explanation["events"]:
            expect_job(client, job)
            raise Ending(
                f"{job} has judged nothing about {commit[:10]}: no ref was seen to move to it",
                hint="; ".join(
                    [
                        "a push is judged by its last commit, and a poll asks for the branches that a job names there",
                        "`headgate deliveries` lists what arrived",
                        *unanswered_polls(client),
                    ]
                ),
            )
    else:
        if what is not None:
            message = "one thing can be explained at a time"
        elif job is not None or commit is not None:
            message = "--job and --commit go together"
        else:
            message = "explain what: a delivery, a build, or a job and a commit?"
        raise Ending(
            message,
            code=ExitCode.INPUT,
            hint="say `headgate explain DELIVERY`, `headgate explain job#12` or `headgate explain --job J --commit SHA`",
        )
    write_json(explanation) if call.json else print_explanation(explanation)
