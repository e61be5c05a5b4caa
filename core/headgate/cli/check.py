"""`headgate check`: every problem of the configuration and the job files; nothing is started and nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.endings import ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import paint, plain, say, write_json

if TYPE_CHECKING:
    from headgate.api import Problem
    from headgate.config.jobs import LoadedJobs
    from headgate.config.settings import Settings

app = typer.Typer()


@app.command()
def check_command(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Job files, folders of them, or a configuration; without any: all of the configuration."),
    ] = None,
) -> None:
    """Check the configuration and job files; show every problem.

    Exits with 2 when there is one.
    """
    call = Invocation.of(context)
    raise typer.Exit(check(paths or [], call.config, as_json=call.json))


def check(paths: Sequence[Path], config: Path, *, as_json: bool = False) -> int:
    """Print every problem of what `paths` names (a configuration is known by its keys) or else of `config`; 0 or 2."""
    from msgspec.structs import replace

    from headgate.api import ConfigError, Problem
    from headgate.config.host import load_good_part, load_plugin_settings, load_settings
    from headgate.config.jobs import LoadedJobs, load_jobs
    from headgate.plugins import load_plugins

    configs = [path for path in paths if _is_config(path)]
    sources = [path for path in paths if path not in configs]
    problems: list[Problem] = []
    settings: Settings | None = None
    loaded = LoadedJobs()
    for path in configs or [config]:
        try:
            allowed = load_plugin_settings(path)
        except ConfigError as error:
            problems += error.problems
            continue
        kinds = load_plugins(allow=allowed.allow, deny=allowed.deny).kinds
        try:
            settings = load_settings(path, kinds)
            problems += settings.problems
        except ConfigError as error:
            problems += error.problems
            settings = load_good_part(path, kinds)
            if settings is None:
                continue
            # Where job files are may be part of what is wrong: those that are there are looked at.
            settings = replace(settings, jobs=tuple(one for one in settings.jobs if one.exists()))
        loaded = load_jobs(sources or settings.jobs, kinds, settings)
        problems += loaded.problems
        if sources and not loaded.files and not loaded.problems:
            problems += [Problem(file=str(path), message="there is no job file (*.yaml, *.yml)") for path in sources]
    problems = list(dict.fromkeys(problems))
    if as_json:
        _print_json(problems, loaded)
    else:
        _print_text(problems, loaded, settings)
    return ExitCode.INPUT if problems else ExitCode.OK


def _is_config(path: Path) -> bool:
    """A file with other keys than `jobs` alone, or with a list of paths under it, is a configuration."""
    from headgate.api import ConfigError
    from headgate.config.files import read_text
    from headgate.config.yaml import read_yaml

    if path.is_dir():
        return False
    try:
        value = read_yaml(read_text(path), file=str(path)).value
    except ConfigError:
        return path.name.startswith("config")
    if not isinstance(value, dict) or value == {"jobs": None}:
        return path.name.startswith("config")
    jobs = value.get("jobs")
    return isinstance(jobs, list) or (jobs is None and bool(value))


def _print_json(problems: Sequence[Problem], loaded: LoadedJobs) -> None:
    import msgspec

    write_json(
        {
            "ok": not problems,
            "problems": [msgspec.to_builtins(problem) for problem in problems],
            "jobs": [job.name for job in loaded.jobs],
            "files": [str(file) for file in loaded.files],
        }
    )


def _print_text(problems: Sequence[Problem], loaded: LoadedJobs, settings: Settings | None) -> None:
    for problem in problems:
        say(_line(problem))
    counts = f"{_count(len(loaded.jobs), 'job')} in {_count(len(loaded.files), 'file')}"
    if problems:
        files = len({problem.file for problem in problems})
        say(paint(f"{_count(len(problems), 'problem')} in {_count(files, 'file')}", "red"))
    elif settings is not None:
        connections = _count(len(settings.connections), "connection")
        say(f"{paint('ok', 'green')}: {plain(_near(str(settings.file)))} with {connections}; {counts}")


def _line(problem: Problem) -> str:
    """As `str(problem)`, with the file as one would type it here, and coloured where there is colour."""
    place = f"{_near(problem.file)}:{problem.line}:{problem.column}" if problem.line else _near(problem.file)
    path = f"{plain(problem.path)}: " if problem.path else ""
    hint = " " + paint(f"({plain(problem.hint)})", "yellow") if problem.hint else ""
    return f"{paint(plain(place), 'bold')}: {path}{plain(problem.message)}{hint}"


def _near(file: str) -> str:
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
