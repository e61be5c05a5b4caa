"""GitHub, in the cloud and Enterprise Server: its hook, kind and schema; not how a delivery is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, and
what a connection can do), `webhooks.py` (which event is which), `shapes.py` (payloads as they are sent),
`converters.py` (payloads as our events), `client.py` (calls to the API), and `names.py` (how repositories are named).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.github.connection import GitHub, open_connection
from headgate_plugins.github.names import normalise
from headgate_plugins.github.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "default": "https://github.com",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it. Enterprise Server: its own address; the API is under /api/v3.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A token or user_password, to clone and to report statuses. Bind it to the hosts it goes "
            "to: github.com and api.github.com; for Enterprise Server its own host.",
        },
    },
    "oneOf": api.SEALED_OR_OPEN,
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind serves the cloud and Enterprise Server: only the base URL differs."""
    yield api.ProviderKind(
        name="github",
        title="GitHub",
        summary="GitHub.com and GitHub Enterprise Server",
        schema=SCHEMA,
        open=open_connection,
        provides=GitHub,
        normalise=normalise,
        read=read,
        event_header="x-github-event",
        credential_types=("token", "user_password"),
    )
