"""What a GraphQL answer means, which is 200 also when nothing went well; not how it is asked for.

https://spec.graphql.org/draft/#sec-Response
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec

from headgate.api.client.answers import Answer, said
from headgate.api.errors import Conflict, NotFound, ProviderError, RateLimited, Refused

T = TypeVar("T")

_MEANINGS: Mapping[str, type[ProviderError]] = {
    "FORBIDDEN": Refused,
    "INSUFFICIENT_SCOPES": Refused,
    "NOT_FOUND": NotFound,
    "STALE_DATA": Conflict,
}
"""Words of GitHub's schema, which others took over; the specification leaves them open."""

_LIMITED = frozenset({"RATE_LIMITED", "RATE_LIMIT"})


class _Error(msgspec.Struct):
    type: str = ""


class _Reply(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] | None = None


def graphql_data(answer: Answer, shape: type[T], *, name: str, limited_until: datetime) -> T:
    """The `data` as `shape`. Part of it beside `errors` is an error: what is missing could be taken for nothing."""
    reply = answer.read(_Reply)
    if not reply.errors:
        return msgspec.structs.replace(answer, body=bytes(reply.data)).read(shape)
    types = [error.type.upper() for error in reply.errors]
    message = f"{name} could not answer {answer.what}: {said(answer) or ', '.join(filter(None, types)) or 'no reason'}"
    if _LIMITED.intersection(types):
        raise RateLimited(message, retry_at=limited_until)
    raise next((_MEANINGS[one] for one in types if one in _MEANINGS), ProviderError)(message)
