"""The signature of an SNS message, and the messages it seals; not where its certificate comes from.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from headgate import api
from headgate_plugins.codecommit.names import domain

OLDEST = timedelta(hours=1)
"""How old a message may be: as long as a topic may go on trying.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
"""

AHEAD = timedelta(minutes=5)
"""How far its clock may be before ours."""

TOPIC_PATTERN = r"^arn:aws[a-z-]*:sns:[a-z]{2}(-[a-z]+)+-[0-9]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
"""Of a topic's ARN: `arn:aws:sns:eu-central-1:123456789012:codecommit`."""

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""What is signed of each type, in this order."""

# SHA-1 is what topics sign with unless their owner sets SignatureVersion 2.
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - see above

_ID = re.compile(r"[A-Za-z0-9-]{8,100}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{16,64}\.pem")


class Signed(msgspec.Struct, frozen=True, rename="pascal"):
    """A message as it came over HTTP, with its signature. https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html"""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    subscribe_url: str | None = msgspec.field(default=None, name="SubscribeURL")
    token: str | None = None


def signed_text(message: Signed) -> bytes:
    """What the signature is over: names and values, each on a line. Raises `Unauthenticated` for what it cannot be."""
    values = {
        "Message": message.message,
        "MessageId": message.message_id,
        "Subject": message.subject,
        "SubscribeURL": message.subscribe_url,
        "Timestamp": message.timestamp,
        "Token": message.token,
        "TopicArn": message.topic_arn,
        "Type": message.type,
    }
    lines = []
    for name in _SIGNED.get(message.type, ()):
        value = values[name]
        if value is None and name == "Subject":
            continue
        # Two messages could else have one signed text: `Subject` could hide in the lines of another value.
        if not value or ("\n" in value and name != "Message"):
            raise api.Unauthenticated(f"`{name}` is missing, empty or has two lines")
        lines += [name, value]
    if not lines:
        raise api.Unauthenticated("it is of a type that SNS does not sign")
    return ("\n".join(lines) + "\n").encode()


def read_signed(body: bytes) -> Signed:
    """The message of a body. Raises `Unauthenticated` when it has not all that a signed one has."""
    try:
        return api.read_json(body, Signed)
    except api.Unreadable as error:
        raise api.Unauthenticated(f"it is no signed message of SNS: {error}") from None


def check_topic(message: Signed, topics: tuple[str, ...], *, now: datetime) -> int:
    """Which of the configured `topics` (from 0) it says it is of; `Unauthenticated` for another, or too old a one."""
    if message.topic_arn not in topics:
        raise api.Unauthenticated("its topic is none of `topic_arns`")
    if not _ID.fullmatch(message.message_id) or not _TIME.fullmatch(message.timestamp):
        raise api.Unauthenticated("`MessageId` or `Timestamp` has another form")
    try:
        sent = datetime.fromisoformat(message.timestamp)
    except ValueError:
        raise api.Unauthenticated("`Timestamp` is no time") from None
    if not -AHEAD <= now - sent <= OLDEST:
        raise api.Unauthenticated("`Timestamp` is more than an hour old, or ahead of us; check the clock")
    return topics.index(message.topic_arn)


def certificate_address(message: Signed) -> str:
    """`SigningCertURL`, if it is one of SNS itself in the topic's region; else `Unauthenticated`."""
    found = message.signing_cert_url.removeprefix(endpoint(message.topic_arn))
    if not _CERTIFICATE.fullmatch(found):
        raise api.Unauthenticated("`SigningCertURL` is no address of a certificate of SNS in the topic's region")
    return message.signing_cert_url


def check_signature(message: Signed, key: rsa.RSAPublicKey) -> None:
    """`Unauthenticated` unless `key` made the signature."""
    algorithm = _HASHES.get(message.signature_version)
    if algorithm is None:
        raise api.Unauthenticated("`SignatureVersion` is neither 1 nor 2")
    try:
        signature = base64.b64decode(message.signature, validate=True)
    except (binascii.Error, ValueError):
        raise api.Unauthenticated("`Signature` is no base64") from None
    if base64.b64encode(signature).decode() != message.signature:
        raise api.Unauthenticated("`Signature` has bits that say nothing")
    try:
        key.verify(signature, signed_text(message), padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        raise api.Unauthenticated("the signature does not fit") from None


def endpoint(topic: str) -> str:
    """Where SNS is in the region of a topic's ARN."""
    region = topic.split(":")[3]
    return f"https://sns.{region}.{domain(region)}"
