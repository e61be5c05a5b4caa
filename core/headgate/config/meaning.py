"""What is wrong with a job though it fits its schema: names of things that are not there, rules that do not compile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec

from headgate.api import Globs, ParameterDefinition, Polls, RuleKind
from headgate.api.patterns import WILDCARDS
from headgate.config.kinds import SINGULAR, Group, KnownKinds, incapable, missing, names
from headgate.config.nearest import suggestion
from headgate.config.reserved import is_ours, is_reserved
from headgate.config.settings import Settings
from headgate.config.yaml import KeyPath


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong at a path below the job."""

    path: KeyPath
    message: str
    hint: str | None = None
    at_key: bool = False


Remarks: TypeAlias = Iterator[Remark]


class Meaning:
    """Checks for many jobs against the same kinds and settings; equal blocks are compiled once."""

    def __init__(self, kinds: KnownKinds, settings: Settings) -> None:
        """`settings`: whose connections, executors and notifiers may be named."""
        self._kinds = kinds
        self._settings = settings
        self._providers = {connection.name: connection.provider for connection in settings.connections}
        self._rules: dict[tuple[str, str, bytes], str | None] = {}
        self._repositories: dict[tuple[str, str], str | None] = {}

    def of_source(self, source: Mapping[str, Any]) -> Remarks:
        """The connection is there, and its provider understands the repository."""
        connection, repository = source.get("connection"), source.get("repository")
        reason = self._settings.unavailable.get(f"connections.{connection}")
        provider = self._providers.get(connection or "")
        if connection is None:
            pass  # already told
        elif reason is not None:
            yield Remark(("source", "connection"), f"the connection `{connection}` cannot be used: {reason}")
        elif provider is None:
            hint = suggestion(connection, sorted(self._providers), noun="configured connections")
            yield Remark(("source", "connection"), f"there is no connection `{connection}`", hint)
        elif repository is not None and (fault := self._repository_fault(provider, repository)):
            yield Remark(("source", "repository"), fault)
        checkout = source.get("checkout")
        for at, folder in enumerate(checkout.get("sparse", ()) if isinstance(checkout, dict) else ()):
            if folder.startswith(("/", "-", "!")) or ".." in folder.split("/") or not folder.isprintable():
                path = ("source", "checkout", "sparse", at)
                yield Remark(path, f"expected a folder within the repository, found `{folder}`")

    def _repository_fault(self, provider: str, repository: str) -> str | None:
        key = (provider, repository)
        if key not in self._repositories:
            try:
                if WILDCARDS.intersection(repository):
                    Globs([repository])
                else:
                    self._kinds.providers[provider].normalise(repository)
            except ValueError as error:
                self._repositories[key] = str(error)
            else:
                self._repositories[key] = None
        return self._repositories[key]

    def of_triggers(self, triggers: Mapping[str, Any], source: Mapping[str, Any]) -> Remarks:
        """Each compiles, and none wants to poll repositories that only a pattern names."""
        is_pattern = bool(WILDCARDS.intersection(source.get("repository", "")))
        for name, options in triggers.items():
            kind = self._kinds.triggers[name]
            if fault := self._rule_fault("triggers", kind, options):
                yield Remark(("triggers", name), fault)
            elif is_pattern and isinstance(kind.compile(options), Polls):
                yield Remark(
                    ("triggers", name),
                    f"expected one repository to ask, found the pattern `{source['repository']}`",
                    "name the repository, or let a webhook tell",
                )

    def of_conditions(self, conditions: Iterable[Mapping[str, Any]]) -> Remarks:
        """Each compiles."""
        for at, block in enumerate(conditions):
            for name, options in block.items():
                if fault := self._rule_fault("conditions", self._kinds.conditions[name], options):
                    yield Remark(("conditions", at, name), fault)

    def _rule_fault(self, group: str, kind: RuleKind[Any], options: Mapping[str, Any]) -> str | None:
        key = (group, kind.name, msgspec.json.encode(options))
        if key not in self._rules:
            try:
                kind.compile(options)
            except ValueError as error:
                self._rules[key] = str(error)
            except Exception as error:  # noqa: BLE001 - a plugin's code: its fault must not hide the other jobs
                self._rules[key] = f"the plugin of `{kind.name}` failed on this: {type(error).__name__}: {error}"
            else:
                self._rules[key] = None
        return self._rules[key]

    def of_run(self, run: Mapping[str, Any]) -> Remarks:
        """The executor is set up, time is not nothing, names are free and steps can be told apart."""
        executor = run.get("executor", "process")
        if fault := self._not_set_up("executors", executor):
            yield Remark(("run", "executor"), *fault)
        if run.get("timeout") == 0:
            yield Remark(("run", "timeout"), "expected more than no time at all")
        yield from _of_variables(run.get("credentials", {}), run.get("environment", {}))
        named = [(step.get("name"), at) for at, step in enumerate(run.get("steps", ())) if step.get("name")]
        for (before, _), (name, at) in pairwise(sorted(named)):
            if before == name:
                yield Remark(("run", "steps", at, "name"), f"another step is called `{name}`")

    def of_notify(self, blocks: Iterable[Mapping[str, Any]], source: Mapping[str, Any]) -> Remarks:
        """Each notifier is set up, and the provider can do what it needs of it."""
        provider = self._providers.get(source.get("connection", ""))
        for at, block in enumerate(blocks):
            for name in block:
                fault = self._not_set_up("notifiers", name)
                if fault is None and provider is not None:
                    fault = incapable(self._kinds, provider, self._kinds.notifiers[name].needs)
                if fault is not None:
                    yield Remark(("notify", at, name), *fault, at_key=True)

    def _not_set_up(self, group: Group, name: str) -> tuple[str, str | None] | None:
        """Why a kind of the configuration cannot be used, and what to do; `None` when it can."""
        blocks: Mapping[str, Any] = getattr(self._settings, group)
        if name in blocks:
            return None
        if reason := self._settings.unavailable.get(f"{group}.{name}"):
            return f"`{name}` cannot be used: {reason}", None
        if name in names(self._kinds, group):
            return f"`{name}` is installed and not set up", f"set it up under `{group}:` in {self._settings.file.name}"
        cause = missing(self._kinds, group, name)
        return f"there is no {SINGULAR[group]} `{name}`" + (f": {cause}" if cause else ""), None


