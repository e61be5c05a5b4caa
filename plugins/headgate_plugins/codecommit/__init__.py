"""AWS CodeCommit, told by SNS: its hook, kind and schema; not how a delivery is read or a call made.

Beside the files of every provider: `sns.py` (the signature of a message), `certificates.py` (what it is checked with),
`subscriptions.py` (what SNS is asked), and `walks.py` (histories, which the API does not list).
"""

from __future__ import annotations

from collections.abc import Iterable

from headgate import api
from headgate_plugins.codecommit.connection import TYPE_HEADER, CodeCommit, open_connection
from headgate_plugins.codecommit.names import REGION_PATTERN, normalise
from headgate_plugins.codecommit.sns import TOPIC_PATTERN
from headgate_plugins.codecommit.webhooks import read

HEADGATE_API = 1

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["region"],
    "properties": {
        "region": {
            "type": "string",
            "pattern": REGION_PATTERN,
            "description": "Where the repositories are: eu-central-1.",
        },
        "topic_arns": {
            "type": "array",
            "items": {
                "type": "string",
                "pattern": TOPIC_PATTERN,
                "x-headgate-expected": "a topic's ARN such as arn:aws:sns:eu-central-1:111122223333:pushes",
            },
            "minItems": 1,
            "maxItems": 16,
            "uniqueItems": True,
            "description": "The SNS topics whose signed messages are taken, and no others.",
        },
        "confirm_subscriptions": {
            "type": "boolean",
            "default": False,
            "description": "Whether one of these topics that asks to send here is told yes.",
        },
        "accept_unsigned": api.ACCEPT_UNSIGNED_SCHEMA,
        "base_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "Where the API is asked, if not at the region's public endpoint (a VPC's, say).",
        },
        "git_url": {
            "type": "string",
            "pattern": api.BASE_URL_PATTERN,
            "description": "What stands before /v1/repos in addresses for git, if not the region's public host.",
        },
        "credential": {
            **api.REFERENCE_SCHEMA,
            "description": "An aws_key for calls; bound to the API's host: codecommit.<region>.amazonaws.com.",
        },
        "git_credential": {
            **api.REFERENCE_SCHEMA,
            "description": "A user_password (Git credentials of an IAM user) to clone; bound to git-codecommit.<region>"
            ".amazonaws.com.",
        },
    },
    "oneOf": [{"required": ["topic_arns"]}, {"required": ["accept_unsigned"]}],
}


@api.hookimpl
def headgate_providers() -> Iterable[api.ProviderKind]:
    """One kind; a connection is one region."""
    yield api.ProviderKind(
        name="codecommit",
        title="AWS CodeCommit",
        summary="AWS CodeCommit, with events through Amazon SNS",
        schema=SCHEMA,
        open=open_connection,
        provides=CodeCommit,
        normalise=normalise,
        read=read,
        event_header=TYPE_HEADER,
        credential_types=("aws_key", "user_password"),
    )
