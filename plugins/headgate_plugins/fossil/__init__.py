"""Fossil: a server of repositories that are built through Git mirrors of them; not the program `fossil` itself.

Beside the files of every provider: `mirrors.py` and `program.py` (how a Git mirror is made), and `after-receive`, the
hook for such a server: it tells us, signed, that check-ins have come.
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.fossil.connection import Fossil, open_connection
from headgate_plugins.fossil.hook import answer_after_receive
from headgate_plugins.fossil.names import normalise
from headgate_plugins.fossil.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["base_url", "mirrors"],
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": r"^https?://[^/@?#\s]+(/[^@?#\s]*)?$",
            "description": "What stands before each repository's path; `.` is the repository at the base URL itself.",
        },
        "mirrors": {
            "type": "string",
            "format": "path",
            "description": "A folder for clones and their Git mirrors; it has to be under `git.local_roots`, too.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
    },
    "oneOf": api.SEALED_OR_OPEN,
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind for one repository and for many."""
    yield api.ProviderKind(
        name="fossil",
        title="Fossil",
        summary="Fossil servers, built through Git mirrors",
        schema=SCHEMA,
        open=open_connection,
        provides=Fossil,
        normalise=normalise,
        read=read,
        status="experimental",
    )


@api.hookimpl
def headgate_routes() -> Iterable[api.RouteKind]:
    """The hook script, so that a server's admin can fetch it from here."""
    yield api.RouteKind(
        name="after-receive",
        summary="The after-receive hook for a Fossil server",
        permission="connections:read",
        answer=answer_after_receive,
    )