def _of_variables(credentials: Collection[str], environment: Collection[str]) -> Remarks:
    """None has a name that somebody else sets or obeys, and none has two values."""
    for name in credentials:
        if is_reserved(name):
            message = f"`{name}` cannot be set: programs, or Headgate itself, obey it"
            yield Remark(("run", "credentials", name), message, at_key=True)
    for name in environment:
        if is_ours(name):
            yield Remark(
                ("run", "environment", name),
                f"`{name}` cannot be set here: Headgate sets it itself, and its value would win",
                f"choose another name, or set it within a step: export {name}=…",
                at_key=True,
            )
        if name in credentials:
            yield Remark(("run", "environment", name), f"`{name}` is also one of `credentials`", at_key=True)


def of_names(parameters: Iterable[ParameterDefinition], run: Mapping[str, Any]) -> Remarks:
    """A parameter's name is not also that of a credential or a variable."""
    for parameter in parameters:
        for block in ("credentials", "environment"):
            if parameter.name in run.get(block, {}):
                yield Remark(("run", block, parameter.name), f"`{parameter.name}` is also a parameter", at_key=True)


def of_defaults(parameters: Iterable[ParameterDefinition], triggers: Iterable[str]) -> Remarks:
    """What nobody can give a value for has a default: only a manual build is asked."""
    automatic = [name for name in triggers if name != "manual"]
    for parameter in parameters:
        if automatic and parameter.default is None:
            yield Remark(
                ("parameters", parameter.name),
                f"needs a `default`: the trigger `{automatic[0]}` can give no value",
                "or move the job's manual builds into a job of their own",
                at_key=True,
            )


def good_parts(body: Any, path: str, bad: Iterable[str]) -> dict[str, Any]:
    """What of a job that does not fit its schema can be checked further: its parts that nothing is wrong with.

    `bad` are the key paths of its problems, `path` is the job's own. Items of lists keep their numbers.
    """
    bad = tuple(bad)

    def is_good(where: str) -> bool:
        return not any(one == where or one.startswith((f"{where}.", f"{where}[")) for one in bad)

    good: dict[str, Any] = {}
    for name, part in body.items() if isinstance(body, dict) else ():
        here = f"{path}.{name}"
        if is_good(here):
            good[name] = part
        elif name in {"source", "triggers", "parameters", "run"} and isinstance(part, dict):
            good[name] = {key: member for key, member in part.items() if is_good(f"{here}.{key}")}
        elif name in {"conditions", "notify"} and isinstance(part, list):
            good[name] = [member if is_good(f"{here}[{at}]") else {} for at, member in enumerate(part)]
    if not is_good(f"{path}.run.executor") or "run" not in good:
        good.pop("run", None)
    return good
