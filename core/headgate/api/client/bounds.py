"""How much a client does at most, in seconds, bytes and counts; not what it does."""

from __future__ import annotations

import msgspec


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one client. One call takes at most `attempts` times (`whole` + a wait)."""

    connect: float = 10.0
    """Seconds until a connection stands."""
    whole: float = 30.0
    """Seconds for one request and all of its answer."""
    most_bytes: int = 8 * 1024 * 1024
    """Of an answer, unpacked."""
    concurrency: int = 8
    """Requests under way at once."""
    attempts: int = 4
    """How often an idempotent request is made in all; the others once, unless a limit refused them."""
    backoff: float = 0.5
    """Seconds. Before attempt n+1 a random part of `backoff` × 2ⁿ⁻¹ is waited, at most `longest_backoff`."""
    longest_backoff: float = 15.0
    """Seconds."""
    patience: float = 30.0
    """Seconds of a rate limit that are waited for; a longer one raises `RateLimited`. 0: never wait."""
    failures: int = 5
    """Requests in a row without a usable answer after which the host is left alone."""
    rest: float = 30.0
    """Seconds for which it is left alone; then one request tries."""
    most_pages: int = 1000
    """Of one listing."""
    kept: int = 512
    """Answers kept for conditional requests."""
    kept_bytes: int = 16 * 1024 * 1024
    """Of their bodies, together."""
