"""What a running server holds, sample by sample, and whether it grows; not what makes it grow."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

MB = 1_000_000
HOUR = 3600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One look. Sizes are in bytes, `at` in seconds since the server was started."""

    at: float
    memory: int
    """Resident anonymous memory of the server's own process: heaps and stacks. Not the proportional set size, which
    changes by megabytes with everybody who runs the same Python, and halves for the moment of a fork."""
    children: int
    children_memory: int
    """Proportional set size of all of them: most of it is one Python, shared."""
    descriptors: int
    threads: int
    tasks: int
    queued: int
    database: int
    wal: int
    logs: int
    workspaces: int
    """Folders of builds that exist."""
    mirrors: int
    cpu: float
    """Seconds the server's own process has used."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that must hold, as it was found."""

    what: str
    found: str
    bound: str
    holds: bool


def look(pid: int, data: Path, *, at: float, tasks: int, queued: int) -> Sample:
    """Everything that can be seen of a server from outside; `tasks` and `queued` are what its metrics say."""
    children = _descendants(pid)
    status = Path(f"/proc/{pid}/status").read_text()
    clock = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(
        at=at,
        memory=_memory(pid, "Anonymous"),
        children=len(children),
        children_memory=sum(_memory(child, "Pss") for child in children),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(next(line for line in status.splitlines() if line.startswith("Threads:")).split()[1]),
        tasks=tasks,
        queued=queued,
        database=_size(data / "headgate.db"),
        wal=_size(data / "headgate.db-wal"),
        logs=_tree(data / "logs"),
        workspaces=len(list((data / "workspaces").iterdir())) if (data / "workspaces").exists() else 0,
        mirrors=_tree(data / "mirrors"),
        cpu=(int(clock[11]) + int(clock[12])) / os.sysconf("SC_CLK_TCK"),
    )


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it ended meanwhile
            for child in map(int, (thread / "children").read_text().split()):
                found.append(child)
                with contextlib.suppress(OSError):
                    found += _descendants(child)
    return found


def _memory(pid: int, kind: str) -> int:
    with contextlib.suppress(OSError):  # it ended meanwhile
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) * 1024
    return 0


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _tree(path: Path) -> int:
    return sum(_size(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Per hour, after Theil and Sen: the median slope of all pairs, which single peaks do not move."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2) if x2 > x1]
    return statistics.median(slopes) * HOUR if slopes else 0.0


def slope_of(samples: Sequence[Sample], name: str) -> float:
    """The slope of one figure over the second half of the samples, by when caches are full."""
    half = samples[len(samples) // 2 :]
    return slope([(sample.at, getattr(sample, name)) for sample in half])


def table(findings: Iterable[Finding]) -> str:
    """The findings in Markdown."""
    rows = [f"| {one.what} | {one.found} | {one.bound} | {'yes' if one.holds else '**no**'} |" for one in findings]
    return "\n".join(["| what | found | bound | holds |", "|---|---|---|---|", *rows])


def plot(samples: Sequence[Sample], series: Sequence[tuple[str, str, float, str]]) -> str:
    """A small SVG: one panel for each `(attribute, title, divisor, unit)`, over minutes."""
    width, height, left, top = 760, 130, 70, 28
    size, font = len(series) * (height + 50) + 10, 'font-family="sans-serif" font-size="12"'
    minutes = [sample.at / 60 for sample in samples]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + left + 20} {size}" {font}>',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (name, title, divisor, unit) in enumerate(series):
        values = [getattr(sample, name) / divisor for sample in samples]
        most, base = max(values) * 1.1 or 1.0, top + number * (height + 50)
        line = " ".join(
            f"{left + (x - minutes[0]) / (minutes[-1] - minutes[0]) * width:.1f},{base + height - y / most * height:.1f}"
            for x, y in zip(minutes, values, strict=True)
        )
        parts += [
            f'<text x="{left}" y="{base - 8}" font-weight="bold">{title}</text>',
            f'<text x="{left - 6}" y="{base + 10}" text-anchor="end">{most:.0f} {unit}</text>',
            f'<text x="{left - 6}" y="{base + height}" text-anchor="end">0</text>',
            f'<text x="{left + width}" y="{base + height + 15}" text-anchor="end">{minutes[-1]:.0f} min</text>',
            f'<path d="M{left} {base}V{base + height}H{left + width}" fill="none" stroke="#999"/>',
            f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>',
        ]
    return "\n".join([*parts, "</svg>", ""])
