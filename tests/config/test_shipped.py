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
from headgate.config.kinds import incapable
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


def test_a_job_file_whose_jobs_are_still_to_come_is_no_configuration(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("new.yaml", "config.yaml", "other.conf"):
        (tmp_path / name).write_text("jobs:\n")
    (tmp_path / "main.conf").write_text("")
    assert check([Path("new.yaml")], Path("main.conf")) == 2
    assert "new.yaml:1:6: jobs: expected a mapping, found nothing" in capsys.readouterr().out
    assert check([Path("config.yaml")], Path("main.conf")) == 2
    assert "config.yaml:1:6: jobs: expected a list, found nothing" in capsys.readouterr().out


SHOWN = """
jobs:
  web:
    source: {connection: x, repository: r}
    run: {steps: [{run: y}]}
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("conditions: [{time_window: {from: 8:00}}]", "6:39: jobs.web.conditions[0].time_window.from: expected a time of day with two digits each, such as 08:00, found `8:00`"),
        ("conditions: [{time_window: {days: mon-fry}}]", "6:39: jobs.web.conditions[0].time_window.days: expected days such as mon-fri or sat,sun (of mon, tue, wed, thu, fri, sat, sun), found `mon-fry`"),
        ("notify: [{webhook: {secret: secret://env/x, url: http://example.com}}]", "6:54: jobs.web.notify[0].webhook.url: expected https, or `plain_http: true` beside it, as anybody on the way can read the news, found `http://example.com`"),
        ("notify: [{webhook: {secret: secret://env/x, url: ftp://example.com}}]", "6:54: jobs.web.notify[0].webhook.url: expected a URL such as https://chat.example.com/hook, without user or fragment, found `ftp://example.com`"),
        ("notify: [{webhook: {secret: secret://env/x, url: https://example.com, on: [fixed]}}]", "6:80: jobs.web.notify[0].webhook.on[0]: `fixed` is not supported by this version of Headgate (write `queued` or `running` or `finished` or `succeeded` or `failed` or `errored` or `timed_out` or `cancelled` or `superseded` or `lost`)"),
        ("triggers: {change_request: {forks: approved}}", "6:40: jobs.web.triggers.change_request.forks: expected one of `ignore`, `build`, found `approved`"),
        ("triggers: {change_request: {forks: approve}}", "6:40: jobs.web.triggers.change_request.forks: `approve` is not supported by this version of Headgate (write `ignore` or `build`)"),
        ("triggers: {poll: }", "6:22: jobs.web.triggers.poll: expected a mapping, found nothing (it needs `every` or `cron`)"),
    ],
)  # fmt: skip
def test_rules_we_ship_are_told_in_words_and_not_in_patterns(installed, tmp_path, line, expected):
    (tmp_path / "config.yaml").write_text(
        "connections: {x: {provider: git, base_url: https://git.example.org}}\ncredential_stores: {env: {}}\n"
    )
    (tmp_path / "job.yaml").write_text(f"{SHOWN}    {line}\n")
    loaded = load_jobs([tmp_path / "job.yaml"], installed, load_settings(tmp_path / "config.yaml", installed))
    assert [str(problem) for problem in loaded.problems] == [f"{tmp_path}/job.yaml:{expected}"]


def test_a_state_beside_the_commit_is_refused_where_nobody_can_show_it(installed):
    def can(provider):
        return incapable(installed, provider, installed.notifiers["commit_status"].needs) is None

    assert [can(provider) for provider in ("git", "fossil", "github", "gerrit")] == [False, False, True, True]


def test_the_schema_command_prints_json(capsys):
    for which in ("job", "config"):
        assert run(["schema", which, "--config", str(ROOT / "config.example.yaml")]) == 0
        assert json.loads(capsys.readouterr().out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
