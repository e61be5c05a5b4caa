"""Plays Amazon SNS: keys, certificates and signed messages as they come over HTTP; nothing is asked of anybody."""

from __future__ import annotations

import base64
import functools
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-central-1:123456789012:codecommit"
OTHER_TOPIC = "arn:aws:sns:eu-central-1:123456789012:more_of_it"
ADDRESS = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MESSAGE_ID = "165545c9-2a5c-472c-8df2-7ff2be2b3b1b"

NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@functools.cache
def key(name, bits):
    """A private key, made once for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@functools.cache
def pem(name="sns", *, made_out_to="sns.amazonaws.com", begin=BEGIN, end=END, bits=2048, curve=False):
    """A certificate of that key, signed by itself."""
    own = ec.generate_private_key(ec.SECP256R1()) if curve else key(name, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, made_out_to)])
    builder = x509.CertificateBuilder(subject, subject, own.public_key(), x509.random_serial_number(), begin, end)
    return builder.sign(own, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def stamp(at):
    """A time as SNS writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def signed(fields, *, by="sns", version="1", address=ADDRESS):
    """A message with its signature."""
    names = NOTIFICATION if fields["Type"] == "Notification" else CONFIRMATION
    text = "".join(f"{name}\n{fields[name]}\n" for name in names if fields.get(name) is not None).encode()
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = base64.b64encode(key(by, 2048).sign(text, padding.PKCS1v15(), algorithm)).decode()
    return {**fields, "SignatureVersion": version, "Signature": signature, "SigningCertURL": address}


def notification(text, at, *, topic=TOPIC, **more):
    """The fields of a notification that says `text`."""
    return {
        "Type": "Notification",
        "MessageId": MESSAGE_ID,
        "TopicArn": topic,
        "Message": text,
        "Timestamp": stamp(at - timedelta(seconds=2)),
        **more,
    }


def confirmation(at, *, topic=TOPIC, kind="SubscriptionConfirmation", token="2336412f37"):
    """The fields of a topic's question whether it may send here."""
    return {
        "Type": kind,
        "MessageId": MESSAGE_ID,
        "Token": token,
        "TopicArn": topic,
        "Message": f"You have chosen to subscribe to the topic {topic}.",
        "SubscribeURL": "https://evil.example.org/?Action=ConfirmSubscription",
        "Timestamp": stamp(at),
    }


def as_body(message):
    """As SNS sends it."""
    return json.dumps(message, indent=2).encode()


def headers_of(message):
    """The headers beside it. https://docs.aws.amazon.com/sns/latest/dg/http-header.html"""
    return {
        "x-amz-sns-message-type": message["Type"],
        "x-amz-sns-message-id": message["MessageId"],
        "x-amz-sns-topic-arn": message["TopicArn"],
        "content-type": "text/plain; charset=UTF-8",
        "user-agent": "Amazon Simple Notification Service Agent",
    }


class PlayedSns:
    """Answers what a connection asks of SNS, and remembers it. `answers`: bytes, or an exception to raise, by address."""

    def __init__(self, answers=None):
        self.answers = {ADDRESS: pem()} if answers is None else answers
        self.asked, self.confirmed, self.refusal = [], [], None

    async def certificate(self, address):
        self.asked.append(address)
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def confirm(self, topic, token):
        self.confirmed.append((topic, token))
        if self.refusal is not None:
            raise self.refusal
