"""From entry points to a registry of kinds, each with its provenance; not what kinds do once opened.

pluggy's own loader dies on one broken plugin and skips a doubled name in silence, so entry points are walked
here: filtered before anything is imported, one `try` each, and every hook is asked of one plugin alone.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal, TypeVar

import msgspec
import pluggy

from headgate.api import CAPABILITIES, hookspecs
from headgate.api.errors import PluginError
from headgate.api.kinds import (
    HEADGATE_API,
    ConditionKind,
    CredentialStoreKind,
    ExecutorKind,
    Kind,
    NotifierKind,
    ProviderKind,
    RouteKind,
    TriggerKind,
)
from headgate.plugins.culprits import place_of

BUNDLED = "headgate"
"""The distribution whose plugins nobody can shadow: a stranger's plugin of the same name is refused."""

HOOKS: Mapping[str, type[Any]] = {
    "headgate_providers": ProviderKind,
    "headgate_triggers": TriggerKind,
    "headgate_conditions": ConditionKind,
    "headgate_credential_stores": CredentialStoreKind,
    "headgate_notifiers": NotifierKind,
    "headgate_executors": ExecutorKind,
    "headgate_routes": RouteKind,
}
"""Each hook and the type of kind it returns."""

K = TypeVar("K")


class PluginReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry point. `kinds` are `provider git`, `trigger push`, …; `reason` is for broken ones."""

    name: str
    distribution: str
    version: str
    status: Literal["loaded", "broken", "denied"]
    reason: str = ""
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """Every usable kind under its name; `broken` maps the plugins that are not to the reason."""

    providers: Mapping[str, ProviderKind] = field(default_factory=dict)
    triggers: Mapping[str, TriggerKind] = field(default_factory=dict)
    conditions: Mapping[str, ConditionKind] = field(default_factory=dict)
    credential_stores: Mapping[str, CredentialStoreKind] = field(default_factory=dict)
    notifiers: Mapping[str, NotifierKind] = field(default_factory=dict)
    executors: Mapping[str, ExecutorKind] = field(default_factory=dict)
    routes: tuple[tuple[str, RouteKind], ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugins:
    """What discovery found: the kinds to use and a report for every entry point, sorted by name."""

    kinds: Kinds
    reports: tuple[PluginReport, ...]
    origins: Mapping[tuple[str, str], PluginReport]
    """(`provider`, `github`) → the plugin it comes from."""
    places: Mapping[str, str] = field(default_factory=dict)
    """A loaded plugin's name → where its code stands (`headgate.plugins.culprits`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    entry_point: metadata.EntryPoint
    distribution: str
    version: str

    @property
    def name(self) -> str:
        return self.entry_point.name

    def report(
        self, status: Literal["loaded", "broken", "denied"], reason: str = "", kinds: tuple[str, ...] = ()
    ) -> PluginReport:
        return PluginReport(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            status=status,
            reason=reason,
            kinds=kinds,
        )


def load_plugins(*, allow: Collection[str] | None = None, deny: Collection[str] = ()) -> LoadedPlugins:
    """Find, filter, import and ask every plugin. Never raises for one of them: a fault becomes its report.

    `allow` and `deny` hold entry-point or distribution names; `allow=None` allows all, `deny` wins. What they
    keep out is not imported.
    """
    reports: list[PluginReport] = []
    admitted: list[_Candidate] = []
    for candidate in _candidates():
        if reason := _kept_out(candidate, allow, deny):
            reports.append(candidate.report("denied", reason))
        else:
            admitted.append(candidate)
    kinds: dict[tuple[str, str], tuple[_Candidate, Kind]] = {}
    for candidate in admitted:
        try:
            _refuse_doubled_name(candidate, admitted)
            found = _ask(candidate)
            _refuse_doubled_kinds(found, kinds, candidate)
        except PluginError as error:
            reports.append(candidate.report("broken", error.reason))
            continue
        names = tuple(f"{word} {kind.name}" for word, kind in found)
        reports.append(candidate.report("loaded", kinds=names))
        kinds.update({_kind_key(word, kind, candidate): (candidate, kind) for word, kind in found})
    reports.sort(key=lambda report: (report.name, report.distribution))
    return _registry(kinds, reports, places=_places(admitted, reports))


