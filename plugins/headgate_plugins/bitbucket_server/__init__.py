"""Bitbucket Data Center and Server: its hook, kind and schema; not Bitbucket Cloud, which is another product.

The files are those of every provider, in the order a fact meets them: `connection.py`, `webhooks.py`, `shapes.py`,
`converters.py` for deliveries; `client.py`, `answers.py`, `reading.py`, `writing.py`, `hooks.py` for calls; and
`names.py` (how repositories are named).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.bitbucket_server.connection import BitbucketServer, open_connection
from headgate_plugins.bitbucket_server.names import normalise
from headgate_plugins.bitbucket_server.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it, with its context path: https://git.example.org/bitbucket.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "An HTTP access token (token), or user_password, for git and the API; bound to the host of "
            "the base URL.",
        },
    },
    "required": ["base_url"],
    "oneOf": api.SEALED_OR_OPEN,
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind serves Data Center and the Server versions before it."""
    yield api.ProviderKind(
        name="bitbucket_server",
        title="Bitbucket Data Center",
        summary="Bitbucket Data Center and Bitbucket Server",
        schema=SCHEMA,
        open=open_connection,
        provides=BitbucketServer,
        normalise=normalise,
        read=read,
        event_header="x-event-key",
        credential_types=("token", "user_password"),
    )
