"""Generic git: any server or folder that git can fetch from; not the API of any hosting product.

The files are those of every provider; `place.py` says which repositories a connection has, and `post-receive`
is the hook for such a server: it tells us of each push, signed.
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.git.connection import ACCEPT_UNSIGNED, Git, open_connection
from headgate_plugins.git.hook import answer_post_receive
from headgate_plugins.git.place import normalise
from headgate_plugins.git.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": r"^(https?://[^/@?#\s]+|ssh://([A-Za-z0-9._-]+@)?[^/@?#\s-][^/@?#\s]*)(/[^?#\s]*)?$",
            "description": "What stands before each repository's path: https://git.example.org or ssh://git@host/srv.",
        },
        "root": {
            "type": "string",
            "format": "path",
            "description": "A folder with repositories on this machine; it has to be under `git.local_roots`, too.",
        },
        "webhook_secrets": {
            "type": "array",
            "items": api.REFERENCE_SCHEMA,
            "minItems": 1,
            "maxItems": 4,
            "description": "The secrets of the post-receive hook: one, or the new and the old one while you rotate.",
        },
        "accept_unsigned": {
            "const": ACCEPT_UNSIGNED,
            "description": "Instead of secrets: takes every webhook, whoever sent it.",
        },
        "notify_token": {
            **api.REFERENCE_SCHEMA,
            "description": "The token of `notifyCommit` requests, which only make us ask the repository.",
        },
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A token or user_password for https, an ssh_key for ssh; bound to the base URL's host.",
        },
    },
    "oneOf": [{"required": ["base_url"]}, {"required": ["root"]}],
    "not": {"required": ["webhook_secrets", "accept_unsigned"]},
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind for servers and folders."""
    yield api.ProviderKind(
        name="git",
        summary="Any git server over https or ssh, or a folder of repositories",
        schema=SCHEMA,
        open=open_connection,
        provides=Git,
        normalise=normalise,
        read=read,
        credential_types=("token", "user_password", "ssh_key"),
    )


@api.hookimpl
def headgate_routes() -> Iterable[api.RouteKind]:
    """The hook script, so that a git server's admin can fetch it from here."""
    yield api.RouteKind(
        name="post-receive",
        summary="The post-receive hook for a plain git server",
        permission="connections:read",
        answer=answer_post_receive,
    )
