"""What a job file may hold, as JSON Schema: the part that does not depend on plugins; not what a kind's block holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.api import REFERENCE_SCHEMA
from headgate.config.wording import EXPECTED, LATER

Schema = dict[str, Any]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
NAME_WORDS = "letters, digits, `.`, `_` and `-`, starting with a letter or digit"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
PARAMETER = r"^[A-Z_][A-Z0-9_]*$"


def name_schema(description: str) -> Schema:
    """A name that is safe in URLs, file names and messages."""
    return {
        "type": "string",
        "pattern": NAME,
        "maxLength": 100,
        EXPECTED: NAME_WORDS,
        "description": description,
    }


def duration_schema(description: str, **more: Any) -> Schema:
    """A time like `30s`."""
    return {"type": "string", "format": "duration", "description": description, **more}


CHECKOUT: Schema = {
    "description": (
        "How the workspace is made. `none`: it stays empty and git is not asked at all, for jobs that need no source."
    ),
    "default": {},
    "anyOf": [
        {"const": "none"},
        {
            "type": "object",
            "title": "checkout",
            "additionalProperties": False,
            LATER: ["merge_target"],
            "properties": {
                "depth": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "How many commits of history the workspace has. Without it: all of them.",
                },
                "clean": {
                    "type": "boolean",
                    "default": True,
                    "description": "Whether the build starts from a fresh workspace. `false` keeps files that git ignores from the job's build before.",
                },
                "submodules": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether submodules are checked out too. Their URLs are a stranger's words, so this is off unless you ask.",
                },
                "lfs": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether files in Git LFS are fetched. Off unless you ask; the workspace then has their pointers.",
                },
                "sparse": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "uniqueItems": True,
                    "default": [],
                    "description": "Only these folders (and the files beside them on the way) are written into the workspace. Empty: all.",
                },
            },
        },
    ],
}

SOURCE: Schema = {
    "type": "object",
    "title": "source",
    "additionalProperties": False,
    "required": ["connection", "repository"],
    "description": "Which repository the job is for.",
    "properties": {
        "connection": {
            "type": "string",
            "minLength": 1,
            "description": "The name of a connection in the configuration's `connections:`.",
        },
        "repository": {
            "type": "string",
            "minLength": 1,
            "description": "The repository's path as its host writes it (`acme/web`), or a pattern for many (`acme/*`).",
        },
        "checkout": CHECKOUT,
    },
}

PARAMETERS: Schema = {
    "type": "object",
    "default": {},
    "description": (
        "What a build can be told. Each becomes an environment variable of its name; nothing undeclared is passed on."
    ),
    "propertyNames": {"pattern": PARAMETER, "maxLength": 100, EXPECTED: "a name of capitals, digits and `_`"},
    "additionalProperties": {
        "type": "object",
        "title": "parameter",
        "additionalProperties": False,
        "properties": {
            "type": {
                "enum": ["string", "text", "boolean", "choice", "number", "password"],
                "default": "string",
                "description": "What values it takes: `string` is one line, `text` any number of them; `password` is kept sealed and masked.",
            },
            "default": {
                "type": ["string", "number", "boolean"],
                "description": "The value when none is given. Without it a value has to be given, which only a manual build can do.",
            },
            "description": {"type": "string", "default": "", "description": "What it is for."},
            "choices": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": ["string", "number", "boolean"]},
                "description": "The values that may be given, for `type: choice`.",
            },
            "pattern": {
                "type": "string",
                "description": "An RE2 expression the whole value has to match, for `string` and `text`.",
            },
            "minimum": {"type": "number", "description": "The smallest value, for `number`."},
            "maximum": {"type": "number", "description": "The greatest value, for `number`."},
        },
    },
}

QUEUE: Schema = {
    "type": "object",
    "title": "queue",
    "additionalProperties": False,
    "default": {},
    LATER: ["quiet_period", "max_wait", "collapse", "lock", "cancel_superseded"],
    "description": "How the job's builds wait for their turn.",
    "properties": {
        "priority": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "default": 50,
            "description": "Which builds go first: those with the higher number; among equals the older.",
        },
        "max_running": {
            "type": "integer",
            "minimum": 1,
            "description": "How many builds of this job may run at once. Without it: as many as there are slots.",
        },
    },
}

STEP: Schema = {
    "type": "object",
    "title": "step",
    "additionalProperties": False,
    "required": ["run"],
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "description": "What the step is called in the log. Without it: the first line of `run`.",
        },
        "run": {
            "type": "string",
            "minLength": 1,
            "description": "The shell script. Values reach it as environment variables; nothing is filled in before the shell reads it.",
        },
        "always": {
            "type": "boolean",
            "default": False,
            "description": "Whether it also runs after a step failed, to clean up or report.",
        },
    },
}


def run_schema(executor: Schema) -> Schema:
    """The `run:` block; `executor` is the schema of its `executor` key."""
    variable = {"pattern": VARIABLE, "maxLength": 100, EXPECTED: "a variable's name of letters, digits and `_`"}
    return {
        "type": "object",
        "title": "run",
        "additionalProperties": False,
        "required": ["steps"],
        LATER: ["artifacts"],
        "description": "What a build does.",
        "properties": {
            "executor": executor,
            "timeout": duration_schema(
                "How long a build may run; then its whole process tree is ended and its outcome is `timed_out`.",
                default="1h",
            ),
            "retries": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10,
                "default": 0,
                "description": "How often a build is started again after its worker died or we broke. A failed step is not retried.",
            },
            "credentials": {
                "type": "object",
                "default": {},
                "propertyNames": variable,
                "additionalProperties": REFERENCE_SCHEMA,
                "description": "Secrets the steps get, as environment variables: name → secret://store/name. They are masked in the log.",
            },
            "environment": {
                "type": "object",
                "default": {},
                "propertyNames": variable,
                "additionalProperties": {"type": ["string", "number", "boolean"]},
                "description": "Further environment variables, as they are written: nothing is filled into them. What Headgate sets itself (`GIT_COMMIT`, `WORKSPACE`, …) is refused.",
            },
            "steps": {
                "type": "array",
                "minItems": 1,
                "items": STEP,
                "description": "The steps, in order. The first that fails ends the build, but for steps with `always: true`.",
            },
        },
    }


def job_schema(
    *, triggers: Schema, conditions: Schema, notify: Schema, executor: Schema, definitions: Mapping[str, Any]
) -> Schema:
    """One job; the arguments are what the plugins bring."""
    return {
        "type": "object",
        "title": "job",
        "additionalProperties": False,
        "required": ["source", "run"],
        LATER: ["matrix", "template", "templates", "extends"],
        "properties": {
            "description": {"type": "string", "default": "", "description": "What the job is for, in a sentence."},
            "source": SOURCE,
            "triggers": triggers,
            "conditions": conditions,
            "parameters": PARAMETERS,
            "queue": QUEUE,
            "run": run_schema(executor),
            "notify": notify,
        },
        **({"$defs": dict(definitions)} if definitions else {}),
    }


def file_schema(job: Schema) -> Schema:
    """A whole job file; `job` is the schema of one job."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headgate job file",
        "description": "Jobs: which change of which repository is built how. Every key is known or refused.",
        "type": "object",
        "additionalProperties": False,
        "required": ["jobs"],
        LATER: ["templates", "matrix"],
        "properties": {
            "jobs": {
                "type": "object",
                "propertyNames": name_schema("A job's name, the only one in all files."),
                "additionalProperties": job,
                "description": "The jobs of this file, each under its name. A name is used once in all files.",
            }
        },
    }
