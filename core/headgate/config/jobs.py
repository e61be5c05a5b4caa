"""Job files as frozen jobs; not when they are read again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from headgate.api import (
    Block,
    Checkout,
    ConfigError,
    Job,
    ParameterDefinition,
    Problem,
    QueueRules,
    Run,
    Source,
    Step,
)
from headgate.config.checking import Checker
from headgate.config.files import read_text, yaml_files
from headgate.config.formats import Formats
from headgate.config.job_schema import file_schema
from headgate.config.kinds import KnownKinds
from headgate.config.meaning import Meaning, Remark, good_parts, of_defaults, of_names
from headgate.config.parameters import define
from headgate.config.placeholders import placeholder_problems
from headgate.config.schema import one_job_schema
from headgate.config.settings import Settings
from headgate.config.yaml import Document, KeyPath, read_yaml

_STEP_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedJobs:
    """What the files say: the good jobs, every problem of the others, and the files that were read."""

    jobs: tuple[Job, ...] = ()
    problems: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()


def load_jobs(paths: Sequence[Path], kinds: KnownKinds, settings: Settings) -> LoadedJobs:
    """Every job of the files and folders in `paths`; never raises for what stands in a file.

    A job with a problem is not among the jobs, and hides no other. Jobs and problems are in the order of the files.
    """
    files, problems = yaml_files(paths)
    problems = [_where_it_is_named(problem, settings) for problem in problems]
    reader = _Reader(kinds, settings)
    jobs: list[Job] = []
    for file in files:
        read = reader.read(file)
        problems += sorted(read.problems, key=lambda problem: (problem.line, problem.column))
        jobs += read.jobs
    return LoadedJobs(jobs=tuple(jobs), problems=tuple(problems), files=tuple(files))


def _where_it_is_named(problem: Problem, settings: Settings) -> Problem:
    """A path that is not there, at its place in the configuration when that names it."""
    named = [str(path) for path in settings.jobs]
    if problem.file not in named:
        return problem
    try:
        document = read_yaml(read_text(settings.file), file=str(settings.file))
    except ConfigError:  # it was changed since
        return problem
    at: KeyPath = ("jobs", named.index(problem.file))
    return document.problem(at, f"{problem.message}: {problem.file}") if at in document.places else problem


class _Reader:
    """Reads one file after the other, with the schemas made once."""

    def __init__(self, kinds: KnownKinds, settings: Settings) -> None:
        self._stores = dict.fromkeys(settings.credential_stores, "") | settings.unavailable_in("credential_stores")
        self._kinds = kinds
        self._schema = one_job_schema(kinds)
        self._meaning = Meaning(kinds, settings)
        self._checkers: dict[Path, tuple[Checker, Checker]] = {}
        self._names: dict[str, tuple[str, int]] = {}

    def read(self, file: Path) -> LoadedJobs:
        try:
            text = read_text(file)
            document = read_yaml(text, file=str(file))
        except ConfigError as error:
            return LoadedJobs(problems=error.problems)
        frame, _ = self._of_folder(file.parent)
        problems = list(frame.read(document, document.value)[1])
        bad_names = {problem.path for problem in problems}
        bodies = document.value.get("jobs") if isinstance(document.value, dict) else None
        jobs: list[Job] = []
        texts = _texts_of_jobs(document)
        for name, body in bodies.items() if isinstance(bodies, dict) else ():
            one = dataclasses.replace(document, texts=texts.get(name, {}))
            job, found = self._job(one, file.parent, name, body, has_placeholders="${" in text)
            found = [*self._doubled(one, name), *found]
            problems += found
            if job is not None and not found and f"jobs.{name}" not in bad_names:
                jobs.append(job)
        return LoadedJobs(jobs=tuple(jobs), problems=tuple(problems))

    def _of_folder(self, folder: Path) -> tuple[Checker, Checker]:
        """Checkers for files in `folder`, from which their paths count: of the frame and of one job."""
        if folder not in self._checkers:
            formats = Formats(folder=folder, stores=self._stores)
            frame = Checker(file_schema({}), formats, self._kinds)
            self._checkers[folder] = (frame, Checker(self._schema, formats, self._kinds))
        return self._checkers[folder]

    def _doubled(self, document: Document, name: str) -> Iterator[Problem]:
        """A job's name is the only one in all files."""
        line = document.keys["jobs", name][0]
        file, first = self._names.setdefault(name, (document.file, line))
        if (file, first) != (document.file, line):
            yield document.problem(("jobs", name), f"there is another job `{name}`", f"{file}:{first}", at_key=True)

    def _job(
        self, document: Document, folder: Path, name: str, body: Any, *, has_placeholders: bool
    ) -> tuple[Job | None, list[Problem]]:
        at: KeyPath = ("jobs", name)
        _, checker = self._of_folder(folder)
        block, found = checker.read(document, body, at)
        problems = list(found)
        if has_placeholders:
            problems += placeholder_problems(document, body, at, allowed=_may_hold_placeholder)
        if found:
            # What fits is checked further all the same: every error is shown, not the first.
            block = checker.convert(good_parts(body, f"jobs.{name}", [problem.path for problem in found]))
        parameters, remarks = _parameters(document, at, block)
        remarks += self._remarks(block, parameters)
        problems += [document.problem((*at, *r.path), r.message, r.hint, at_key=r.at_key) for r in remarks]
        return (None if problems else _freeze(document, at, block, tuple(parameters))), problems

    def _remarks(self, block: Mapping[str, Any], parameters: Sequence[ParameterDefinition]) -> Iterator[Remark]:
        meaning = self._meaning
        if "source" in block:
            yield from meaning.of_source(block["source"])
        yield from meaning.of_triggers(block.get("triggers", {}), block.get("source", {}))
        yield from meaning.of_conditions(block.get("conditions", ()))
        yield from of_defaults(parameters, block.get("triggers", {}))
        if "run" in block:
            yield from meaning.of_run(block["run"])
            yield from of_names(parameters, block["run"])
        yield from meaning.of_notify(block.get("notify", ()), block.get("source", {}))


