"""What a benchmark gives back: figures, each beside what it is measured against in the same run; not how one is measured.

A program in this folder has `measure(...) -> list[Figure]`, every parameter with a default, and ends in

    if __name__ == "__main__":
        sys.exit(program(measure))

so it runs alone, printing for people (`python benchmarks/builds.py --builds 200`), and under `make bench`, which
calls it in a process of its own with `--json FILE`. Each parameter of `measure` is an option of the command line.

Absolute times belong to one machine and one hour. What travels is the ratio of two things measured side by side,
which is why `Beside` is there and why the regression guard reads nothing else.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_type_hints

import msgspec


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """One thing measured beside ours in the same run: a bare limit, a peer, or ourselves at another size.

    `value` has the figure's unit; `None`: it could not be measured, and `note` says why. `target`: the ratio that
    issue 3 or we ask for, at least. `kind` decides nothing but how a reader is told.
    """

    name: str
    value: float | None
    kind: Literal["bare", "peer", "size"] = "bare"
    target: float | None = None
    note: str = ""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value.

    `name` is the same in every run: the guard finds its predecessor by it. `target` is absolute, in `unit`: at
    least when `better` is higher, at most when it is lower. `at`, with the figures of the same `series`, makes a
    curve (concurrency, number of jobs): then `axis` names it.
    """

    name: str
    value: float | None
    unit: str
    better: Literal["higher", "lower"]
    beside: tuple[Beside, ...] = ()
    target: float | None = None
    note: str = ""
    series: str = ""
    axis: str = ""
    at: float | None = None

    def ratio(self, beside: Beside) -> float | None:
        """How ours stands to `beside`, bigger is better for us whatever `better` says; `None` when either is missing."""
        if self.value is None or beside.value is None:
            return None
        ours, other = (self.value, beside.value) if self.better == "higher" else (beside.value, self.value)
        return ours / other if other else None

    def meets(self, beside: Beside | None = None) -> bool | None:
        """Whether the target (of the ratio to `beside`, or the absolute one) is met; `None`: there is no answer."""
        if beside is not None:
            ratio = self.ratio(beside)
            return None if ratio is None or beside.target is None else ratio >= beside.target
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


def number(value: float | None) -> str:
    """For people: four digits that mean something, thousands apart; a dash for what was not measured."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.{1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def show(figures: Sequence[Figure]) -> None:
    """Print for people: a line for each figure and one for each thing beside it."""
    width = max((len(figure.name) for figure in figures), default=0)
    for figure in figures:
        verdict = {True: "  (target met)", False: "  (TARGET MISSED)", None: ""}
        note = f"  {figure.note}" if figure.note else ""
        print(f"{figure.name:<{width}}  {number(figure.value):>10} {figure.unit}{verdict[figure.meets()]}{note}")
        for beside in figure.beside:
            ratio = figure.ratio(beside)
            stands = f"  ours is {ratio:.2f}× as good{verdict[figure.meets(beside)]}" if ratio is not None else ""
            more = f"  {beside.note}" if beside.note else ""
            print(f"{'  beside ' + beside.name:<{width}}  {number(beside.value):>10} {figure.unit}{stands}{more}")


def program(measure: Callable[..., list[Figure]]) -> int:
    """The command line of one benchmark: options from the parameters of `measure`, figures to the terminal or a file."""
    module = sys.modules[measure.__module__]
    parser = argparse.ArgumentParser(description=(module.__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    hints = get_type_hints(measure)
    for parameter in inspect.signature(measure).parameters.values():
        kind = next(
            kind
            for kind in (int, float, Path, str)
            if kind in {hints[parameter.name], *_members(hints[parameter.name])}
        )
        parser.add_argument(f"--{parameter.name.replace('_', '-')}", type=kind, default=parameter.default)
    given = vars(parser.parse_args())
    target: Path | None = given.pop("json")
    figures = measure(**given)
    show(figures)
    if target is not None:
        target.write_bytes(msgspec.json.encode(figures))
    return 0


def _members(hint: object) -> tuple[object, ...]:
    return getattr(hint, "__args__", ())
