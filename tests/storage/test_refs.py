"""Heads and transitions: what was saved is what is loaded, in few statements whatever the history."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from headgate.storage import refs
from headgate.storage.ids import new_id
from headgate.storage.refs import RefKey, RefState, Transition

MAIN = RefKey(connection="acme", repository="acme/web", ref="refs/heads/main")
OTHER = RefKey(connection="acme", repository="acme/web", ref="refs/heads/other")


@pytest.fixture
def move(now):
    """Makes a transition."""

    def move(key, generation, **more):
        values = {"before": None, "after": "a" * 40, "observed_at": now, "by_webhook": True, "by_poll": False}
        return Transition(id=new_id("t", now), key=key, generation=generation, **(values | more))

    return move


async def save(database, **what):
    await database.writer.write(lambda conn: refs.save(conn, **what))


async def load(database, *keys):
    async with database.reading() as conn:
        return await refs.load(conn, keys)


async def test_a_ref_never_seen_is_unknown(database):
    assert await load(database, MAIN) == {MAIN: RefState()}
    assert await load(database) == {}


async def test_a_state_comes_back_with_its_transitions(database, move):
    moves = (move(MAIN, 1), move(MAIN, 2, late=True, before="b" * 40, after=None))
    state = RefState(head="a" * 40, known=True, generation=2, polled_head="c" * 40, polled_generation=1)
    await save(database, states={MAIN: state, OTHER: RefState(known=True)}, new=moves)
    assert await load(database, MAIN, OTHER, MAIN) == {
        MAIN: replace(state, recent=moves),
        OTHER: RefState(known=True),
    }


async def test_only_the_last_transitions_are_brought_along(database, move):
    moves = [move(MAIN, generation) for generation in range(1, 101)]
    await save(database, states={MAIN: RefState(known=True, generation=100)}, new=moves)
    assert (await load(database, MAIN))[MAIN].recent == tuple(moves[-32:])
    async with database.reading() as conn:
        assert await refs.history(conn, MAIN, limit=3) == tuple(reversed(moves[-3:]))


async def test_who_witnessed_a_transition_is_kept(database, move):
    first, new = move(MAIN, 1), move(MAIN, 2)
    await save(database, states={MAIN: RefState(known=True, generation=1)}, new=[first])
    first = replace(first, by_poll=True)
    await save(database, states={MAIN: RefState(known=True, generation=2)}, new=[new], witnessed=[first])
    assert (await load(database, MAIN))[MAIN].recent == (first, new)


async def test_a_generation_is_given_once(database, move):
    """The index stands behind the ledger: two transitions of one generation would be two truths."""
    await save(database, states={}, new=[move(MAIN, 1)])
    with pytest.raises(Exception, match="UNIQUE constraint failed"):
        await save(database, states={}, new=[move(MAIN, 1)])


async def test_the_heads_of_a_repository(database):
    elsewhere = replace(MAIN, repository="acme/lib")
    states = {MAIN: RefState(head="a" * 40, known=True), OTHER: RefState(known=True), elsewhere: RefState()}
    await save(database, states=states, new=[])
    async with database.reading() as conn:
        found = await refs.heads(conn, "acme", "acme/web")
    assert found == {MAIN.ref: states[MAIN], OTHER.ref: states[OTHER]}


async def test_ten_thousand_refs_at_once(database, move):
    """A first poll of a large repository: more keys than a statement may hold."""
    keys = [replace(MAIN, ref=f"refs/heads/{number}") for number in range(10_000)]
    states = {key: RefState(head="a" * 40, known=True, generation=1) for key in keys}
    await save(database, states=states, new=[move(key, 1) for key in keys])
    loaded = await load(database, *keys)
    assert len(loaded) == 10_000
    assert all(len(state.recent) == 1 and state.head == "a" * 40 for state in loaded.values())
