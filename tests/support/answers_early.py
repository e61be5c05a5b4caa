"""`headgate`, with one protection off: a delivery is answered first, committed a little later and then routed.

`LATER` in its environment says how many seconds. Whatever looks for the delivery meanwhile does not find it.
"""

from __future__ import annotations

import asyncio
import os

from headgate.cli import main
from headgate.scheduling.inbox import Inbox
from headgate.storage import deliveries
from headgate.storage.deliveries import Recorded
from headgate.storage.writer import Writer

LATER = float(os.environ.get("LATER", "0.3"))
_add = Writer.add
_received = Inbox.received
_late: dict[str, asyncio.Task] = {}


async def add(self, batch, value):
    if batch is not deliveries.record:
        return await _add(self, batch, value)

    async def commit():
        await asyncio.sleep(LATER)
        await _add(self, batch, value)

    task = _late[value.delivery.id] = asyncio.create_task(commit())
    task.add_done_callback(lambda _: _late.pop(value.delivery.id))
    return Recorded(id=value.delivery.id)


def received(self, delivery, reading):
    if late := _late.get(delivery.delivery.id):
        late.add_done_callback(lambda _: _received(self, delivery, reading))
    else:
        _received(self, delivery, reading)


Writer.add = add  # type: ignore[method-assign]
Inbox.received = received  # type: ignore[method-assign]
main()
