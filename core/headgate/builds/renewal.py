"""Keeps one attempt's lease in the database while it runs, and stops the attempt when that fails; not how it then ends."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from headgate.builds.equipment import Equipment
from headgate.builds.lease import Lease
from headgate.builds.stop import StopKind
from headgate.storage import builds
from headgate.storage.builds import Claimed
from headgate.storage.errors import Busy, StorageFull


class Stops(Protocol):
    """Ends the attempt soon, as `Attempt.stop` does."""

    def __call__(self, kind: StopKind, reason: str) -> None:
        """`reason`: a sentence for the build."""


async def keep_lease(lease: Lease, claimed: Claimed, equipment: Equipment, *, stop: Stops) -> None:
    """Renew it three times a lease; a build whose lease cannot be kept is ended before another may have it."""
    try:
        await _renew_for_ever(lease, claimed, equipment, stop)
    except Exception as error:  # noqa: BLE001 - whatever it is: without a lease the build must not go on
        stop("fenced", f"the lease could not be renewed: {error!r}")


async def _renew_for_ever(lease: Lease, claimed: Claimed, equipment: Equipment, stop: Stops) -> None:
    seconds = equipment.lease
    while True:
        await asyncio.sleep(seconds / 3)
        asked = time.monotonic()
        try:
            # A disk that does not answer is no better than one that is full.
            async with asyncio.timeout(max(lease.until - asked, seconds / 3) - seconds / 6):
                answer = await equipment.queue.renew(claimed, seconds)
        except (Busy, StorageFull, TimeoutError) as error:
            if time.monotonic() > lease.until - seconds / 3:
                stop("fenced", f"the lease could not be renewed: {str(error) or 'the disk does not answer'}")
            continue
        if answer == "fenced":
            lease.lost()
            stop("fenced", "the lease was lost")
            return
        lease.renewed(asked=asked)
        if answer == "cancel":
            # Whoever asked left the reason in the build.
            async with equipment.database.reading() as connection:
                build = await builds.get(connection, claimed.build.id)
            stop("cancelled", build.reason if build else "cancelled")
