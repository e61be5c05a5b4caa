"""Fake distributions on disk, as pip would have left them, for servers in processes of their own."""

from __future__ import annotations

import textwrap
from pathlib import Path


def distribution(folder: Path, name: str, plugin: str, code: str, version: str = "1.0") -> Path:
    """Write one with a single plugin, and give the folder that must stand on `PYTHONPATH`."""
    site = folder / name
    stem = name.replace("-", "_")
    info = site / f"{stem}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[headgate.plugins]\n{plugin} = {stem}\n")
    (site / f"{stem}.py").write_text(textwrap.dedent(code))
    return site
