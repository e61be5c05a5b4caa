"""GitHub, in the cloud and Enterprise Server: its hook, kind and schema; not how a delivery is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, test),
`webhooks.py` (which event is which), `shapes.py` (payloads as they are sent), `converters.py` (payloads as our events),
`client.py` (how the API is spoken to), `answers.py` (what it says, as our values), `reading.py`, `writing.py` and
`hooks.py` (what is asked), and `names.py` (how repositories are named). GitHub's own are `access.py` and `app.py` (as
whom it is asked), `discovery.py` (which repositories there are) and `trees.py` (what stands where in a commit).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.github.access import OAUTH
from headgate_plugins.github.connection import GitHub, open_connection
from headgate_plugins.github.names import normalise
from headgate_plugins.github.webhooks import read_offline

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
            "description": "A token, github_app, oauth or user_password, to clone, report and ask. Bind it to the "
            "hosts it goes to: github.com and api.github.com; for Enterprise Server its own host.",
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
        read=read_offline,
        event_header="x-github-event",
        credential_types=("token", "github_app", "oauth", "user_password"),
        oauth=OAUTH,
    )
