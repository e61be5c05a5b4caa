"""`headgate jobs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from headgate.cli.builds import ALL_JOBS
from headgate.cli.client import Client, client_of
from headgate.cli.endings import Ending
from headgate.cli.invocation import Invocation
from headgate.cli.output import ago, outcome, paint, plain, say, table, warn, write_json

app = typer.Typer()


@app.command()
def jobs(context: typer.Context) -> None:
    """List the jobs and how their last build ended."""
    call = Invocation.of(context)
    client = client_of(call)
    found = client.items("jobs", limit=ALL_JOBS)
    if call.json:
        write_json(found)
        return
    # The last good jobs stay in force while a file is wrong, so the list alone would hide it.
    for problem in client.get("jobs", {"limit": 1})["problems"]:
        place = f"{problem['file']}:{problem['line']}:{problem['column']}" if problem["line"] else problem["file"]
        hint = f" ({problem['hint']})" if problem.get("hint") else ""
        warn(f"{place}: {problem['message']}{hint}")
    for trouble in unanswered_polls(client):
        warn(trouble)
    if found:
        table(("job", "last build", "when", "repository", "triggers"), [_row(job) for job in found])
    else:
        say("no jobs yet; `headgate check` shows which files are read and what is wrong with them")


def unanswered_polls(client: Client) -> list[str]:
    """A sentence for each connection with repositories that could not be asked; none for who may not know."""
    try:
        components = client.get("health")["components"]
    except Ending:
        return []
    return [
        f"{plain(one['name'])}: {plain(one['reason'])}"
        for one in components
        if one["name"].startswith("polls ") and one["status"] != "ok"
    ]


def _row(job: Mapping[str, Any]) -> tuple[str, ...]:
    last = job["last_build"]
    return (
        plain(job["name"]),
        f"#{last['number']} {outcome(last)}" if last else paint("never", "dim"),
        ago(last["finished_at"] or last["queued_at"]) if last else "-",
        plain(f"{job['source']['connection']}:{job['source']['repository']}"),
        plain(", ".join(block["kind"] for block in job["triggers"])),
    )