def _places(admitted: Sequence[_Candidate], reports: Iterable[PluginReport]) -> dict[str, str]:
    loaded = {(report.name, report.distribution) for report in reports if report.status == "loaded"}
    distributions = [candidate.distribution for candidate in admitted]
    places: dict[str, str] = {}
    for candidate in admitted:
        if (candidate.name, candidate.distribution) in loaded:
            alone = distributions.count(candidate.distribution) == 1
            if place := place_of(candidate.entry_point.module, alone=alone):
                places[candidate.name] = place
    return places


def _candidates() -> list[_Candidate]:
    """Every entry point of our group, the bundled first; of two copies of a distribution the one Python imports."""
    seen: dict[tuple[str, str], _Candidate] = {}
    for distribution in metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
            entry_points = distribution.entry_points.select(group=hookspecs.ENTRY_POINT_GROUP)
        except Exception:  # noqa: BLE001, S112 - somebody's broken metadata folder must not stop discovery
            continue
        for entry_point in entry_points:
            candidate = _Candidate(entry_point=entry_point, distribution=name or "unknown", version=version or "0")
            seen.setdefault((candidate.distribution.lower(), entry_point.name), candidate)
    return sorted(seen.values(), key=lambda found: (found.distribution != BUNDLED, found.distribution, found.name))


def _kept_out(candidate: _Candidate, allow: Collection[str] | None, deny: Collection[str]) -> str:
    names = {candidate.name, candidate.distribution}
    if names & set(deny):
        return "denied by plugins.deny in the configuration"
    if allow is not None and not names & set(allow):
        return "not listed in plugins.allow in the configuration"
    return ""


def _refuse_doubled_name(candidate: _Candidate, admitted: Iterable[_Candidate]) -> None:
    """The bundled plugin keeps its name; between two strangers neither is trusted until an admin says which."""
    others = [other for other in admitted if other.name == candidate.name and other is not candidate]
    if others and candidate.distribution != BUNDLED:
        rivals = ", ".join(f"{other.distribution} {other.version}" for other in others)
        raise _fault(
            candidate, f"the name {candidate.name} is also used by {rivals}; deny one distribution in plugins.deny"
        )


def _ask(candidate: _Candidate) -> list[tuple[str, Kind]]:
    """Import it and call its hooks: (`provider`, kind) pairs in the order of `HOOKS`."""
    try:
        plugin = candidate.entry_point.load()
    except (Exception, SystemExit) as error:  # a plugin's module may raise anything while it is imported
        raise _fault(candidate, f"it cannot be imported: {_say(error)}") from error
    _refuse_other_api(candidate, plugin)
    _refuse_unknown_hooks(candidate, plugin)
    manager = pluggy.PluginManager("headgate")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=candidate.name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise _fault(candidate, f"a hook does not fit its specification: {_say(error)}") from error
    found: list[tuple[str, Kind]] = []
    for hook, kind_type in HOOKS.items():
        caller = getattr(manager.hook, hook)
        if any(impl.wrapper or impl.hookwrapper for impl in caller.get_hookimpls()):
            raise _fault(candidate, f"{hook} must not be a wrapper")
        try:
            answers = caller()
            kinds = [kind for answer in answers for kind in _iterate(candidate, hook, answer)]
        except PluginError:
            raise
        except (Exception, SystemExit) as error:  # a hook is a stranger's code
            raise _fault(candidate, f"{hook} raised {_say(error)}") from error
        for kind in kinds:
            _check_kind(candidate, hook, kind, kind_type)
            found.append((_word(kind_type), kind))
    return found


def _refuse_other_api(candidate: _Candidate, plugin: object) -> None:
    version = getattr(plugin, "HEADGATE_API", None)
    if version is None:
        raise _fault(candidate, f"it does not say which API it was written for; add HEADGATE_API = {HEADGATE_API}")
    if version != HEADGATE_API:
        raise _fault(candidate, f"it was written for API {version!r}, and this is API {HEADGATE_API}")


