"""Fake distributions on disk, as pip would have left them."""

from __future__ import annotations

import sys
import textwrap

import pytest


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Writes one: `distribution("headgate-moon", {"moon": code})`; each entry point is a module of its own."""
    made: list[str] = []

    def write(name: str, plugins: dict[str, str], version: str = "1.0") -> None:
        site = tmp_path / name
        stem = name.replace("-", "_")
        info = site / f"{stem}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = ["[headgate.plugins]"]
        for plugin, code in plugins.items():
            module = f"{stem}_{plugin}"
            (site / f"{module}.py").write_text(textwrap.dedent(code))
            lines.append(f"{plugin} = {module}")
            made.append(module)
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(site)

    yield write
    for module in made:
        sys.modules.pop(module, None)
