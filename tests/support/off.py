"""`headgate` with one protection off: `off.py NAME --config … serve`.

- `fence`: whatever a worker writes about a build counts, whoever has it by now.
- `lease`: supervisors and logs are told of a lease that never ends.
- `hand_back`: a server that stops leaves its builds as they are.
- `answers`: requests under way when the server stops are cut off.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa

from headgate.builds import lease
from headgate.builds.worker import Worker
from headgate.cli import main
from headgate.storage import builds
from headgate.storage.tables import builds as table
from headgate.web import server


def _held(id_, _fence):
    return sa.update(table).where(table.c.id == id_)


async def _leave(_worker, *_):
    """Nothing is ended, and nobody is told."""


match sys.argv.pop(1):
    case "fence":
        builds._held = _held
    case "lease":
        lease.MARGIN = -1e6
    case "hand_back":
        Worker.drain = Worker._hand_back = _leave
    case "answers":
        server.STOP_WITHIN = 0.0
    case other:
        raise SystemExit(f"there is no protection {other}")
main()
