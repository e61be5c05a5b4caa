"""Gerrit Code Review: its hook, kind and schema; not how an event is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, and what a
connection can do), `stream.py` and `missed.py` (events over SSH, and those nobody heard), `webhooks.py` (which event is
which), `keys.py` (one event, one key), `shapes.py` (events as they are sent), `converters.py` (events as ours),
`client.py` (calls to the API), `answers.py` (what it answers), `reading.py` and `writing.py` (what is asked), and
`names.py` (how projects are named).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.gerrit.connection import Gerrit, open_connection
from headgate_plugins.gerrit.names import normalise
from headgate_plugins.gerrit.webhooks import read

HEADGATE_API = 1

_VOTES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        state: {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z0-9-]+$"},
            "additionalProperties": {"type": "integer", "minimum": -100, "maximum": 100},
        }
        for state in ("queued", "running", "succeeded", "failed", "errored", "cancelled")
    },
    "description": "What each state of a build votes, label by label; a state that is not named keeps its default "
    "(Verified +1 when it succeeded, -1 when it failed, 0 when it is running or ended otherwise, nothing while it is "
    "queued). {} for a state: tell nothing.",
}

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it, with the path below which it is, if there is one.",
        },
        "webhook_secrets": {
            **api.WEBHOOK_SECRETS_SCHEMA,
            "description": "What webhooks carry in their URL (?token=…), for they are not signed: one, or the new and "
            "the old one while you rotate.",
        },
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A user_password whose password is the HTTP password of the account's settings: for calls, "
            "votes, and clones over https. Bind it to the base URL's host.",
        },
        "ssh": {
            "type": "object",
            "additionalProperties": False,
            "required": ["user", "credential"],
            "properties": {
                "user": {"type": "string", "pattern": "^[A-Za-z0-9_.][A-Za-z0-9_.@+-]*$"},
                "credential": {
                    **api.REFERENCE_SCHEMA,
                    "description": "An ssh_key, bound to the host it goes to; its known_hosts must name that host.",
                },
                "host": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9][A-Za-z0-9.-]*$",
                    "description": "Where SSH is, if not at the base URL's host.",
                },
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 29418},
            },
            "description": "Gerrit's SSH service.",
        },
        "stream": {
            "type": "boolean",
            "default": False,
            "description": "Read the stream of events over `ssh`; with it no webhook is needed.",
        },
        "clone": {
            "enum": ["https", "ssh"],
            "description": "How sources are fetched; https unless there is `ssh` and no `credential`.",
        },
        "votes": _VOTES,
    },
    "required": ["base_url"],
    "anyOf": [
        {"required": ["webhook_secrets"]},
        {"required": ["accept_unsigned"]},
        {"required": ["stream"], "properties": {"stream": {"const": True}}},
    ],
    "not": {"required": ["webhook_secrets", "accept_unsigned"]},
    "allOf": [
        {
            "if": {
                "anyOf": [
                    {"required": ["stream"], "properties": {"stream": {"const": True}}},
                    {"required": ["clone"], "properties": {"clone": {"const": "ssh"}}},
                ]
            },
            "then": {"required": ["ssh"]},
        }
    ],
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind, whichever way its events come."""
    yield api.ProviderKind(
        name="gerrit",
        title="Gerrit",
        summary="Gerrit Code Review: changes, votes, webhooks and stream-events",
        schema=SCHEMA,
        open=open_connection,
        provides=Gerrit,
        normalise=normalise,
        read=read,
        credential_types=("user_password", "ssh_key"),
    )
