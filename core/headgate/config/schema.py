"""The JSON Schemas of job files and of the configuration, composed from the installed kinds; not how they are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headgate.config.formats import PATTERNS
from headgate.config.host_schema import WEBHOOKS, host_file_schema
from headgate.config.job_schema import Schema, file_schema, job_schema
from headgate.config.kinds import Group, KnownKinds, names
from headgate.config.nodes import KINDS


def job_file_schema(kinds: KnownKinds) -> Schema:
    """A whole job file, for `headgate schema job` and the reference; `one_job_schema` is a part of it."""
    return file_schema(one_job_schema(kinds))


def one_job_schema(kinds: KnownKinds) -> Schema:
    """One job of a file."""
    triggers = _by_name("triggers", {name: kind.schema for name, kind in kinds.triggers.items()}, kinds)
    executor: Schema = {
        "type": "string",
        "default": "process",
        "description": "What runs it. Executors are set up in the configuration's `executors:`.",
    }
    if kinds.executors:
        executor = {"enum": list(names(kinds, "executors")), KINDS: "executors", **executor}
        del executor["type"]
    return job_schema(
        triggers={
            **triggers,
            "default": {},
            "description": "What asks for a build, each with its block; any of them is enough. None: only people and programs do.",
        },
        conditions=_blocks(
            _by_name("conditions", {name: kind.schema for name, kind in kinds.conditions.items()}, kinds),
            "What must also be true, after a trigger asked: one `- name: {…}` each, all must pass.",
        ),
        notify=_blocks(
            _by_name("notifiers", {name: kind.schema for name, kind in kinds.notifiers.items()}, kinds),
            "Whom to tell about builds: one `- name: {…}` each.",
        ),
        executor=executor,
        definitions={},
    )


def host_schema(kinds: KnownKinds) -> Schema:
    """The whole of `config.yaml`."""
    stores = _by_name("credential_stores", {name: kind.schema for name, kind in kinds.credential_stores.items()}, kinds)
    notifiers = _by_name("notifiers", {name: kind.settings for name, kind in kinds.notifiers.items()}, kinds)
    executors = _by_name("executors", {name: kind.schema for name, kind in kinds.executors.items()}, kinds)
    return host_file_schema(
        connection=_connection(kinds),
        credential_stores={
            **stores,
            "default": {},
            "description": "Where secrets are kept. `secret://NAME/…` names one of these; a store that is not listed does not exist.",
        },
        notifiers={
            **notifiers,
            "default": {},
            "description": "Settings of the ways of telling. Those that need no settings are there without being listed.",
        },
        executors={
            **executors,
            "default": {},
            "description": "Settings of what runs builds. Those that need no settings are there without being listed.",
        },
    )


def published(schema: Mapping[str, Any]) -> Schema:
    """A schema for editors: our formats, of which they know nothing, as patterns; our annotations left out."""
    return dict(_published(schema))


def _published(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if key.startswith("x-headgate-"):
            continue
        if key == "format" and isinstance(value, str) and value in {*PATTERNS, "network", "path", "secret", "sender"}:
            if value in PATTERNS and "pattern" not in node:
                yield "pattern", PATTERNS[value]
            continue
        yield key, _published_value(value)


def _published_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(_published(value))
    return [_published_value(item) for item in value] if isinstance(value, (list, tuple)) else value


def _by_name(group: Group, schemas: Mapping[str, Mapping[str, Any]], kinds: KnownKinds) -> Schema:
    """A mapping from kinds to their blocks."""
    return {
        "type": "object",
        "additionalProperties": False,
        KINDS: group,
        "properties": {
            name: {
                **_embedded(group, name, schemas[name]),
                "title": name,
                "description": schemas[name].get("description")
                or f"{getattr(kinds, group)[name].summary.rstrip('.')}.",
            }
            for name in sorted(schemas)
        },
    }


def _blocks(one: Schema, description: str) -> Schema:
    """A list of mappings with one key each."""
    return {
        "type": "array",
        "default": [],
        "description": description,
        "items": {**one, "minProperties": 1, "maxProperties": 1},
    }


def _connection(kinds: KnownKinds) -> Schema:
    """One connection: the provider's name decides what else may stand there."""
    known = list(names(kinds, "providers"))
    provider: Schema = {"description": "What kind of Git hosting this is."}
    if known:
        provider |= {"enum": known, KINDS: "providers"}
    branches = [
        {
            "if": {"type": "object", "properties": {"provider": {"const": name}}, "required": ["provider"]},
            "then": _with_provider(_embedded("providers", name, kinds.providers[name].schema), name, kinds),
        }
        for name in known
    ]
    return {
        "type": "object",
        "title": "connection",
        "required": ["provider"],
        "properties": {"provider": provider},
        **({"allOf": branches} if branches else {}),
    }


def _with_provider(schema: Schema, name: str, kinds: KnownKinds) -> Schema:
    """A provider's block, in which its own name stands too."""
    return {
        **schema,
        "title": name,
        "description": schema.get("description") or f"{kinds.providers[name].summary.rstrip('.')}.",
        "properties": {"provider": {"const": name}, "webhooks": WEBHOOKS, **schema.get("properties", {})},
    }


def _embedded(group: Group, name: str, schema: Mapping[str, Any]) -> Schema:
    """A kind's schema within ours: where it refers to parts of itself, it gets an `$id` for that to count from."""
    embedded = {key: value for key, value in schema.items() if key != "$schema"}
    if _refers(schema):
        embedded.setdefault("$id", f"urn:headgate:{group}:{name}")
    return embedded


def _refers(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$ref" in value or any(map(_refers, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_refers, value))
