"""A job as its YAML file defines it, checked and frozen; not when it runs."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """How the workspace is made. `enabled=False` is what `checkout: none` says: an empty workspace, no git."""

    enabled: bool = True
    depth: int | None = None
    clean: bool = True
    submodules: bool = False
    lfs: bool = False
    sparse: tuple[str, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Which repository of which connection. `repository` is as the admin wrote it, a path or a pattern (`acme/*`)."""

    connection: str
    repository: str
    checkout: Checkout = Checkout()


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block that belongs to a kind: a trigger, a condition, a notifier. `options` fit that kind's schema."""

    kind: str
    options: dict[str, Any] = {}


ParameterType: TypeAlias = Literal["string", "text", "boolean", "choice", "number", "password"]


class ParameterDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter a build accepts. `default` is text as in the environment; `None`: it must be given.

    `pattern` (RE2, whole value) is for string and text, `minimum` and `maximum` for number, `choices` for choice.
    """

    name: str
    type: ParameterType = "string"
    default: str | None = None
    description: str = ""
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None


class QueueRules(msgspec.Struct, frozen=True, kw_only=True):
    """How its builds wait: `priority` 0 to 100, higher first; `max_running` builds of this job at once."""

    priority: int = 50
    max_running: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a build, run by the executor's shell. `always`: also after a failed step."""

    name: str
    run: str
    always: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a build does. `timeout` in seconds; `credentials` maps a variable to a secret's reference."""

    executor: str = "process"
    timeout: float = 3600.0
    retries: int = 0
    credentials: dict[str, str] = {}
    environment: dict[str, str] = {}
    steps: tuple[Step, ...]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One definition. `definition` is the SHA-256 (hex) of its canonical JSON, so equal text is equal everywhere.

    `file` and `line` say where it stands, for messages; they are not part of the hash.
    """

    name: str
    description: str = ""
    source: Source
    triggers: tuple[Block, ...] = ()
    conditions: tuple[Block, ...] = ()
    parameters: tuple[ParameterDefinition, ...] = ()
    queue: QueueRules = QueueRules()
    run: Run
    notify: tuple[Block, ...] = ()
    file: str = ""
    line: int = 0
    definition: str = ""
