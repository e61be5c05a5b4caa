"""Azure DevOps, Services and Server: its hook, kind and schema; not how a delivery is read or a call made.

The files, in the order a fact meets them: `connection.py`, `webhooks.py`, `shapes.py`, `converters.py`, `client.py`
(with `principal.py`: how a service principal signs in), `answers.py`, `reading.py`, `writing.py`, `hooks.py`, `names.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.azure_devops.connection import WEBHOOK_USER, AzureDevOps, open_connection
from headgate_plugins.azure_devops.names import normalise
from headgate_plugins.azure_devops.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["base_url"],
    "properties": {
        "base_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "The organisation or collection: https://dev.azure.com/acme, or a server's "
            "https://tfs.acme.example/tfs/DefaultCollection.",
        },
        "webhook_secrets": api.WEBHOOK_SECRETS_SCHEMA,
        "webhook_user": {
            "type": "string",
            "default": WEBHOOK_USER,
            "pattern": "^[A-Za-z0-9._@-]{1,64}$",
            "description": "The user name of the service hook's basic authentication; a webhook secret is its password.",
        },
        "secret_header": {
            "type": "string",
            "pattern": "^(?:[A-Za-z0-9]{1,30}-){1,4}(?:Token|token|Secret|secret|Password|password)$",
            "description": "Instead of a user and password: the header under the service hook's HTTP headers that has "
            "a webhook secret, such as X-Headgate-Token. It is masked in what is kept.",
        },
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A personal access token (token), a service_principal, or a user_password of a server. Bind "
            "it to the base URL's host, a service principal to the authority's host as well.",
        },
        "authority": {
            "type": "string",
            "default": "https://login.microsoftonline.com",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where a service principal gets its tokens; sovereign clouds have their own.",
        },
        "api_version": {
            "type": "string",
            "default": "7.1",
            "pattern": "^[0-9]{1,2}\\.[0-9]$",
            "description": "The version of the REST API; Azure DevOps Server 2022 before 2022.1 has 7.0, 2020 has 6.0.",
        },
    },
    "oneOf": api.SEALED_OR_OPEN,
    "not": {"required": ["webhook_user", "secret_header"]},
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind serves the cloud and servers: only the base URL differs."""
    yield api.ProviderKind(
        name="azure_devops",
        title="Azure DevOps",
        summary="Azure DevOps Services and Azure DevOps Server",
        schema=SCHEMA,
        open=open_connection,
        provides=AzureDevOps,
        normalise=normalise,
        read=read,
        credential_types=("token", "user_password", "service_principal"),
    )
