"""What commands do without a server: plugins, parse, hook-script, migrate, credentials, check, schema."""

from __future__ import annotations

import json
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PING = '{"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}}'


@pytest.fixture
def folder(tmp_path):
    """A configuration with an encrypted store."""
    (tmp_path / "config.yaml").write_text(
        "data: state\n"
        "credential_stores:\n"
        "  encrypted: {file: state/credentials.sealed, key_file: state/credentials.key}\n"
    )
    return tmp_path


def test_every_bundled_plugin_is_listed_with_what_it_brings(headgate):
    done = headgate("plugins", "--json")
    reports = {report["name"]: report for report in json.loads(done.stdout)}
    assert done.returncode == 0
    assert reports["github"]["kinds"] == ["provider github"]
    assert {report["status"] for report in reports.values()} == {"loaded"}


def test_a_broken_plugin_is_named_with_its_reason_and_the_exit_code_is_1(headgate, tmp_path):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headgate.plugins]\nmoon = nothing_of_this_name\n")
    done = headgate("plugins", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "moon (broken 1.0): it cannot be imported: ModuleNotFoundError" in done.stdout


def test_a_configuration_that_is_named_and_missing_is_an_error_even_where_one_is_optional(headgate):
    assert headgate("plugins", "--config", "nope.yaml").returncode == 78


def test_parse_reads_a_body_with_the_provider_s_own_code(headgate):
    done = headgate("parse", "-P", "github", "-H", "X-GitHub-Event: ping", "-", "--json", stdin=PING)
    result = json.loads(done.stdout)
    assert done.returncode == 0
    assert list(result) == ["events"]
    assert [event["type"] for event in result["events"]] == ["ping"]


@pytest.mark.parametrize("content", ["X-GitHub-Event: ping\nAccept: */*\n", '{"X-GitHub-Event": "ping"}'])
def test_parse_takes_headers_as_lines_or_json(headgate, tmp_path, content):
    (tmp_path / "headers").write_text(content)
    (tmp_path / "body.json").write_text(PING)
    done = headgate("parse", "--provider", "github", "--headers", "headers", "body.json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["events"][0]["type"] == "ping"


def test_parse_says_why_something_is_ignored_or_unreadable_and_reads_the_rest(headgate, tmp_path):
    (tmp_path / "ping").write_text(PING)
    (tmp_path / "broken").write_text("{")
    done = headgate("parse", "-P", "github", "-H", "X-GitHub-Event: ping", "broken", "ping")
    assert done.returncode == 2
    broken, ping = map(json.loads, done.stdout.splitlines())
    assert "not JSON" in broken["ignored"]
    assert broken["unreadable"] is True
    assert ping["events"]
    ignored = headgate("parse", "-P", "github", "-H", "X-GitHub-Event: star", "ping")
    assert ignored.returncode == 0
    assert "star" in json.loads(ignored.stdout)["ignored"]


def test_parse_says_that_it_was_not_told_which_event_it_is(headgate):
    """A server may refuse what can be guessed here."""
    guessed = headgate("parse", "-P", "github", "-", stdin=PING)
    assert (guessed.returncode, json.loads(guessed.stdout)["events"][0]["type"]) == (0, "ping")
    assert "no header x-github-event was given" in guessed.stderr
    told = headgate("parse", "-P", "github", "-H", "X-GitHub-Event: ping", "-", stdin=PING)
    assert (told.stdout, told.stderr) == (guessed.stdout, "")


def test_parse_of_an_unknown_provider_names_those_there_are(headgate):
    done = headgate("parse", "-P", "githb", "-")
    assert done.returncode == 2
    assert "there are " in done.stderr
    assert ", git, gitea, github, " in done.stderr


def test_parse_of_a_file_that_is_not_there_says_so_and_reads_the_rest(headgate, tmp_path):
    (tmp_path / "ping").write_text(PING)
    done = headgate("parse", "-P", "github", "-H", "X-GitHub-Event: ping", "nope.json", "ping")
    assert done.returncode == 2
    missing, ping = map(json.loads, done.stdout.splitlines())
    assert "nope.json cannot be read: No such file" in missing["ignored"]
    assert missing["unreadable"] is True
    assert ping["events"]


@pytest.mark.parametrize("headers", ['{"X-GitHub-Event": ["push"]}', "{", "junk"])
def test_parse_takes_no_headers_that_are_none(headgate, tmp_path, headers):
    (tmp_path / "headers").write_text(headers)
    (tmp_path / "ping").write_text(PING)
    done = headgate("parse", "-P", "github", "--headers", "headers", "ping")
    assert (done.returncode, done.stdout) == (2, "")


def test_the_hook_script_is_a_script_that_a_shell_accepts(headgate, tmp_path):
    script = headgate("hook-script").stdout
    assert script.startswith("#!/bin/sh\n")
    (tmp_path / "post-receive").write_text(script)
    subprocess.run(["sh", "-n", tmp_path / "post-receive"], check=True)
    assert json.loads(headgate("hook-script", "--json").stdout) == {"script": script}


def test_migrate_makes_the_database_once(headgate, folder):
    first, second = (json.loads(headgate("migrate", "--json").stdout) for _ in range(2))
    assert first["before"] is None
    assert second == {"before": first["after"], "after": first["after"]}
    with sqlite3.connect(folder / "state/headgate.db") as connection:
        assert connection.execute("select count(*) from alembic_version").fetchone() == (1,)
    connection.close()
    assert stat.S_IMODE((folder / "state").stat().st_mode) == 0o700


def test_a_credential_is_kept_listed_and_forgotten_and_never_printed(headgate, folder):
    kept = headgate(
        "credentials", "set", "encrypted/deploy", "-t", "token", "--host", "github.com", stdin="t0p-secret-value\n"
    )
    assert kept.returncode == 0, kept.stderr
    assert kept.stdout == "secret://encrypted/deploy is kept, version 1; it may travel to github.com\n"
    listed = headgate("credentials", "list")
    assert listed.stdout.splitlines()[1].split() == ["secret://encrypted/deploy", "token", "github.com", "1"]
    kept_as = b"".join(file.read_bytes() for file in (folder / "state").iterdir())
    assert "t0p-secret-value" not in kept.stdout + kept.stderr + listed.stdout
    assert b"t0p-secret-value" not in kept_as
    assert headgate("credentials", "remove", "encrypted/deploy").returncode == 0
    assert json.loads(headgate("credentials", "list", "--json").stdout) == []
    assert headgate("credentials", "remove", "encrypted/deploy").returncode == 1


def test_a_secret_cannot_be_given_as_an_argument(headgate, folder):
    """There is no place for it: argv is for everybody to read."""
    done = headgate("credentials", "set", "encrypted/deploy", "t0p-secret-value", "-t", "token")
    assert done.returncode == 2
    assert not (folder / "state/credentials.sealed").exists()


def test_a_wrong_configuration_is_78_with_every_problem_and_its_place(headgate, tmp_path):
    (tmp_path / "config.yaml").write_text("datta: x\nserver: {port: no}\n")
    done = headgate("migrate")
    assert done.returncode == 78
    places = [line for line in done.stderr.splitlines() if "config.yaml:" in line]
    assert [place.partition("config.yaml:")[2].partition(": ")[0] for place in places] == ["1:1", "2:16"]
    assert "Traceback" not in done.stderr


def test_check_is_2_for_the_same_fault_because_finding_it_is_its_work(headgate, tmp_path):
    (tmp_path / "config.yaml").write_text("datta: x\n")
    assert headgate("check").returncode == 2
    (tmp_path / "config.yaml").write_text("data: x\n")
    (tmp_path / "jobs.d").mkdir()
    assert headgate("check").returncode == 0


def test_check_shows_what_is_wrong_in_job_files_beside_what_is_wrong_in_the_configuration(headgate, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "jobs: [more.d]\nserver: {prot: 1}\ncredential_stores: {env: {colour: red}}\nconnections:\n"
        "  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}\n"
        "  plain: {provider: git, base_url: https://git.example.org}\n"
    )
    (tmp_path / "more.d").mkdir()
    (tmp_path / "more.d" / "a.yaml").write_text(
        "jobs:\n  web:\n    source: {connection: plain, repository: x, checkouts: none}\n"
        "    triggers: {push: {}}\n    run: {steps: [{name: a, run: b}]}\n"
    )
    done = headgate("check", "--json")
    assert done.returncode == 2
    found = {(Path(one["file"]).name, one["path"]) for one in json.loads(done.stdout)["problems"]}
    assert {
        ("config.yaml", "server.prot"),
        ("config.yaml", "credential_stores.env.colour"),
        ("a.yaml", "jobs.web.source.checkouts"),
    } <= found
    assert not [path for file, path in found if file == "a.yaml" and "connection" in path], "plain itself is right"


def test_serve_without_a_configuration_says_what_to_copy(headgate):
    done = headgate("serve")
    assert done.returncode == 78
    assert "copy config.example.yaml to config.yaml" in done.stderr


def test_a_port_that_is_taken_is_a_sentence(headgate, folder):
    (folder / "jobs.d").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = headgate("serve", "--port", port)
    assert done.returncode == 1
    assert f"the server cannot listen on 127.0.0.1 port {port}: address already in use" in done.stderr
    assert "--port" in done.stderr


def test_a_second_server_on_the_same_data_is_refused(headgate, folder):
    """Two processes on one database would lose what they promise; the lock is held as a server holds it."""
    assert headgate("migrate").returncode == 0
    program = (
        "import sys\nfrom pathlib import Path\nfrom headgate.storage.lock import Lock\n"
        "with Lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, folder / "state/headgate.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        (folder / "jobs.d").mkdir()
        done = headgate("serve", "--port", "0")
        holder.stdin.close()
    assert done.returncode == 78
    assert "another process uses" in done.stderr


def test_a_folder_without_job_files_is_not_fine(headgate, folder):
    (folder / "empty").mkdir()
    (folder / "jobs.d").mkdir()
    done = headgate("check", "empty")
    assert done.returncode == 2
    assert done.stdout.startswith("empty: there is no job file (*.yaml, *.yml)\n")
    assert headgate("check").returncode == 0, "no jobs yet is no mistake of a configuration"
