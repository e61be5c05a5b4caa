"""Gitea, Forgejo and Gogs: one hook, three kinds and their schema; not how a delivery is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, and
what a connection can do), `webhooks.py` (which event is which), `shapes.py` (payloads as they are sent),
`converters.py` (payloads as our events), `client.py` (how the API is spoken to), `answers.py` and
`discussions.py` (what it answers), `reading.py` with `people.py` and `runs.py`, `writing.py`, `hooks.py` (what is
asked), and `names.py` (how repositories are named). Here also `flavours.py`: what differs between the three.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from headgate import api
from headgate_plugins.gitea.client import OAUTH
from headgate_plugins.gitea.connection import GiteaServer, GogsServer, open_connection
from headgate_plugins.gitea.flavours import FORGEJO, GITEA, GOGS
from headgate_plugins.gitea.names import normalise
from headgate_plugins.gitea.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it, below a path or not; the API is found at /api/v1 below it.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A token or user_password, or for Gitea and Forgejo oauth, to clone and to call the API. "
            "Bind it to the server's host.",
        },
    },
    "required": ["base_url"],
    "oneOf": api.SEALED_OR_OPEN,
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """Three kinds, because each has webhook headers of its own and only those count."""
    yield api.ProviderKind(
        name=GITEA.name,
        title=GITEA.title,
        summary="Gitea, self-hosted and Gitea Cloud",
        schema=SCHEMA,
        open=partial(open_connection, flavour=GITEA, kind=GiteaServer),
        provides=GiteaServer,
        normalise=normalise,
        read=partial(read, flavour=GITEA),
        event_header=f"{GITEA.header}-event",
        credential_types=("token", "user_password", "oauth"),
        oauth=OAUTH,
    )
    yield api.ProviderKind(
        name=FORGEJO.name,
        title=FORGEJO.title,
        summary="Forgejo, self-hosted and Codeberg",
        schema=SCHEMA,
        open=partial(open_connection, flavour=FORGEJO, kind=GiteaServer),
        provides=GiteaServer,
        normalise=normalise,
        read=partial(read, flavour=FORGEJO),
        event_header=f"{FORGEJO.header}-event",
        credential_types=("token", "user_password", "oauth"),
        oauth=OAUTH,
    )
    yield api.ProviderKind(
        name=GOGS.name,
        title=GOGS.title,
        summary="Gogs, whose API has a part of Gitea's",
        schema=SCHEMA,
        open=partial(open_connection, flavour=GOGS, kind=GogsServer),
        provides=GogsServer,
        normalise=normalise,
        read=partial(read, flavour=GOGS),
        event_header=f"{GOGS.header}-event",
        credential_types=("token", "user_password"),
    )
