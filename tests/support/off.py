"""`headgate` with one protection off: `off.py NAME --config … serve`.

- `fence`: whatever a worker writes about a build counts, whoever has it by now.
- `lease`: supervisors and logs are told of a lease that never ends.
"""

from __future__ import annotations

import sys

import sqlalchemy as sa

from headgate.builds import lease
from headgate.cli import main
from headgate.storage import builds
from headgate.storage.tables import builds as table


def _held(id_, _fence):
    return sa.update(table).where(table.c.id == id_)


match sys.argv.pop(1):
    case "fence":
        builds._held = _held
    case "lease":
        lease.MARGIN = -1e6
    case other:
        raise SystemExit(f"there is no protection {other}")
main()
