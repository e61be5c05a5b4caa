"""From a failed answer to the error that says who must act; not whether it is tried again."""

from __future__ import annotations

from datetime import datetime

from headgate.api.client.answers import Answer, said
from headgate.api.client.dialects import MEANINGS, Dialect
from headgate.api.errors import NotFound, ProviderError, RateLimited, Refused, Unavailable

_SUCCESS = range(200, 300)
_MOVED = frozenset({301, 302, 303, 307, 308})
_SERVER_ERRORS = 500


def failure(answer: Answer, dialect: Dialect, now: datetime) -> ProviderError | None:
    """What went wrong, in words not masked yet; `None` for success. `now` is aware UTC."""
    meaning = dialect.meanings.get(answer.status)
    if answer.status in _SUCCESS and meaning is None:
        return None
    words = said(answer)
    message = f"{dialect.name} answered {answer.status} to {answer.what}" + (f": {words}" if words else "")
    if (until := dialect.limits.ends_at(answer, words, now)) is not None:
        return RateLimited(message, retry_at=until)
    meaning = dialect.meaning(answer) or meaning
    if meaning is None:
        meaning = MEANINGS.get(answer.status, Unavailable if answer.status >= _SERVER_ERRORS else ProviderError)
        if answer.status in _MOVED:
            return NotFound(f"{message}: it moved, and redirects are not followed; write its new name")
    if meaning is Refused:
        missing = next(filter(None, (needs(answer) for needs in dialect.needs)), ())
        return Refused(message + (f" (needs {', '.join(missing)})" if missing else ""), missing=missing)
    return meaning(message)