def _refuse_unknown_hooks(candidate: _Candidate, plugin: object) -> None:
    for name in dir(plugin):
        if name.startswith("headgate_") and name not in HOOKS and callable(getattr(plugin, name)):
            near = difflib.get_close_matches(name, HOOKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(HOOKS)}"
            raise _fault(candidate, f"there is no hook {name}; {hint}")
    for name in HOOKS:
        method = getattr(plugin, name, None)
        if method is not None and not hasattr(method, "headgate_impl"):
            raise _fault(candidate, f"{name} is not marked with @hookimpl")


def _iterate(candidate: _Candidate, hook: str, answer: object) -> Iterator[Any]:
    if inspect.iscoroutine(answer):
        answer.close()
        raise _fault(candidate, f"{hook} is async; hooks only register and are plain functions")
    if not isinstance(answer, Iterable):
        raise _fault(candidate, f"{hook} returned {type(answer).__name__}, not an iterable of kinds")
    yield from answer


def _check_kind(candidate: _Candidate, hook: str, kind: object, kind_type: type[Any]) -> None:
    if not isinstance(kind, kind_type):
        raise _fault(candidate, f"{hook} gave a {type(kind).__name__}, not a {kind_type.__name__}")
    if not kind.name or not kind.summary or "\n" in kind.summary:
        raise _fault(candidate, f"{hook} gave a kind without a name or a one-line summary")
    for schema in (getattr(kind, "schema", None), getattr(kind, "settings", None)):
        if schema is not None and (reason := _schema_fault(schema)):
            raise _fault(candidate, f"the schema of {kind.name} is not usable: {reason}")
    if unknown := sorted(set(getattr(kind, "needs", ())) - set(CAPABILITIES)):
        raise _fault(candidate, f"{kind.name} needs {', '.join(unknown)}, which is no capability of providers")


def _schema_fault(schema: Mapping[str, Any]) -> str:
    # Late: jsonschema takes longer to import than everything else here, and a command may load no plugin at all.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if schema.get("type") != "object":
        return "it must be of type object"
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        return error.message
    return ""


def _refuse_doubled_kinds(
    found: Iterable[tuple[str, Kind]], known: Mapping[tuple[str, str], tuple[_Candidate, Kind]], candidate: _Candidate
) -> None:
    fresh: set[tuple[str, str]] = set()
    for word, kind in found:
        key = _kind_key(word, kind, candidate)
        if key in known:
            owner = known[key][0]
            raise _fault(candidate, f"the {word} {kind.name} is already given by {owner.distribution} {owner.version}")
        if key in fresh:
            raise _fault(candidate, f"it gives the {word} {kind.name} twice")
        fresh.add(key)


def _kind_key(word: str, kind: Kind, candidate: _Candidate) -> tuple[str, str]:
    """Routes live under their plugin's name, all other kinds share one name space."""
    return word, f"{candidate.name}/{kind.name}" if isinstance(kind, RouteKind) else kind.name


def _registry(
    found: Mapping[tuple[str, str], tuple[_Candidate, Kind]],
    reports: Sequence[PluginReport],
    *,
    places: Mapping[str, str],
) -> LoadedPlugins:

    def of(kind_type: type[K]) -> dict[str, K]:
        return {name: kind for (_, name), (_, kind) in found.items() if isinstance(kind, kind_type)}

    kinds = Kinds(
        providers=of(ProviderKind),
        triggers=of(TriggerKind),
        conditions=of(ConditionKind),
        credential_stores=of(CredentialStoreKind),
        notifiers=of(NotifierKind),
        executors=of(ExecutorKind),
        routes=tuple((candidate.name, kind) for candidate, kind in found.values() if isinstance(kind, RouteKind)),
        broken={
            report.name: f"{report.distribution} {report.version} is {report.status}: {report.reason}"
            for report in reports
            if report.status != "loaded"
        },
    )
    origins = {key: candidate.report("loaded") for key, (candidate, _) in found.items()}
    return LoadedPlugins(kinds=kinds, reports=tuple(reports), origins=origins, places=places)


def _word(kind_type: type[Any]) -> str:
    """`ProviderKind` → `provider`, `CredentialStoreKind` → `credential store`."""
    name = kind_type.__name__.removesuffix("Kind")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _fault(candidate: _Candidate, reason: str) -> PluginError:
    return PluginError(reason, plugin=candidate.name, distribution=candidate.distribution, version=candidate.version)


def _say(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
