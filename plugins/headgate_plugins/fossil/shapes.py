"""The JSON that our after-receive hook sends; not what it means to us. See docs/providers-fossil.md."""

from __future__ import annotations

import msgspec


class Received(msgspec.Struct):
    """What a Fossil server received at once. `artifacts`: the lines Fossil gives its hook, one for each.

    `<hash> check-in to <branch> by <user> on <time>`, `<hash> tag …`, and others.
    https://fossil-scm.org/home/doc/trunk/www/hooks.md
    """

    repository: str
    artifacts: list[str]
