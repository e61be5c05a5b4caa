"""`headgate`, with a fault put in: each delivery leaves an open descriptor and some memory behind."""

from __future__ import annotations

import os

from headgate.cli import main
from headgate.storage import deliveries
from headgate.storage.writer import Writer

LEFT = 1024 * 1024
_add = Writer.add
_left: list[object] = []


async def add(self, batch, value):
    if batch is deliveries.record:
        _left.append((os.open(os.devnull, os.O_RDONLY), os.urandom(LEFT)))
    return await _add(self, batch, value)


Writer.add = add  # type: ignore[method-assign]
main()
