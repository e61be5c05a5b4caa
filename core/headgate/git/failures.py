"""What git's complaints mean, for whoever must act; not a place that runs git."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

from headgate import api
from headgate.git.access import sign_in

_RETRY_AFTER = timedelta(minutes=1)
_LINES = 3


class Damaged(api.ProviderError):
    """A mirror of ours is broken: an object is missing or unreadable. It can be fetched anew."""


_MEANINGS: Sequence[tuple[re.Pattern[str], type[api.ProviderError] | None, str]] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, hint)
    for pattern, kind, hint in (
        (r"no space left on device|disk quota exceeded", api.ProviderError, "make room on our own disk"),
        (r"returned error: 429", None, ""),
        (r"returned error: 30\d|redirect", api.Refused, "the URL redirects; configure the address it leads to"),
        (r"host key verification failed|no .* host key is known", api.Refused, "check the credential's known_hosts"),
        (r"fsck error", api.Refused, "the repository holds an object that git takes for an attack"),
        (r"dubious ownership", api.Refused, "the repository's folder belongs to another user"),
        (r"transport '.*' not allowed", api.Refused, ""),
        (
            (
                r"authentication failed|could not read (username|password)|permission denied|access denied|"
                r"returned error: 40[13]|invalid credentials|load key .*: (error|invalid)|terminal prompts disabled"
            ),
            api.Refused,
            "check the credential and what it may read",
        ),
        (r"couldn't find remote ref|not our ref|unadvertised object|no such remote ref", api.NotFound, ""),
        (r"repository .*not found|returned error: 404|does not appear to be a git repository", api.NotFound, ""),
        (
            (
                r"object file .* is empty|loose object .* is corrupt|packfile .* (cannot be accessed|is corrupt)|bad object |"
                r"unable to read (tree|sha1 file)|missing (blob|tree|commit)|invalid sha1 pointer|pack has .* bad|"
                r"index file .* (is too small|corrupt)|not a git repository|inflate: |unable to create|"
                r"failed to (read|parse) (object|commit)|object .* (is corrupt|missing)|non-monotonic index|bad packed|"
                r"cannot lock ref|unexpected line in .*packed-refs|did not send all necessary objects"
            ),
            Damaged,
            "",
        ),
        (
            (
                r"could not resolve host|failed to connect|connection (refused|reset|timed out|closed)|returned error: 5\d\d|"
                r"early eof|unexpected disconnect|remote end hung up|timed out|too slow|couldn't connect|"
                r"no route to host|network is unreachable|ssl|tls|certificate|empty reply"
            ),
            api.Unavailable,
            "",
        ),
    )
)


def failure(action: str, stderr: str) -> api.ProviderError:
    """The error for git's last words: the first meaning that fits, `ProviderError` itself when none does.

    `action` says what was tried ("fetch of https://…"); `stderr` is already masked.
    """
    words = _last_words(stderr)
    ours = "\n".join(line for line in stderr.splitlines() if not line.startswith("remote:"))  # the server's own words
    ours = re.sub(r"'(?:https?:|ssh:|/)[^']*'", "''", ours)  # a repository may be called `redirect`
    for pattern, kind, hint in _MEANINGS:
        if pattern.search(ours):
            message = f"{action}: {words}" + (f" ({hint})" if hint else "")
            if kind is None:
                return api.RateLimited(message, retry_at=datetime.now(UTC) + _RETRY_AFTER)
            return kind(message)
    return api.ProviderError(f"{action}: {words}")


def _last_words(stderr: str) -> str:
    """The lines that say something: fatal and error first, else the last few."""
    lines = [line.strip() for line in stderr.replace("\r", "\n").splitlines() if line.strip()]
    telling = [line for line in lines if line.lower().startswith(("fatal:", "error:", "remote:", "ssh:"))]
    return " · ".join((telling or lines)[-_LINES:]) or "git said nothing"


def mask(text: str, source: api.CloneSource | None) -> str:
    """`text` with every form of the source's secret that git or a server could repeat as `***`."""
    if source is None or source.credential is None:
        return text
    forms: set[str] = set()
    for secret in source.credential.secrets():
        plain = secret.reveal()
        forms |= {plain, quote(plain, safe=""), quote_plus(plain)}
        forms |= {line for line in plain.splitlines() if len(line) > 5}  # noqa: PLR2004 - shorter lines say nothing
    if source.credential.type != "ssh_key" and (pair := sign_in(source)):
        forms.add(base64.b64encode(":".join(pair).encode()).decode())
    for form in sorted(forms, key=len, reverse=True):
        if form:
            text = text.replace(form, "***")
    return text
