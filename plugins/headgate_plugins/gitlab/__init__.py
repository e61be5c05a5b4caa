"""GitLab, on GitLab.com and self-managed: its hook, kind and schema; not how a delivery is read or a call made.

A provider's folder has these files, in the order a fact meets them: `connection.py` (open, authenticate, and what a
connection can do), `webhooks.py` (which event is which), `shapes.py` (payloads as they are sent), `converters.py`,
`merge_requests.py`, `people.py` and `projects.py` (payloads as our events), `client.py` (how the API is spoken to),
`answers.py` and `change_answers.py` (its answers as our values), `reading.py`, `discovery.py`, `writing.py` and
`hooks.py` (calls), and `names.py` (how projects are named).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.gitlab.client import OAUTH
from headgate_plugins.gitlab.connection import GitLab, open_connection
from headgate_plugins.gitlab.names import normalise
from headgate_plugins.gitlab.webhooks import HEADER, read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "default": "https://gitlab.com",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where people open it; the API is under /api/v4.",
        },
        "signing_tokens": {
            **api.WEBHOOK_SECRETS_SCHEMA,
            "description": "The signing tokens of the webhooks (whsec_…, GitLab 19): one, or the new and the old one "
            "while you rotate. A secret token alone is then not enough.",
        },
        "webhook_secrets": {
            **api.WEBHOOK_SECRETS_SCHEMA,
            "description": "The secret tokens webhooks carry, for a GitLab that cannot sign: one, or the new and the "
            "old one while you rotate.",
        },
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A personal, group or project access token or oauth with the scope api, bound to the host "
            "of base_url; or a deploy token as user_password, to clone only.",
        },
    },
    "oneOf": [{"required": ["signing_tokens"]}, *api.SEALED_OR_OPEN],
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind serves GitLab.com and self-managed servers: only the base URL differs."""
    yield api.ProviderKind(
        name="gitlab",
        title="GitLab",
        summary="GitLab.com and self-managed GitLab",
        schema=SCHEMA,
        open=open_connection,
        provides=GitLab,
        normalise=normalise,
        read=read,
        event_header=HEADER,
        credential_types=("token", "oauth", "user_password"),
        oauth=OAUTH,
    )
