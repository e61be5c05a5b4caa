"""Histories walked commit by commit, because CodeCommit's API lists none; not what a commit is."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from headgate_plugins.codecommit.answers import CommitAnswer

MOST_COMPARED = 250
"""Commits that a comparison looks at; as many as a changelog has."""

_HEAD, _BASE = 1, 2

Get = Callable[[list[str]], Awaitable[list[CommitAnswer]]]
"""The commits of those ids, in any order."""


class _Frontier:
    """Commits that were reached and not looked at yet, the newest first."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._heap: list[tuple[int, str]] = []
        self._commits: dict[str, CommitAnswer] = {}

    def __len__(self) -> int:
        return len(self._heap)

    async def reach(self, ids: Iterable[str]) -> None:
        new = [one for one in dict.fromkeys(ids) if one not in self._commits]
        for one in await self._get(new) if new else []:
            self._commits[one.commit_id] = one
            heapq.heappush(self._heap, (-one.at, one.commit_id))

    def take(self) -> CommitAnswer:
        return self._commits[heapq.heappop(self._heap)[1]]

    def waiting(self) -> list[str]:
        return [one for _, one in self._heap]


async def newest_first(head: str, get: Get) -> AsyncIterator[CommitAnswer]:
    """All that `head` leads to, by the time they were committed."""
    frontier = _Frontier(get)
    await frontier.reach([head])
    while frontier:
        one = frontier.take()
        yield one
        await frontier.reach(one.parents)


async def between(base: str, head: str, get: Get) -> tuple[list[CommitAnswer], str | None, bool]:
    """What `head` has and `base` has not, oldest first; the newest commit that both have; whether that is all."""
    sides = {base: _BASE}
    sides[head] = sides.get(head, 0) | _HEAD
    frontier, found, common = _Frontier(get), list[CommitAnswer](), None
    await frontier.reach([base, head])
    for _ in range(MOST_COMPARED):
        if not any(sides[one] == _HEAD for one in frontier.waiting()):
            break
        one = frontier.take()
        if sides[one.commit_id] == _HEAD:
            found.append(one)
        elif sides[one.commit_id] == _HEAD | _BASE and common is None:
            common = one.commit_id
        for parent in one.parents:
            sides[parent] = sides.get(parent, 0) | sides[one.commit_id]
        await frontier.reach(one.parents)
    else:
        return [one for one in reversed(found) if sides[one.commit_id] == _HEAD], common, False
    if common is None:
        common = next((one for one in frontier.waiting() if sides[one] == _HEAD | _BASE), None)
    return [one for one in reversed(found) if sides[one.commit_id] == _HEAD], common, True
