"""Says which ratios got worse since the last committed table; absolute values are never compared.

A ratio is ours to something measured beside it in the same run, so a slower machine or a busy hour moves both. What
moves only one of them is a change of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from results import Figure

TOLERANCE = 0.20
"""The share of a ratio that may be lost without a word: runs on two shared cores differ by half of that."""

Programs = Mapping[str, Sequence[Figure]]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """`results.json`: when, on what, and what each program found."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    programs: dict[str, list[Figure]]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One ratio beyond the tolerance, or one that is not there any more (`now` is `None`)."""

    program: str
    figure: str
    beside: str
    before: float
    now: float | None

    @property
    def worse(self) -> bool:
        """Whether it is a loss; a gain is told, and asks for a new table."""
        return self.now is None or self.now < self.before

    def __str__(self) -> str:
        """For the terminal."""
        what = f"{self.program}: {self.figure} beside {self.beside}"
        if self.now is None:
            return f"{what}: {self.before:.2f}× before, not measured now"
        return f"{what}: {self.before:.2f}× → {self.now:.2f}× ({self.now / self.before - 1:+.0%})"


def compare(before: Programs, now: Programs, *, tolerance: float = TOLERANCE) -> list[Moved]:
    """What moved by more than `tolerance`, in the order of the earlier table; programs that were not run now say nothing."""
    moved = []
    for program, figures in before.items():
        if program not in now:
            continue
        found = _ratios(now[program])
        for (figure, beside), earlier in _ratios(figures).items():
            later = found.get((figure, beside))
            if later is None or abs(later / earlier - 1) > tolerance:
                moved.append(Moved(program=program, figure=figure, beside=beside, before=earlier, now=later))
    return moved


def _ratios(figures: Sequence[Figure]) -> dict[tuple[str, str], float]:
    """Of what was measured; a peer that was not there then has nothing to lose."""
    return {
        (figure.name, beside.name): ratio
        for figure in figures
        for beside in figure.beside
        if (ratio := figure.ratio(beside))
    }
