"""Pages that say what the code says: generated ones are up to date, snippets are the tested files, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")]
    if page.name != "template.md"
)
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
SNIPPET = re.compile(r"`(?P<name>[\w.]+)`:\n\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)


@pytest.mark.parametrize("generator", sorted((ROOT / "docs").glob("generate_*.py")), ids=lambda path: path.name)
def test_a_generated_page_is_up_to_date(generator):
    done = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_first_plugin_page_shows_exactly_the_tested_files():
    shown = {found["name"]: found["text"] for found in SNIPPET.finditer((ROOT / "docs/first-plugin.md").read_text())}
    assert set(shown) == {"pyproject.toml", "headgate_trailer.py", "test_headgate_trailer.py"}
    for name, text in shown.items():
        assert text == (ROOT / "docs/example-plugin" / name).read_text(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    missing = [link for link, _ in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


def test_every_decision_is_numbered_listed_and_has_its_four_parts():
    folder = ROOT / "docs/decisions"
    records = sorted(page for page in folder.glob("[0-9]*.md"))
    listed = (folder / "README.md").read_text()
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        assert f"({record.name})" in listed
        headings = re.findall(r"^## (.*)$", record.read_text(), flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], record.name
