"""`headgate`, with one protection off: a delivery is answered first and committed a little later.

`LATER` in its environment says how many seconds. Whatever looks for the delivery meanwhile does not find it.
"""

from __future__ import annotations

import asyncio
import os

from headgate.cli import main
from headgate.storage import deliveries
from headgate.storage.deliveries import Recorded
from headgate.storage.writer import Writer

LATER = float(os.environ.get("LATER", "0.3"))
_add = Writer.add
_late: set[asyncio.Task] = set()


async def add(self, batch, value):
    if batch is not deliveries.record:
        return await _add(self, batch, value)

    async def commit():
        await asyncio.sleep(LATER)
        await _add(self, batch, value)

    task = asyncio.create_task(commit())
    _late.add(task)
    task.add_done_callback(_late.discard)
    return Recorded(id=value.delivery.id)


Writer.add = add  # type: ignore[method-assign]
main()
