"""Writes what was measured for people: a Markdown table, SVG plots, and `results.json` for the next comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from guard import Table
from results import Beside, Figure, number

MARK = {True: "met", False: "**missed**", None: ""}
INTRODUCTION = """# Benchmarks

Written by `make bench`; nothing here is typed by hand. Every figure was measured in the same run as what stands
beside it: a bare limit (the same work without Headgate), a peer, or ourselves at another size. A ratio above 1 says
that ours is better, whichever way the unit points. Absolute values belong to this machine and this hour, ratios travel:
`make bench ARGS=--compare` compares them with those in `results.json` and fails when one got more than 20 % worse.
`make bench ARGS="builds peers"` runs some.
"""


SOAK = "soak.svg"
"""The plot of `make soak`, which is not ours."""


def write(table: Table, folder: Path) -> None:
    """`README.md`, one plot a program, and `results.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(table), indent=1)
    (folder / "results.json").write_bytes(encoded + b"\n")
    plots = {name: _plot(name, figures, folder) for name, figures in table.programs.items()}
    for stale in set(folder.glob("*.svg")) - {plot for plot in plots.values() if plot} - {folder / SOAK}:
        stale.unlink()
    (folder / "README.md").write_text(markdown(table, {name: plot.name for name, plot in plots.items() if plot}))


def markdown(table: Table, plots: dict[str, str]) -> str:
    """The whole page; `plots`: a file name for each program that has one."""
    about = " · ".join(f"{name} {value}" for name, value in (table.machine | table.versions).items())
    parts = [INTRODUCTION, f"Measured {table.date} on: {about}.\n"]
    for name, figures in table.programs.items():
        parts.append(f"## {name.replace('_', ' ')}\n")
        if name in plots:
            parts.append(f"![{name.replace('_', ' ')}]({plots[name]})\n")
        rows = [row for figure in figures for row in _rows(figure)]
        parts.append(
            "\n".join(
                ["| figure | ours | beside it | that | ratio | target | |", "|---|--:|---|--:|--:|--:|---|", *rows]
            )
        )
        parts.append("")
    return "\n".join(parts)


def _rows(figure: Figure) -> list[str]:
    ours = f"{number(figure.value)} {figure.unit}" if figure.value is not None else "–"
    sign = "≥" if figure.better == "higher" else "≤"
    target = f"{sign} {number(figure.target)} {figure.unit}" if figure.target is not None else ""
    rows = []
    if figure.target is not None or not figure.beside:
        rows.append(_row(figure.name, ours, "", "", "", target, _words(MARK[figure.meets()], figure.note)))
    for beside in figure.beside:
        name = "" if rows else figure.name
        rows.append(_row(name, "" if rows else ours, *_beside(figure, beside)))
    return rows


def _beside(figure: Figure, beside: Beside) -> tuple[str, ...]:
    ratio = figure.ratio(beside)
    that = f"{number(beside.value)} {figure.unit}" if beside.value is not None else "–"
    target = f"≥ {beside.target:.2f}×" if beside.target is not None else ""
    note = beside.note or ("" if figure.target is not None else figure.note)
    return (
        beside.name,
        that,
        "" if ratio is None else f"{ratio:.2f}×",
        target,
        _words(MARK[figure.meets(beside)], note),
    )


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _words(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _plot(name: str, figures: Sequence[Figure], folder: Path) -> Path | None:
    """Curves where figures make one, else a bar for each ratio; `None` when there is nothing to draw."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "headgate", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    curves: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.series and figure.at is not None and figure.value is not None:
            curves.setdefault(figure.series, []).append(figure)
    bars = [
        (f"{figure.name}\nbeside {beside.name}", ratio, beside.target)
        for figure in figures
        for beside in figure.beside
        if (ratio := figure.ratio(beside)) is not None
    ]
    if not curves and not bars:
        return None
    panels = max(1, len(curves))
    height = 3.2 * panels if curves else 0.6 * len(bars) + 0.9
    drawing, axes = plt.subplots(panels, 1, figsize=(8, height), squeeze=False)
    if curves:
        for (series, points), axis in zip(curves.items(), axes[:, 0], strict=True):
            _curve(axis, series, sorted(points, key=lambda point: point.at or 0.0))
    else:
        _bars(axes[0, 0], bars)
    drawing.tight_layout()
    target = folder / f"{name}.svg"
    drawing.savefig(target, metadata={"Date": None, "Creator": None})
    plt.close(drawing)
    return target


def _curve(axis, series: str, points: Sequence[Figure]) -> None:
    places = [point.at for point in points]
    axis.plot(places, [point.value for point in points], marker="o", label="headgate")
    names = dict.fromkeys(beside.name for point in points for beside in point.beside)
    for name in names:
        pairs = [
            (point.at, beside.value)
            for point in points
            for beside in point.beside
            if beside.name == name and beside.value is not None
        ]
        if pairs:
            axis.plot(*zip(*pairs, strict=True), marker=".", linestyle="--", label=name)
    axis.set(title=series, xlabel=points[0].axis, ylabel=points[0].unit)
    if len(set(places)) > 1 and min(places) > 0 and max(places) / min(places) > 20:
        axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.legend()


def _bars(axis, bars: Sequence[tuple[str, float, float | None]]) -> None:
    names, ratios, targets = zip(*reversed(bars), strict=True)
    axis.barh(range(len(names)), ratios, color="#4a7ebb", height=0.6)
    axis.set_yticks(range(len(names)), names)
    axis.set_xscale("log")
    axis.axvline(1.0, color="black", linewidth=0.8)
    for place, (ratio, target) in enumerate(zip(ratios, targets, strict=True)):
        axis.text(ratio, place, f" {ratio:.2f}×", va="center")
        if target is not None:
            axis.plot([target, target], [place - 0.4, place + 0.4], color="#c0392b", linewidth=2)
    axis.set_xlabel("ours ÷ that, more is better; red: what is asked for")
    axis.margins(x=0.15)
