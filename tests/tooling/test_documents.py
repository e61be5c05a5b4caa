"""Pages that say what the code says: generated ones are up to date, snippets are the tested files, links lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from headgate.cli.commands import COMMANDS
from headgate.web.webhooks import CONTENT_TYPES, webhook_routes

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")]
    if page.name != "template.md" and not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
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


def test_the_reference_shows_the_tested_test_of_a_provider():
    shown = {found["name"]: found["text"] for found in SNIPPET.finditer((ROOT / "docs/plugins.md").read_text())}
    assert shown == {
        name: (ROOT / "docs/example-provider" / name).read_text() for name in ("test_headgate_millrace.py",)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    missing = [link for link, _ in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


def test_every_page_is_reached_from_the_index():
    """A page nobody links to is a page nobody reads."""
    reached = set()
    waiting = [ROOT / "README.md", ROOT / "docs/README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [(page.parent / link).resolve() for link, _ in LINK.findall(page.read_text())]
    assert [
        str(page.relative_to(ROOT)) for page in PAGES if page not in reached and page.parent.name != "changelog.d"
    ] == []


def test_every_command_a_page_names_is_there():
    named = {
        word
        for page in PAGES
        for word in re.findall(r"(?:^\$ |`)(?:\.venv/bin/)?headgate ([a-z][a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert len(named) > 10
    assert named <= set(COMMANDS)


@pytest.fixture
def first_job(tmp_path):
    """The README's five minutes: the example configuration with its blocks, and its job file."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    config_text, job_text = (textwrap.dedent(block).replace("/home/me/src", str(tmp_path)) for block in blocks)
    config = yaml.safe_load((ROOT / "config.example.yaml").read_text())
    config.update(yaml.safe_load(config_text))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree(ROOT / "jobs.d", tmp_path / "jobs.d")
    job = tmp_path / "jobs.d/app.yaml"
    job.write_text("# jobs.d/app.yaml\n" + job_text.partition("\n")[2])

    def check():
        program = "from headgate.cli import main; main(['check'])"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    return job, check


def test_the_first_job_of_the_readme_is_right(first_job):
    _, check = first_job
    assert check() == (0, "ok: config.yaml with 2 connections; 2 jobs in 2 files\n")


def test_the_first_job_s_poll_asks_for_every_branch_that_its_push_names(first_job):
    """Without `branches` it asks for the default branch alone, and the reader's `feature/x` would never build."""
    triggers = yaml.safe_load(first_job[0].read_text())["jobs"]["app-tests"]["triggers"]
    assert len(triggers["push"]["branches"]) > 1
    assert triggers["poll"]["branches"] == triggers["push"]["branches"]


def test_the_secrets_of_the_example_s_github_connection_are_those_its_steps_and_the_readme_keep():
    block = re.search(r"  # GitHub\..*?\n\n", (ROOT / "config.example.yaml").read_text(), flags=re.DOTALL)[0]
    connection = yaml.safe_load(re.sub(r"^  # ?", "", block[block.index("  # acme-github:") :], flags=re.MULTILINE))
    used = {one.removeprefix("secret://") for one in re.findall(r"secret://encrypted/[\w-]+", str(connection))}
    for page in (block, (ROOT / "README.md").read_text()):
        assert set(re.findall(r"credentials set (encrypted/[\w-]+)", page)) == used
        assert "headgate connections test acme-github" in page


def test_the_mistake_the_readme_shows_is_answered_as_it_shows(first_job):
    job, check = first_job
    job.write_text(job.read_text().replace("poll:", "pol:"))
    code, said = check()
    (shown,) = re.findall(r"\$ headgate check\n(.*?)\s*```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert code == 2
    assert said.strip() == textwrap.dedent("   " + shown).strip()


def test_both_pages_name_the_same_refusals_of_a_webhook_and_those_the_route_names():
    """And every one has its place in the order of the checks."""
    text = (ROOT / "docs/http.md").read_text()
    table = set(re.findall(r"\b[45]\d\d\b", " ".join(re.findall(r"^\| ([45][^|]*) \|", text, re.MULTILINE))))
    order = set(re.findall(r"\b[45]\d\d\b", re.search(r"The first that fails of these.*?\n\n", text, re.DOTALL)[0]))
    figure = re.search(r"a refuse──> ([\d ]+)", (ROOT / "docs/deliveries.md").read_text())[1].split()
    route = webhook_routes(SimpleNamespace(receive=None))[0]
    assert table == order == set(figure) == {*map(str, route.errors), "431"}
    assert all(f"`{kind}`" in text for kind in CONTENT_TYPES)


def test_every_decision_is_numbered_listed_and_has_its_four_parts():
    folder = ROOT / "docs/decisions"
    records = sorted(page for page in folder.glob("[0-9]*.md"))
    listed = (folder / "README.md").read_text()
    assert [record.name[:4] for record in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        assert f"({record.name})" in listed
        headings = re.findall(r"^## (.*)$", record.read_text(), flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], record.name
