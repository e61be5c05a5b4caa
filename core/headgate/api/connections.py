"""What the configuration blocks of providers have in common, and how it is read; not any provider's own keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.api.credentials import REFERENCE_SCHEMA, Secret
from headgate.api.deliveries import Delivery, Seal
from headgate.api.errors import CredentialError, Unauthenticated
from headgate.api.host import Host
from headgate.api.signatures import check_standard_webhooks

ACCEPT_UNSIGNED: Final = "yes, anyone may start builds"
"""What an admin has to write to open the door."""

LONGEST_KEY: Final = 128
"""Characters of a sender's own delivery id; a GUID has 36."""

BASE_URL_PATTERN: Final = r"^(https://[^/@?#\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^@?#\s]*)?$"
"""Of an address a credential may travel to: https, or plain http on this machine; no user, query or fragment."""

WEBHOOK_SECRETS_SCHEMA: Final = {
    "type": "array",
    "items": REFERENCE_SCHEMA,
    "minItems": 1,
    "maxItems": 4,
    "description": "The secrets webhooks may be signed with: one, or the new and the old one while you rotate.",
}
ACCEPT_UNSIGNED_SCHEMA: Final = {
    "const": ACCEPT_UNSIGNED,
    "description": "Instead of secrets: takes every webhook, whoever sent it.",
}
SEALED_OR_OPEN: Final = [{"required": ["webhook_secrets"]}, {"required": ["accept_unsigned"]}]
"""The `oneOf` of a block with the two keys above: no secret, no connection, unless the door is open in plain words."""


async def webhook_secrets(options: Mapping[str, Any], host: Host, *, key: str = "webhook_secrets") -> Sequence[Secret]:
    """The secrets named under `key`, in their order. Raises `CredentialError` when one is missing or empty."""
    secrets = []
    for reference in options.get(key, ()):
        secret = (await host.secret(reference)).text()
        if not secret.reveal():
            raise CredentialError(f"the webhook secret {reference} is empty")
        secrets.append(secret)
    return tuple(secrets)


def delivery_key(delivery: Delivery, header: str) -> str | None:
    """The sender's own id of a delivery, the same on a redelivery; `None` when `header` is not sent.

    Raises `Unauthenticated` for one that could not be an id.
    """
    key = delivery.header(header) or None
    if key is not None and not (key.isascii() and key.isprintable() and len(key) <= LONGEST_KEY):
        raise Unauthenticated(f"the header {header} has another form")
    return key


def standard_webhooks_seal(delivery: Delivery, secrets: Sequence[Secret]) -> Seal:
    """The seal of a delivery signed as https://www.standardwebhooks.com/ has it; `Unauthenticated` for all others."""
    key = delivery_key(delivery, "webhook-id")
    secret = check_standard_webhooks(
        key,
        delivery.header("webhook-timestamp"),
        delivery.header("webhook-signature"),
        delivery.body,
        secrets,
        now=delivery.received_at,
    )
    return Seal(key=key, secret=secret)