def _texts_of_jobs(document: Document) -> dict[str, dict[KeyPath, str]]:
    texts: dict[str, dict[KeyPath, str]] = {}
    for path, text in document.texts.items():
        if len(path) > 1:
            texts.setdefault(str(path[1]), {})[path] = text
    return texts


def _may_hold_placeholder(path: KeyPath) -> bool:
    """Scripts are the shell's; a parameter's pattern, choices and what is said of things are taken as they are."""
    if not path:
        return False  # a text where a whole job should stand
    return path[-1] in {"description", "pattern"} or path[0] == "parameters" or (path[:2] == ("run", "steps"))


def _parameters(
    document: Document, at: KeyPath, block: Mapping[str, Any]
) -> tuple[list[ParameterDefinition], list[Remark]]:
    definitions: list[ParameterDefinition] = []
    remarks: list[Remark] = []
    for name, one in block.get("parameters", {}).items():
        here = (*at, "parameters", name)
        definition, faults = define(
            name,
            one,
            default=_written(document, (*here, "default"), one["default"]) if "default" in one else None,
            choices=[
                _written(document, (*here, "choices", n), choice) for n, choice in enumerate(one.get("choices", ()))
            ],
        )
        definitions.append(definition)
        remarks += [
            Remark(("parameters", name, key) if key else ("parameters", name), message, at_key=not key)
            for key, message in faults
        ]
    return definitions, remarks


def _written(document: Document, path: KeyPath, value: Any) -> str:
    """A value as text: as it was written, for a number or boolean."""
    return value if isinstance(value, str) else document.texts[path]


def _freeze(
    document: Document, at: KeyPath, block: Mapping[str, Any], parameters: tuple[ParameterDefinition, ...]
) -> Job:
    run = block["run"]
    environment = {
        name: _written(document, (*at, "run", "environment", name), value)
        for name, value in run.get("environment", {}).items()
    }
    job = Job(
        name=str(at[-1]),
        description=block.get("description", ""),
        source=_source(block["source"]),
        triggers=tuple(Block(kind=kind, options=options) for kind, options in block.get("triggers", {}).items()),
        conditions=_blocks(block.get("conditions", ())),
        parameters=parameters,
        queue=QueueRules(**block.get("queue", {})),
        run=Run(**{**run, "environment": environment, "steps": _steps(run["steps"])}),
        notify=_blocks(block.get("notify", ())),
    )
    digest = hashlib.sha256(msgspec.json.encode(job, order="sorted")).hexdigest()
    return msgspec.structs.replace(job, file=document.file, line=document.keys[at][0], definition=digest)


def _source(block: Mapping[str, Any]) -> Source:
    checkout = block.get("checkout", {})
    if checkout == "none":
        frozen = Checkout(enabled=False)
    else:
        frozen = Checkout(**{**checkout, "sparse": tuple(checkout.get("sparse", ()))})
    return Source(connection=block["connection"], repository=block["repository"], checkout=frozen)


def _blocks(blocks: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    return tuple(Block(kind=kind, options=options) for block in blocks for kind, options in block.items())


def _steps(blocks: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """The steps, each with a name of its own: where none was given, the first line of what it runs."""
    taken = {block["name"] for block in blocks if "name" in block}
    steps = []
    for block in blocks:
        name = block.get("name")
        if name is None:
            first = next((line.strip() for line in block["run"].splitlines() if line.strip()), "step")
            name = wanted = first if len(first) <= _STEP_NAME else f"{first[: _STEP_NAME - 1]}…"
            number = 1
            while name in taken:
                number += 1
                name = f"{wanted} ({number})"
            taken.add(name)
        steps.append(Step(name=name, run=block["run"], always=block.get("always", False)))
    return tuple(steps)
