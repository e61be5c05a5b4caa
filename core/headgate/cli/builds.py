"""`headgate builds`: the list, or one build with its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from headgate.cli.client import Client, Missing, client_of, segment
from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import (
    ago,
    outcome,
    paint,
    plain,
    repository_name,
    say,
    short_ref,
    short_sha,
    table,
    took,
    write_json,
)

app = typer.Typer()

ALL_JOBS = 100_000


@app.command()
def builds(
    context: typer.Context,
    build: Annotated[str | None, typer.Argument(metavar="BUILD", help="One build, as job#12 or by id.")] = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only those of this job.")] = None,
    state: Annotated[
        Literal["queued", "running", "finished"] | None,
        typer.Option(metavar="STATE", help="Only queued, running or finished ones."),
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", min=1, help="How many.")] = 20,
) -> None:
    """List builds, newest first, or show one."""
    call = Invocation.of(context)
    client = client_of(call)
    if build is not None:
        one = find_build(client, build)
        write_json(one) if call.json else _show(one)
        return
    found = client.items("builds", {"job": job, "state": state}, limit=limit)
    if job and not found:
        expect_job(client, job)
    if call.json:
        write_json(found)
    elif found:
        table(("build", "result", "commit", "of", "by", "queued", "took"), [_row(one) for one in found])
    elif job or state:
        say("no such builds; without --job and --state, all are listed")
    else:
        say("no builds yet; queue one with `headgate run JOB`")


def find_build(client: Client, name: str) -> Any:
    """A build by `job#12` or by id; `Ending` when there is none."""
    job, number = split_label(name)
    if job is None:
        return client.get(f"builds/{segment(name)}")
    found = client.get("builds", {"job": job, "number": number, "limit": 1})["items"]
    if not found:
        expect_job(client, job)
        raise Ending(f"there is no build {job}#{number}", hint=f"`headgate builds --job {job}` lists those there are")
    return found[0]


def expect_job(client: Client, job: str) -> None:
    """`Ending` when there is no such job, nor a build of one that there was; it names the nearest."""
    try:
        client.get(f"jobs/{segment(job)}")
    except Missing as missing:
        if client.get("builds", {"job": job, "limit": 1})["items"]:
            return
        # Late: only who mistypes a name needs it.
        from headgate.config.nearest import nearest

        near = nearest(job, [one["name"] for one in client.items("jobs", limit=ALL_JOBS)])
        raise Ending(missing.message, hint=f"did you mean `{plain(near)}`?" if near else "") from None


def split_label(name: str) -> tuple[str | None, int]:
    """`web#12`, and `web #12` as messages write it, as (job, number); (None, 0) for an id."""
    job, sign, number = name.rpartition("#")
    if not sign:
        return None, 0
    if not (job.strip() and number.isascii() and number.isdecimal()):
        raise Ending(f"{name} names no build", code=ExitCode.INPUT, hint="write job#12, or a build's id")
    return job.strip(), int(number)


def label(build: Mapping[str, Any]) -> str:
    """`web#12`, as every command takes it."""
    return plain(f"{build['job']}#{build['number']}")


def _row(build: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        label(build),
        outcome(build),
        short_sha(build["sha"]),
        short_ref(build["ref"]),
        plain(build["trigger"]),
        ago(build["queued_at"]),
        took(build["started_at"], build["finished_at"]),
    )


def _show(build: Mapping[str, Any]) -> None:
    say(f"{paint(label(build), 'bold')}  {outcome(build)}  {plain(build['reason'])}")
    facts = {
        "id": build["id"],
        "repository": repository_name(build["repository"], build["connection"]),
        "ref": build["ref"],
        "commit": build["sha"],
        "by": build["trigger"],
        "queued": ago(build["queued_at"]),
        "took": took(build["started_at"], build["finished_at"]),
        "isolation": build["isolation"],
        "definition": build["definition"][:12],
        **{f"  {name}": value for name, value in build["parameters"].items()},
    }
    for name, value in facts.items():
        if value:
            say(f"  {paint(f'{plain(name):<12}', 'dim')}{plain(str(value))}")
    for step in build["steps"]:
        code = "" if step["exit_code"] in {None, 0} else f"exit {step['exit_code']}"
        status = outcome({"outcome": step["status"]}) + " " * (10 - len(step["status"]))
        say(f"  {status}  {plain(step['name'])}  {took(step['started_at'], step['finished_at'])}  {code}".rstrip())
    say(f"  why: headgate explain {label(build)}    log: headgate log {label(build)}")
