"""`headgate schema`: the JSON Schemas that the installed plugins make up, for editors; not a check of any file."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.installed import installed_plugins
from headgate.cli.invocation import Invocation

app = typer.Typer()


class Which(StrEnum):
    """The two files that have a schema."""

    JOB = "job"
    CONFIG = "config"


@app.command()
def schema(
    context: typer.Context,
    which: Annotated[Which, typer.Argument(help="Of job files, or of the configuration.")] = Which.JOB,
) -> None:
    """Print the JSON Schema of job files or of the configuration.

    An editor completes and checks with it: headgate schema job > jobs.schema.json, and as a job file's first line
    # yaml-language-server: $schema=jobs.schema.json
    """
    call = Invocation.of(context)
    _print(which, installed_plugins(call).kinds)


def _print(which: Which, kinds: object) -> None:
    from headgate.config.schema import host_schema, job_file_schema, published

    made = job_file_schema(kinds) if which is Which.JOB else host_schema(kinds)  # type: ignore[arg-type]  # the real type is imported late
    print(json.dumps(published(made), ensure_ascii=False, indent=2))
