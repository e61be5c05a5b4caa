"""The seals providers put on webhooks, over raw bytes and in constant time; not when to ask for one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from headgate.api.credentials import Secret
from headgate.api.errors import Unauthenticated

_TIMESTAMP_DIGITS = 12

STANDARD_WEBHOOKS_TOLERANCE = timedelta(minutes=5)
"""How far a timestamp may be off, as the Standard Webhooks libraries have it."""


def hmac_sha256_hex(body: bytes, secret: Secret) -> str:
    """The lower-case hex HMAC-SHA256 of the raw body, as GitHub, Gitea and Bitbucket send it."""
    return hmac.digest(secret.reveal().encode(), body, "sha256").hex()


def check_hmac_sha256(body: bytes, signature: str | None, secrets: Sequence[Secret], *, prefix: str = "") -> int:
    """Which of `secrets` (from 0) made the hex `signature`; `Unauthenticated` when none did.

    All secrets are tried whatever the result, so that time tells nothing. `prefix` (`sha256=`) must be there.
    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    if not secrets:
        raise Unauthenticated("the connection has no webhook secret")
    if signature is None:
        raise Unauthenticated("the signature header is missing or doubled")
    if not signature.isascii() or not signature.startswith(prefix):
        raise Unauthenticated("the signature header has another form")
    given = signature.removeprefix(prefix)
    return _first_match([hmac.compare_digest(hmac_sha256_hex(body, secret), given) for secret in secrets])


def check_token(given: str | None, secrets: Sequence[Secret]) -> int:
    """Which of `secrets` (from 0) equals the `given` token, in constant time; `Unauthenticated` when none does."""
    if not secrets:
        raise Unauthenticated("the connection has no secret token")
    if not given:
        raise Unauthenticated("the token header is missing, empty or doubled")
    # Digests make the lengths equal, so that compare_digest cannot tell how long ours is.
    digest = hashlib.sha256(given.encode(errors="surrogateescape")).digest()
    return _first_match(
        [hmac.compare_digest(hashlib.sha256(secret.reveal().encode()).digest(), digest) for secret in secrets],
        proof="token",
    )


def standard_webhooks_signature(message_id: str, timestamp: int, body: bytes, secret: Secret) -> str:
    """`v1,<base64>` over `id.timestamp.body`. Source: https://www.standardwebhooks.com/ (symmetric signatures)."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(_standard_webhooks_key(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def check_standard_webhooks(
    message_id: str | None,
    timestamp: str | None,
    signatures: str | None,
    body: bytes,
    secrets: Sequence[Secret],
    *,
    now: datetime,
) -> int:
    """Which of `secrets` (from 0) signed the message; `Unauthenticated` when none did or it is too old or too new.

    `signatures` is the `webhook-signature` header: one or more `v1,<base64>` separated by spaces.
    """
    if not secrets:
        raise Unauthenticated("the connection has no webhook secret")
    if not message_id or not timestamp or not signatures:
        raise Unauthenticated("webhook-id, webhook-timestamp or webhook-signature is missing, empty or doubled")
    known_form = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= _TIMESTAMP_DIGITS
    # A leading zero would be another text than was signed, and yet the same number.
    if not (message_id.isascii() and known_form and timestamp == str(int(timestamp))):
        raise Unauthenticated("webhook-id or webhook-timestamp has another form")
    if abs(now.timestamp() - int(timestamp)) > STANDARD_WEBHOOKS_TOLERANCE.total_seconds():
        raise Unauthenticated("webhook-timestamp is more than five minutes off; check both clocks")
    given = [part for part in signatures.split(" ") if part.isascii() and part.startswith("v1,")]
    matches = []
    for secret in secrets:
        expected = standard_webhooks_signature(message_id, int(timestamp), body, secret)
        matches.append(any([hmac.compare_digest(expected, part) for part in given]))  # noqa: C419 - a list: every one is compared, whatever the first says
    return _first_match(matches)


def _standard_webhooks_key(secret: Secret) -> bytes:
    """The bytes behind `whsec_<base64>`; a secret without the prefix is used as it is."""
    text = secret.reveal()
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise Unauthenticated("the configured secret starts with whsec_ but is not base64") from None


def _first_match(matches: Sequence[bool], *, proof: str = "signature") -> int:
    for index, matched in enumerate(matches):
        if matched:
            return index
    raise Unauthenticated(f"the {proof} fits none of the configured secrets")
