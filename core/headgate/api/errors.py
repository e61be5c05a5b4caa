"""What can go wrong, sorted by who must act; not a place for "no", which is a value with a reason.

```
HeadgateError
├── ConfigError            the admin: every problem with file, line, path, what was expected
├── PluginError            the plugin's author: plugin, distribution, version
├── DeliveryError          whoever sent the webhook
│   ├── Unauthenticated      401: no valid seal
│   ├── CannotCheckYet       503: what the seal is checked with is still being fetched
│   ├── TooLarge             413: more bytes than the connection accepts
│   └── Unreadable           kept and shown after the 202: sealed, but not what its type promises
├── ProviderError          the Git host, or what we asked of it
│   ├── Refused              401/403: the credential may not do this
│   ├── NotFound             404: no such repository, ref or change
│   ├── Conflict             409/412: it changed under us
│   ├── RateLimited          429: retry no earlier than `retry_at`
│   └── Unavailable          5xx, timeouts, no route: worth a retry
├── CredentialError        whoever stores the secrets: missing, of another type, bound to other hosts
└── QueueError             whoever asked for a build: parameters, unknown job, a state that forbids it
```
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with one place of a configuration file.

    `line` and `column` count from 1; 0 means "the whole file". `path` is the key path as an admin would
    say it (`jobs.web.source.checkout.depht`); `hint` is the nearest right spelling or the next step.
    """

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        """`file:line:column: path: message (hint)`, the form editors make clickable."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {path}{self.message}{hint}"


class HeadgateError(Exception):
    """The root: catching it catches what Headgate and its plugins declare, and no programming error."""


class ConfigError(HeadgateError):
    """The configuration cannot be used; carries all problems found, never only the first."""

    def __init__(self, *problems: Problem) -> None:
        """`problems`: at least one, in the order of the files."""
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class PluginError(HeadgateError):
    """A plugin broke its contract; names the distribution and version to report it to."""

    def __init__(self, reason: str, *, plugin: str, distribution: str = "", version: str = "") -> None:
        """`reason` ends up in `headgate plugins`; write what the plugin's author must change."""
        self.plugin = plugin
        self.distribution = distribution
        self.version = version
        self.reason = reason
        origin = f" ({distribution} {version})" if distribution else ""
        super().__init__(f"plugin {plugin}{origin}: {reason}")


class DeliveryError(HeadgateError):
    """A webhook request that cannot become events."""


class Unauthenticated(DeliveryError):
    """No valid seal. The message is for our log; the sender is only told 401."""


class CannotCheckYet(DeliveryError):
    """The seal is neither valid nor invalid: what it is checked with (a certificate) is on its way. Nothing is kept.

    Raise it from `authenticate` only where the sender repeats what it was told 503, and only after all that can be
    checked at once.
    """

    def __init__(self, message: str, *, seconds: int = 5) -> None:
        """`seconds`: after how long the sender should try again, at least 1. The message is for our log."""
        self.seconds = max(1, seconds)
        super().__init__(message)


class TooLarge(DeliveryError):
    """More bytes, headers, depth or digits than the limits allow."""


class Unreadable(DeliveryError):
    """Sealed by the right secret, yet not what its type promises; kept, shown, never retried."""


class ProviderError(HeadgateError):
    """The Git host did not do what was asked."""


class Refused(ProviderError):
    """The credential is not accepted, or lacks a permission; the message names it where known."""

    def __init__(self, message: str, *, missing: tuple[str, ...] = ()) -> None:
        """`missing`: scopes or permissions, in the provider's own words, of which it says that they are needed."""
        self.missing = missing
        super().__init__(message)


class NotFound(ProviderError):
    """No such repository, ref or change, or the credential may not see it."""


class Conflict(ProviderError):
    """What was asked for no longer fits what is there."""


class RateLimited(ProviderError):
    """Too many requests."""

    def __init__(self, message: str, *, retry_at: datetime) -> None:
        """`retry_at`: an aware UTC datetime, as the host gave it or as we guessed it."""
        self.retry_at = retry_at
        super().__init__(message)


class Unavailable(ProviderError):
    """The host cannot be reached or is failing; the same call may work later."""

    def __init__(self, message: str, *, seconds: int | None = None) -> None:
        """`seconds`: how long it will not even be asked, where that is known."""
        self.seconds = seconds
        super().__init__(message)


class CredentialError(HeadgateError):
    """A secret is missing, unreadable, of another type, or bound to hosts other than the one asked for."""


class QueueError(HeadgateError):
    """A build cannot be queued, cancelled or changed as asked; the message says what to do instead."""
