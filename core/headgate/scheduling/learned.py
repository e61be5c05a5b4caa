"""What polls have learned: in memory for the next question, on disk when it says something new; not the asking.

Ten thousand repositories whose heads stay where they are cost no look at the database, and their "asked again, and
all is as it was" goes to disk together, some seconds late: a crash in between makes the next start ask a few of them
a little earlier than it had to, and loses nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from headgate.api.host import Logger
from headgate.storage import polls
from headgate.storage.database import Connection, Database
from headgate.storage.errors import StorageError
from headgate.storage.polls import PollState

TOGETHER: Final = 5.0
"""Seconds after which what is no news is written, all of it at once."""

Place: TypeAlias = tuple[str, str]
"""A connection and the key of a repository."""


class Learned:
    """The state of every repository that was ever asked. One repository is asked, and kept, once at a time."""

    def __init__(self, database: Database, *, log: Logger) -> None:
        """Knows nothing before `load`, and reads one by one what it is asked for."""
        self._database = database
        self._log = log
        self._states: dict[Place, PollState] = {}
        self._loaded = False
        self._answers: dict[Place, bytes] = {}
        self._unwritten: dict[Place, PollState] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def load(self) -> Mapping[Place, PollState]:
        """Read all of them."""
        async with self._database.reading() as connection:
            found = await polls.all(connection)
        self._states |= {(state.connection, state.repository): state for state in found}
        self._loaded = True
        return self._states

    async def of(self, place: Place) -> PollState | None:
        """What the last question taught."""
        if place not in self._states and not self._loaded:
            async with self._database.reading() as connection:
                state = await polls.get(connection, *place)
            if state is not None:
                self._states[place] = state
        return self._states.get(place)

    def default_branch(self, place: Place) -> str | None:
        """The short name of the branch `HEAD` pointed to in the last answer."""
        state = self._states.get(place)
        return state.default_branch if state else None

    def is_told_again(self, place: Place, prefixes: tuple[str, ...], heads: Mapping[str, str]) -> bool:
        """Whether this very answer to this very question was the last one, and was found to move nothing.

        Only polls move what polls have seen, so then nothing moved this time either.
        """
        return self._answers.get(place) == _digest(prefixes, heads)

    def moved_nothing(self, place: Place, prefixes: tuple[str, ...], heads: Mapping[str, str]) -> None:
        """The answer was compared with the database, ref by ref, and there was nothing new in it."""
        self._answers[place] = _digest(prefixes, heads)

    def moved(self, place: Place) -> None:
        """It brought news, or nobody knows what it would have brought: the next one is compared again."""
        self._answers.pop(place, None)

    async def keep(self, state: PollState) -> None:
        """Remember; back once it is on disk when it says more than that the repository was asked again."""
        place = (state.connection, state.repository)
        before = self._states.get(place)
        self._states[place] = state
        if before is not None and replace(before, asked_at=state.asked_at, succeeded_at=state.succeeded_at) == state:
            self._unwritten[place] = state
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(TOGETHER, self._write_soon)
        else:
            self._unwritten.pop(place, None)
            await self._database.writer.add(_put, [state])

    async def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        states, self._unwritten = self._unwritten, {}
        if not states:
            return
        try:
            await self._database.writer.add(_put, list(states.values()))
        except StorageError as error:
            self._unwritten = states | self._unwritten
            self._log.warning("when repositories were asked is not on disk yet", reason=str(error))

    def _write_soon(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self.flush(), name="polls learned")


async def _put(connection: Connection, groups: Sequence[Sequence[PollState]]) -> Sequence[None]:
    """One batch for news and for what is no news, so that the writer keeps their order."""
    await polls.put(connection, [state for group in groups for state in group])
    return [None] * len(groups)


def _digest(prefixes: tuple[str, ...], heads: Mapping[str, str]) -> bytes:
    """Sixteen bytes for any number of heads. No ref holds a line break."""
    told = "\n".join([*prefixes, "", *(f"{sha} {ref}" for ref, sha in sorted(heads.items()))])
    return hashlib.blake2b(told.encode(errors="surrogatepass"), digest_size=16).digest()
