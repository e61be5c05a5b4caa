"""`config.yaml` as frozen settings; not what a job says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.api import ConfigError, Problem
from headgate.config.checking import Checker
from headgate.config.files import read_text
from headgate.config.formats import Formats
from headgate.config.host_schema import PLUGINS
from headgate.config.kinds import SINGULAR, Group, KnownKinds, incapable, lost
from headgate.config.placeholders import placeholder_problems
from headgate.config.schema import host_schema
from headgate.config.settings import (
    ConnectionSettings,
    GitSettings,
    LogSettings,
    PluginSettings,
    PollSettings,
    ServerSettings,
    Settings,
    WebhookSettings,
    WorkerSettings,
)
from headgate.config.yaml import Document, KeyPath, read_yaml

_KIND_BLOCKS: tuple[Group, ...] = ("credential_stores", "notifiers", "executors")


def load_plugin_settings(path: Path) -> PluginSettings:
    """The `plugins:` block alone, readable before any plugin is imported; raises `ConfigError` when it is wrong."""
    document = _document(path)
    if not isinstance(document.value, dict) or "plugins" not in document.value:
        return PluginSettings()
    checker = Checker(PLUGINS, Formats(folder=path.parent))
    block, problems = checker.read(document, document.value["plugins"], ("plugins",))
    if problems:
        raise ConfigError(*problems)
    return _plugin_settings(block)


def load_settings(path: Path, kinds: KnownKinds) -> Settings:
    """All settings, paths absolute; raises `ConfigError` with every problem found.

    A block of a kind that is not there because its plugin is broken or denied stops nobody: it is left out, and
    stands in the settings' `problems` and `unavailable`.
    """
    path = path.absolute()
    settings, problems = _checked(path, _document(path), kinds, {})
    if settings is None:
        raise ConfigError(*problems)
    return settings


def load_good_part(path: Path, kinds: KnownKinds) -> Settings | None:
    """What is right in a wrong configuration, so that job files can be checked all the same.

    What is not stands in `unavailable`, or has its default. `None`: too little can be read.
    """
    path = path.absolute()
    try:
        document = _document(path)
    except ConfigError:
        return None
    unavailable: dict[str, str] = {}
    for _ in range(_ROUNDS):
        settings, problems = _checked(path, document, kinds, unavailable)
        if settings is not None or not isinstance(document.value, dict):
            return settings
        for problem in problems:
            _cut_out(document.value, problem.path, unavailable)
    return None


_ROUNDS = 5
"""How often something is cut out of a wrong configuration: a store first, then the connections that name it."""


def _cut_out(value: dict[str, Any], path: str, unavailable: dict[str, str]) -> None:
    """Take the smallest block with `path` in it out of `value`: a connection, a store, or all under a key."""
    group, _, rest = path.partition(".")
    name = rest.partition(".")[0].partition("[")[0]
    if f"{group}.{name}" in unavailable:  # one of several problems of a block
        return
    if group in ("connections", *_KIND_BLOCKS) and name in _names(value, group):
        del value[group][name]
        unavailable[f"{group}.{name}"] = "its block in the configuration is wrong"
    else:
        value.pop(group.partition("[")[0], None)


def _checked(
    path: Path, document: Document, kinds: KnownKinds, unavailable: dict[str, str]
) -> tuple[Settings | None, list[Problem]]:
    """Settings, or `None` and all that is wrong. Adds to `unavailable` what is left out, and takes it from the value."""
    value = {} if document.value is None else document.value
    left_out, lacking = _leave_out(document, value, kinds) if isinstance(value, dict) else ([], {})
    unavailable |= lacking
    texts = {at: text for at, text in document.texts.items() if ".".join(map(str, at[:2])) not in unavailable}
    document = dataclasses.replace(document, texts=texts)
    stores = dict.fromkeys(_names(value, "credential_stores"), "")
    stores |= dict.fromkeys(_unavailable_names(unavailable, "credential_stores"), "")
    problems = list(placeholder_problems(document, value))
    checker = Checker(host_schema(kinds), Formats(folder=path.parent, stores=stores), kinds)
    block, found = checker.read(document, value)
    problems += found or _beyond_providers(document, block, kinds)
    if problems:
        return None, _sorted([*problems, *left_out])
    return _settings(path, block, kinds, tuple(left_out), unavailable), []


def _beyond_providers(document: Document, block: dict[str, Any], kinds: KnownKinds) -> list[Problem]:
    """What is asked of a connection that no connection of its provider can do."""
    problems: list[Problem] = []
    for name, options in block.get("connections", {}).items():
        webhooks = options.get("webhooks", {})
        asked: dict[KeyPath, tuple[str, ...]] = {}
        if webhooks.get("recover"):
            asked["recover",] = ("hooks", "hook_deliveries", "redeliver")
        if "provider" in (allow := webhooks.get("allow", ())):
            asked["allow", allow.index("provider")] = ("sender_addresses",)
        for place, features in asked.items():
            if fault := incapable(kinds, options["provider"], features):
                problems.append(document.problem(("connections", name, "webhooks", *place), *fault))
    return problems


def _document(path: Path) -> Document:
    return read_yaml(read_text(path), file=str(path))


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def _names(value: Any, group: str) -> list[str]:
    block = value.get(group) if isinstance(value, dict) else None
    return list(block) if isinstance(block, dict) else []


def _unavailable_names(unavailable: Mapping[str, str], group: str) -> list[str]:
    return [path.removeprefix(f"{group}.") for path in unavailable if path.startswith(f"{group}.")]


def _leave_out(document: Document, value: dict[str, Any], kinds: KnownKinds) -> tuple[list[Problem], dict[str, str]]:
    """Take out of `value` what only an unusable plugin could explain."""
    problems: list[Problem] = []
    unavailable: dict[str, str] = {}

    def leave_out(group: str, name: str, reason: str) -> None:
        del value[group][name]
        unavailable[f"{group}.{name}"] = reason
        problems.append(document.problem((group, name), f"left out: {reason}", at_key=True))

    connections = value.get("connections")
    for name, block in list(connections.items()) if isinstance(connections, dict) else []:
        provider = block.get("provider") if isinstance(block, dict) else None
        if isinstance(provider, str) and (cause := lost(kinds, "providers", provider)):
            leave_out("connections", name, f"there is no provider `{provider}`: {cause}")
    for group in _KIND_BLOCKS:
        for name in _names(value, group):
            if cause := lost(kinds, group, name):
                leave_out(group, name, f"there is no {SINGULAR[group]} `{name}`: {cause}")
    return problems, unavailable


def _settings(
    path: Path, block: dict[str, Any], kinds: KnownKinds, problems: tuple[Problem, ...], unavailable: dict[str, str]
) -> Settings:
    folder = Formats(folder=path.parent)
    data = Path(block.get("data") or folder.convert("path", "data"))
    git = dict(block.get("git", {}))
    git["local_roots"] = tuple(Path(root) for root in git.get("local_roots", ()))
    return Settings(
        file=path,
        data=data,
        database=_database(block.get("database"), data, folder),
        jobs=tuple(Path(one) for one in block.get("jobs") or [folder.convert("path", "jobs.d")]),
        server=ServerSettings(**_tuples(block.get("server", {}))),
        plugins=_plugin_settings(block.get("plugins", {})),
        git=GitSettings(**git),
        polling=PollSettings(**block.get("polling", {})),
        worker=WorkerSettings(**block.get("worker", {})),
        logs=LogSettings(**block.get("logs", {})),
        connections=tuple(
            ConnectionSettings(
                name=name,
                provider=options["provider"],
                options={key: option for key, option in options.items() if key not in {"provider", "webhooks"}},
                webhooks=WebhookSettings(**_tuples(options.get("webhooks", {}))),
            )
            for name, options in block.get("connections", {}).items()
        ),
        credential_stores=block.get("credential_stores", {}),
        notifiers=_with_undemanding(
            block.get("notifiers", {}), {name: kind.settings for name, kind in kinds.notifiers.items()}
        ),
        executors=_with_undemanding(
            block.get("executors", {}), {name: kind.schema for name, kind in kinds.executors.items()}
        ),
        problems=problems,
        unavailable=unavailable,
    )


def _tuples(block: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as the frozen values they become."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in block.items()}


def _plugin_settings(block: dict[str, Any]) -> PluginSettings:
    allow = block.get("allow")
    return PluginSettings(
        allow=None if allow is None else tuple(allow),
        deny=tuple(block.get("deny", ())),
        memory_growth=block.get("memory_growth", PluginSettings().memory_growth),
    )


def _database(url: str | None, data: Path, folder: Formats) -> str:
    if url is None:
        return f"sqlite+aiosqlite:///{data / 'headgate.db'}"
    return f"sqlite+aiosqlite:///{folder.convert('path', url.partition(':///')[2])}"


def _with_undemanding(
    blocks: dict[str, dict[str, Any]], schemas: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The blocks, and an empty one for each kind that is content with that."""
    formats = Formats(folder=Path())
    empty: dict[str, dict[str, Any]] = {
        name: {}
        for name, schema in sorted(schemas.items())
        if name not in blocks and not Checker(schema, formats).read(Document(file="", value={}), {})[1]
    }
    return {**blocks, **empty}
