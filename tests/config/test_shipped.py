"""What we ship as configuration, and what the documentation shows, is right by our own rules."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.cli.check import check
from headgate.cli.commands import run
from headgate.config.host import load_settings
from headgate.config.jobs import load_jobs
from headgate.plugins import load_plugins

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "docs" / "generate_reference.py"


@pytest.fixture(scope="module")
def installed():
    return load_plugins(allow=["headgate"]).kinds


def test_the_example_and_its_sample_job_are_right(installed):
    settings = load_settings(ROOT / "config.example.yaml", installed)
    assert settings.git.local_roots == (ROOT,)
    assert settings.server.host == "127.0.0.1"
    loaded = load_jobs(settings.jobs, installed, settings)
    assert loaded.problems == ()
    assert [job.name for job in loaded.jobs] == ["headgate"]


def test_what_the_example_has_in_comments_is_right_too(installed, tmp_path):
    text = (ROOT / "config.example.yaml").read_text()
    uncommented = re.sub(r"(?m)^  # (acme-github:|company-git:|  [a-z_]+:)", r"  \1", text)
    uncommented = uncommented.replace("  # public_url", "  public_url")
    assert uncommented.count("provider:") == 3
    path = tmp_path / "config.yaml"
    path.write_text(uncommented)
    settings = load_settings(path, installed)
    assert [connection.provider for connection in settings.connections] == ["git", "github", "git"]
    assert settings.server.public_url == "https://ci.example.com"


def test_the_references_are_up_to_date():
    result = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_check_of_the_references_notices_a_change(kinds):
    """The negative control: other kinds make other pages."""
    generator = runpy.run_path(str(GENERATOR))
    page = generator["job_file_page"](kinds)
    assert "### `triggers`" in page
    assert page != (ROOT / "docs/reference/job-file.md").read_text()
    assert "`provider: forge`" in generator["configuration_page"](kinds)


def test_the_references_example_is_right(installed, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "connections: {acme-github: {provider: github, webhook_secrets: [secret://encrypted/x]}}\n"
        "credential_stores: {encrypted: {file: a, key_file: b}}\n"
    )
    (tmp_path / "job.yaml").write_text(runpy.run_path(str(GENERATOR))["JOB_EXAMPLE"])
    settings = load_settings(tmp_path / "config.yaml", installed)
    loaded = load_jobs([tmp_path / "job.yaml"], installed, settings)
    assert (loaded.problems, len(loaded.jobs)) == ((), 1)


def test_check_says_ok(capsys):
    assert check([], ROOT / "config.example.yaml") == 0
    assert "ok: " in capsys.readouterr().out


def test_check_tells_every_problem_and_ends_with_2(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("server: {prot: 1}\nkonnections: {}\n")
    assert check([], Path("config.yaml")) == 2
    assert capsys.readouterr().out.splitlines() == [
        "config.yaml:1:10: server.prot: unknown key `prot` (did you mean `port`?)",
        "config.yaml:2:1: konnections: unknown key `konnections` (did you mean `connections`?)",
        "2 problems in 1 file",
    ]


JOB = "jobs: {a: {source: {connection: x, repository: r}, run: {steps: [{run: y}]}}}"


def test_check_takes_job_files_folders_and_configurations(capsys, tmp_path):
    (tmp_path / "other.conf").write_text("connections: {x: {provider: git, root: .}}\njobs: [d]")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.yaml").write_text(JOB)
    (tmp_path / "b.yaml").write_text(JOB.replace("x,", "y,"))
    assert check([tmp_path / "other.conf"], Path("none.yaml")) == 0
    assert check([tmp_path / "d"], tmp_path / "other.conf") == 0
    assert check([tmp_path / "d/a.yaml", tmp_path / "other.conf"], Path("none.yaml")) == 0
    capsys.readouterr()
    assert check([tmp_path / "b.yaml"], tmp_path / "other.conf", as_json=True) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["problems"][0]["path"] == "jobs.a.source.connection"
    assert check([], Path("none.yaml")) == 2
    assert check([tmp_path / "nowhere"], tmp_path / "other.conf") == 2


def test_the_schema_command_prints_json(capsys):
    for which in ("job", "config"):
        assert run(["schema", which, "--config", str(ROOT / "config.example.yaml")]) == 0
        assert json.loads(capsys.readouterr().out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
