"""`headgate`, with one protection off: that a build has begun is not written down before its first step."""

from __future__ import annotations

from headgate.builds.queue import Queue
from headgate.cli import main


async def begin(self, claimed):
    return True


Queue.begin = begin  # type: ignore[method-assign]
main()
