"""Bitbucket Cloud: its hook, kind and schema; not how a delivery is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, and test
itself), `webhooks.py` (which event is which), `shapes.py` (payloads as they are sent), `converters.py` (payloads as
our events), `client.py` (how the API is spoken to), `answers.py` (what it answers), `reading.py`, `writing.py` and
`hooks.py` (what it is asked), `files.py` (how files are sent) and `names.py` (how repositories and commits are named).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.bitbucket.client import OAUTH
from headgate_plugins.bitbucket.connection import Bitbucket, open_connection
from headgate_plugins.bitbucket.names import normalise
from headgate_plugins.bitbucket.webhooks import read_offline

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "default": "https://bitbucket.org",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it. Of any other address (a proxy, say) the API is under /2.0.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "hook_uuids": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^\{?[0-9a-fA-F-]{36}\}?$"},
            "minItems": 1,
            "description": "Accept only deliveries of these webhooks, by X-Hook-UUID, beside their signature.",
        },
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A token (access token of a repository, project or workspace) or user_password (e-mail "
            "address and API token) or oauth. Bind it to the hosts it goes to: bitbucket.org and api.bitbucket.org.",
        },
    },
    "oneOf": api.SEALED_OR_OPEN,
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """Bitbucket Data Center is another product with another API, and another kind."""
    yield api.ProviderKind(
        name="bitbucket",
        title="Bitbucket Cloud",
        summary="Bitbucket Cloud (bitbucket.org)",
        schema=SCHEMA,
        open=open_connection,
        provides=Bitbucket,
        normalise=normalise,
        read=read_offline,
        event_header="x-event-key",
        credential_types=("token", "user_password", "oauth"),
        oauth=OAUTH,
    )
