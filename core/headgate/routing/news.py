"""Which notifications a build's new state asks for; pure, so that they can be written in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from headgate.api.builds import Build
from headgate.api.errors import PluginError
from headgate.api.jobs import Block
from headgate.api.notifiers import Notifier, Phase
from headgate.plugins.guard import Guard, Guards
from headgate.storage.ids import new_id
from headgate.storage.notifications import NewNotification

PHASES: tuple[Phase, ...] = ("queued", "running", "finished")


def build_url(public_url: str, build_id: str) -> str:
    """The link to a build that statuses, messages and builds carry; it needs a token, as every route does."""
    return f"{public_url}/api/v1/builds/{build_id}"


def plan_news(
    build: Build,
    *,
    phase: Phase,
    blocks: Sequence[Block],
    notifiers: Mapping[str, Notifier],
    now: datetime,
    guards: Guards,
) -> tuple[NewNotification, ...]:
    """One notification for each block under `notify:` whose notifier wants this phase of this build.

    A notifier that cannot say whether it wants it is taken to want it: news too many is better than news lost.
    A block whose notifier is not open is passed over: a job that needs it was refused when it was loaded.
    `sequence` grows with attempt and phase, so that within an order key a newer state is never overwritten.
    """
    wanted = [
        (block, notifiers[block.kind])
        for block in blocks
        if block.kind in notifiers
        and _wants(guards.of("notifier", block.kind), notifiers[block.kind], phase, build, block)
    ]
    return tuple(
        NewNotification(
            id=new_id("n", now),
            build_id=build.id,
            notifier=block.kind,
            options=block.options,
            phase=phase,
            order_key=f"{block.kind} {_order_key(guards.of('notifier', block.kind), notifier, build, block)}",
            sequence=_sequence(build, phase),
            build=build,
            created_at=now,
        )
        for block, notifier in wanted
    )


def _wants(guard: Guard, notifier: Notifier, phase: Phase, build: Build, block: Block) -> bool:
    try:
        return bool(guard.run("wants", notifier.wants, phase, build, block.options))
    except PluginError:
        return True


def _order_key(guard: Guard, notifier: Notifier, build: Build, block: Block) -> str:
    """Ours starts with the notifier's name, so that none can reach another's news."""
    try:
        return guard.run("order_key", notifier.order_key, build, block.options)
    except PluginError:
        return build.id


def _sequence(build: Build, phase: Phase) -> int:
    """Later builds of a job outrank earlier ones, later attempts earlier ones, later phases earlier ones."""
    return (build.number * 1_000 + min(build.attempt, 99)) * 10 + PHASES.index(phase)
