"""Fake kinds, one of each group, and a folder to write configurations into."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate import api
from headgate.config.host import load_settings
from headgate.config.jobs import LoadedJobs, load_jobs
from headgate.config.settings import Settings
from headgate.plugins import Kinds


def never_opened(config, host):
    raise AssertionError("configuration is read without opening anything")


def normalise(path: str) -> str:
    if " " in path or not path:
        raise ValueError(f"a repository's path has no spaces: {path!r}")
    return path.strip("/").lower()


def compile_globs(options):
    api.Globs(options.get("branches", ["**"]))
    if options.get("explode"):
        raise RuntimeError("a plugin's bug")
    return options


BRANCHES = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "description": "Which branches.",
}

FORGE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {"type": "string", "pattern": "^https://", "description": "Where it is."},
        "root": {"type": "string", "format": "path", "description": "A folder."},
        "secrets": {"type": "array", "items": api.REFERENCE_SCHEMA, "minItems": 1, "maxItems": 2},
        "open": {"const": "yes, really"},
    },
    "oneOf": [{"required": ["base_url"]}, {"required": ["root"]}],
    "not": {"required": ["secrets", "open"]},
}

POLL = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "every": {"type": "string", "format": "duration", "description": "How often."},
        "cron": {"type": "string"},
    },
    "oneOf": [{"required": ["every"]}, {"required": ["cron"]}],
}

# A schema that refers to itself, and has keywords that only jsonschema knows.
TREE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/node"}, "contains": {"type": "object"}}},
    "$defs": {
        "node": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"wait": {"type": "string", "format": "duration"}, "then": {"$ref": "#/$defs/node"}},
        }
    },
}


@pytest.fixture
def kinds() -> Kinds:
    def provider(name: str, schema: api.Schema) -> api.ProviderKind:
        return api.ProviderKind(
            name=name,
            summary=f"The {name}",
            schema=schema,
            open=never_opened,
            provides=object,
            normalise=normalise,
            read=never_opened,
        )

    def trigger(name: str, schema: api.Schema) -> api.TriggerKind:
        return api.TriggerKind(name=name, summary=f"On {name}", schema=schema, compile=compile_globs)

    options = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"branches": BRANCHES, "explode": {"type": "boolean"}},
    }
    room = {
        "type": "object",
        "additionalProperties": False,
        "required": ["room"],
        "properties": {"room": {"type": "string"}},
    }
    return Kinds(
        providers={"forge": provider("forge", FORGE)},
        triggers={
            "push": trigger("push", options),
            "poll": trigger("poll", POLL),
            "manual": trigger("manual", api.EMPTY_SCHEMA),
        },
        conditions={
            "branch": api.ConditionKind(name="branch", summary="Branches", schema=options, compile=compile_globs),
            "tree": api.ConditionKind(name="tree", summary="A tree", schema=TREE, compile=lambda options: options),
        },
        credential_stores={
            "env": api.CredentialStoreKind(name="env", summary="Variables", open=never_opened),
            "encrypted": api.CredentialStoreKind(name="encrypted", summary="A file", open=never_opened),
        },
        notifiers={
            "status": api.NotifierKind(name="status", summary="A status", open=never_opened),
            "chat": api.NotifierKind(name="chat", summary="A chat", open=never_opened, schema=room, settings=room),
        },
        executors={
            "process": api.ExecutorKind(name="process", summary="A process", open=never_opened),
            "cluster": api.ExecutorKind(name="cluster", summary="A cluster", open=never_opened, schema=room),
        },
    )


CONFIG = """
connections:
  acme: {provider: forge, base_url: "https://forge.example.org"}
credential_stores: {env: {}}
"""

JOB = """
jobs:
  web:
    source: {connection: acme, repository: acme/web}
    triggers: {push: {branches: [main]}}
    run: {steps: [{run: make}]}
"""


@dataclass
class Folder:
    """A folder with `config.yaml` and `jobs.d`."""

    path: Path
    kinds: Kinds

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def settings(self, text: str = CONFIG, kinds: Kinds | None = None) -> Settings:
        return load_settings(self.write("config.yaml", text), kinds or self.kinds)

    def jobs(self, *texts: str, config: str = CONFIG, kinds: Kinds | None = None) -> LoadedJobs:
        for number, text in enumerate(texts):
            self.write(f"jobs.d/{number}.yaml", text)
        settings = self.settings(config, kinds)
        return load_jobs(settings.jobs, kinds or self.kinds, settings)


@pytest.fixture
def folder(tmp_path: Path, kinds: Kinds) -> Folder:
    return Folder(tmp_path, kinds)


@pytest.fixture
def job(folder: Folder) -> Callable[[str], api.Job]:
    """Loads the one job of a text, which must be without problems."""

    def load(text: str) -> api.Job:
        loaded = folder.jobs(text)
        assert loaded.problems == ()
        return loaded.jobs[0]

    return load


@pytest.fixture
def said(folder: Folder) -> Callable[..., list[str]]:
    """What is said about a job file, each problem as `line:column: path: message (hint)`."""

    def load(text: str, **more) -> list[str]:
        return [str(p).removeprefix(f"{p.file}:") for p in folder.jobs(text, **more).problems]

    return load
