"""What `config.yaml` may hold, as JSON Schema: the part that does not depend on plugins; not what a provider's block holds."""

from __future__ import annotations

from typing import Any

from headgate.config.job_schema import Schema, duration_schema, name_schema
from headgate.config.wording import EXPECTED

_TEXTS: Schema = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}

PLUGINS: Schema = {
    "type": "object",
    "title": "plugins",
    "additionalProperties": False,
    "default": {},
    "description": "Which plugins may be loaded. What is kept out is not even imported.",
    "properties": {
        "allow": {
            **_TEXTS,
            "description": "Only these: plugin or distribution names. Without it: all that are installed.",
        },
        "deny": {**_TEXTS, "default": [], "description": "Not these; `deny` wins over `allow`."},
        "memory_growth": {
            "type": "string",
            "format": "size",
            "default": "256MiB",
            "description": "By how much the server's memory may grow before it looks, for some seconds, whose code keeps it; `0B`: never.",
        },
    },
}

SERVER: Schema = {
    "type": "object",
    "title": "server",
    "additionalProperties": False,
    "default": {},
    "description": "Where the server listens and what it accepts.",
    "properties": {
        "host": {
            "type": "string",
            "minLength": 1,
            "default": "127.0.0.1",
            "description": "The address to listen on. The default is this machine only; put a proxy with TLS in front of any other.",
        },
        "port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 8080, "description": "The TCP port."},
        "public_url": {
            "type": "string",
            "pattern": "^https?://[^\\s?#]+$",
            EXPECTED: "a URL such as https://ci.example.com, without query or fragment",
            "description": "What links in statuses and notifications start with (`https://ci.example.com`). Without it: `http://host:port`.",
        },
        "max_body": {
            "type": "string",
            "format": "size",
            "default": "25MiB",
            "description": "The largest webhook body that is accepted; GitHub sends up to 25 MiB.",
        },
        "read_timeout": duration_schema(
            "How long a client may take to send a request; slower ones are cut off.", default="10s"
        ),
        "trusted_proxies": {
            "type": "array",
            "items": {"type": "string", "format": "network"},
            "default": [],
            "description": "Networks of proxies in front of it, whose `X-Forwarded-For` says who asks. Nobody else's is believed.",
        },
    },
}

WEBHOOKS: Schema = {
    "type": "object",
    "title": "webhooks",
    "additionalProperties": False,
    "default": {},
    "description": "What webhooks it takes, beside the seal that each of them needs.",
    "properties": {
        "allow": {
            "type": "array",
            "items": {"type": "string", "format": "sender"},
            "minItems": 1,
            "description": "Only from these networks. `provider` stands for those that the host publishes; they are asked for every hour, and the last good answer counts.",
        },
        "per_minute": {
            "type": "integer",
            "minimum": 1,
            "description": "At most so many genuine deliveries a minute; more are answered with 429 and when to come again.",
        },
        "replay_window": {
            "type": "string",
            "format": "duration",
            "description": "For so long the same body is the same delivery, whatever id it brings: where the host does not sign the id, who has one request could send it again under another.",
        },
        "recover": {
            "type": "boolean",
            "default": False,
            "description": "Whether, at the start and then every hour, the host is asked what it could not deliver, and to send it again. It needs a credential that may see the repositories' webhooks.",
        },
    },
}

GIT: Schema = {
    "type": "object",
    "title": "git",
    "additionalProperties": False,
    "default": {},
    "description": "What git may do.",
    "properties": {
        "local_roots": {
            "type": "array",
            "items": {"type": "string", "format": "path"},
            "default": [],
            "description": "Folders whose repositories may be read by path. None by default: a path in a job is then refused.",
        },
        "timeout": duration_schema("How long one git process may run.", default="10m"),
        "max_repository_size": {
            "type": "string",
            "format": "size",
            "default": "10GiB",
            "description": "A fetch that would grow a mirror beyond this is stopped.",
        },
    },
}

POLLING: Schema = {
    "type": "object",
    "title": "polling",
    "additionalProperties": False,
    "default": {},
    "description": "How questions to Git hosts are spread.",
    "properties": {
        "jitter": {
            "type": "number",
            "minimum": 0,
            "maximum": 0.5,
            "default": 0.1,
            "description": "By which share of the interval a poll may come earlier or later, so that they do not all come at once.",
        },
        "concurrency": {
            "type": "integer",
            "minimum": 1,
            "maximum": 256,
            "default": 8,
            "description": "How many repositories are asked at once; a host that takes longer than two seconds to answer counts for its own connection alone.",
        },
    },
}

WORKER: Schema = {
    "type": "object",
    "title": "worker",
    "additionalProperties": False,
    "default": {},
    "description": "What runs builds on this machine.",
    "properties": {
        "slots": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1024,
            "default": 2,
            "description": "How many builds run at once; 0 runs none here.",
        },
        "lease": duration_schema(
            "How long a worker may be silent before its builds count as lost; 3s or more, because it is renewed three "
            "times meanwhile.",
            pattern="^(0*([3-9]|[1-9][0-9]+)s|0*[1-9][0-9]*[mhd])$",
            default="30s",
            **{EXPECTED: "3s or more"},
        ),
        "stop_within": duration_schema(
            "How long builds may go on when the server is stopped. What then still runs is ended and handed back: "
            "it waits again if its job has `retries` left, else it is `lost`.",
            default="10s",
        ),
        "log_limit": {
            "type": "string",
            "format": "size",
            "default": "64MiB",
            "description": "How much log one build may write; the rest is dropped, and a line says so.",
        },
    },
}

LOGS: Schema = {
    "type": "object",
    "title": "logs",
    "additionalProperties": False,
    "default": {},
    "description": "How the server itself logs, to standard error.",
    "properties": {
        "format": {
            "enum": ["auto", "json", "console"],
            "default": "auto",
            "description": "`auto` is for people on a terminal and JSON elsewhere.",
        },
        "level": {
            "enum": ["debug", "info", "warning", "error"],
            "default": "info",
            "description": "The least important lines that are written.",
        },
    },
}


def host_file_schema(*, connection: Schema, credential_stores: Schema, notifiers: Schema, executors: Schema) -> Schema:
    """The whole of `config.yaml`; the arguments are what the plugins bring."""
    properties: dict[str, Any] = {
        "data": {
            "type": "string",
            "format": "path",
            "default": "data",
            "description": "The folder for the database, logs, mirrors and keys. One server a folder.",
        },
        "jobs": {
            "type": "array",
            "items": {"type": "string", "format": "path"},
            "minItems": 1,
            "default": ["jobs.d"],
            "description": "Job files, and folders in which every `*.yaml` and `*.yml` is one.",
        },
        "server": SERVER,
        "database": {
            "type": "string",
            "pattern": "^sqlite(\\+aiosqlite)?:///.",
            EXPECTED: "an SQLite URL such as sqlite:///data/headgate.db",
            "description": "Where the database is, as a URL: sqlite:///path. Without it: headgate.db in `data`.",
        },
        "connections": {
            "type": "object",
            "default": {},
            "propertyNames": name_schema("A connection's name."),
            "additionalProperties": connection,
            "description": "Accounts at Git hosts, each under the name that jobs and the URL of its webhook (`/webhooks/NAME`) use.",
        },
        "credential_stores": credential_stores,
        "executors": executors,
        "notifiers": notifiers,
        "git": GIT,
        "polling": POLLING,
        "worker": WORKER,
        "logs": LOGS,
        "plugins": PLUGINS,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headgate configuration",
        "description": "Everything the server needs to know but its jobs. Relative paths count from this file.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
