"""`headgate` with its plugins' guards off: `unguarded.py WHAT --config … serve`.

- `calls`: whatever a plugin raises goes where it will.
- `circuits`: faults are counted and named, and nothing follows.
"""

from __future__ import annotations

import sys

from headgate.cli import main
from headgate.plugins.circuits import Circuit
from headgate.plugins.guard import Guard


def _run(_guard, _method, call, *args, **_):
    return call(*args)


async def _call(_guard, _method, start, **_):
    return await start()


match sys.argv.pop(1):
    case "calls":
        Guard.run, Guard.call, Guard.inside = _run, _call, _call
    case "circuits":
        Circuit.open = lambda _circuit, _reason: None
    case other:
        sys.exit(f"there is no {other} to switch off")
main()
