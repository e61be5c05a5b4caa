"""Jobs, pushes and facts for tests that let a flow run over a real database."""

from __future__ import annotations

import msgspec

from headgate import api
from headgate.routing.planning import Fact

A, B, C = "a" * 40, "b" * 40, "c" * 40
WEB = api.Repository(host="example.org", path="acme/web")


class NoHistory:
    """A mirror that knows one set of paths, or is not reachable."""

    def __init__(self):
        self.paths = ()
        self.asked = 0

    async def complete(self, connection, path, push):
        self.asked += 1
        if self.paths is None:
            raise api.Unavailable("no route to example.org")
        return push, self.paths

    async def follow(self, connection, path, tag):
        self.asked += 1
        if self.paths is None:
            raise api.Unavailable("no route to example.org")
        return msgspec.structs.replace(tag, commits=(api.Commit(id=C, message="Three [skip ci]"),), commit=C)


def make_job(name="web", triggers=None, **more):
    blocks = {"push": {}} if triggers is None else triggers
    return api.Job(
        name=name,
        source=api.Source(connection="acme", repository="acme/web"),
        triggers=tuple(api.Block(kind=kind, options=options) for kind, options in blocks.items()),
        run=api.Run(steps=(api.Step(name="one", run="true"),)),
        definition=f"hash-of-{name}",
        **more,
    )


def push(before, after, *, ref="refs/heads/main", commits=(), complete=False):
    return api.Push(
        repository=WEB,
        ref=ref,
        before=before,
        after=after,
        commits=commits,
        commits_complete=complete,
        default_branch="main",
    )


def fact(event, **more):
    more.setdefault("observer", "webhook")
    return Fact(event=event, connection="acme", key="acme/web", **more)
