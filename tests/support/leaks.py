"""`headgate`, with a fault put in: each delivery leaves an open descriptor and some memory behind."""

from __future__ import annotations

import os

from headgate.cli import main
from headgate.storage import deliveries
from headgate.storage.writer import Writer

LEFT = 2 * 1024 * 1024
SMALL = 10_000
"""Bytes; larger bodies only fill caches, before anything is measured."""

_add = Writer.add
_left: list[object] = []


async def add(self, batch, value):
    if batch is deliveries.record and len(value.delivery.body) < SMALL:
        _left.append((os.open(os.devnull, os.O_RDONLY), os.urandom(LEFT)))
    return await _add(self, batch, value)


Writer.add = add  # type: ignore[method-assign]
main()
