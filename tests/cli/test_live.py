"""The commands against the real server: what the scripted one says elsewhere must be what the real one says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from git_server import commit_to
from needs import need

DEADLINE = 60.0

CONFIG = """
data: state
jobs: [jobs.d]
connections:
  mine: {provider: git, root: .}
git: {local_roots: [.]}
executors: {process: {isolation: auto}}
"""

JOB = """
jobs:
  greet:
    source: {connection: mine, repository: app}
    triggers: {poll: {every: 1h}, manual: {}}
    run:
      steps:
        - {name: greet, run: echo "hello nobody"}
  greet-by-name:
    source: {connection: mine, repository: app}
    triggers: {manual: {}}
    parameters:
      NAME: {type: string}
      TOKEN: {type: password}
    run:
      steps:
        - {name: greet, run: 'echo "hello $NAME, $TOKEN"'}
        - {name: fail, run: 'test "$NAME" != trouble'}
"""


def until(check):
    end = time.monotonic() + DEADLINE
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"it did not happen within {DEADLINE:.0f} s")
        time.sleep(0.05)


@pytest.fixture
def server(headgate, tmp_path):
    """`headgate serve` as a process of its own, watching one real repository."""
    need("git")
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d/greet.yaml").write_text(JOB)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", tmp_path / "app"], check=True)
    commit_to(tmp_path / "app", {"README": "hi\n"}, "First")
    with (tmp_path / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from headgate.cli import main; main(['serve', '--port', '0'])"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
    try:
        until(lambda: process.poll() is not None or headgate("jobs").returncode == 0)
        assert process.poll() is None, (tmp_path / "serve.log").read_text()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, (tmp_path / "serve.log").read_text()


def test_from_a_commit_to_its_explanation(headgate, server):
    """A poll builds the commit; then everything a person asks about builds has an answer."""
    first = until(lambda: [b for b in json.loads(headgate("builds", "--json").stdout) if b["outcome"]])[0]
    assert (first["job"], first["number"], first["outcome"], first["trigger"]) == ("greet", 1, "succeeded", "poll")

    assert headgate("jobs").stdout.splitlines()[1].split()[:3] == ["greet", "#1", "succeeded"]
    assert "hello nobody" in headgate("log", "greet#1").stdout
    why = headgate("explain", "greet#1").stdout
    assert "✓ greet  → greet#1 succeeded" in why
    assert "mine:app" in why
    by_commit = json.loads(headgate("explain", "--job", "greet", "--commit", first["sha"], "--json").stdout)
    assert [build["id"] for build in by_commit["builds"]] == [first["id"]]


def test_by_hand_with_parameters_and_a_secret(headgate, server):
    call = ("run", "greet-by-name", "-f", "-p", "TOKEN")
    done = headgate(*call, "-p", "NAME=Ada", stdin="s3cr3t-token\n")
    assert done.returncode == 0, done.stderr
    assert "hello Ada, ***" in done.stdout
    assert "s3cr3t-token" not in done.stdout + done.stderr
    assert headgate(*call, "-p", "NAME=trouble", stdin="s3cr3t-token\n").returncode == 1
    wrong = headgate("run", "greet-by-name", "-p", "NAEM=Ada")
    assert wrong.returncode == 2
    assert "NAME" in wrong.stderr
    assert headgate("run", "greeet").returncode == 1


def test_lists_and_refusals(headgate, server):
    assert headgate("connections").stdout.splitlines()[1].split()[:3] == ["mine", "open", "git"]
    assert headgate("deliveries").stdout.startswith("no deliveries yet")
    assert headgate("notifications").stdout.startswith("nothing was told yet")
    for command in (
        ("explain", "d_none"),
        ("replay", "d_none"),
        ("builds", "greet#99"),
        ("notifications", "retry", "n_x"),
    ):
        done = headgate(*command)
        assert done.returncode == 1, command
        assert done.stderr.startswith("headgate: "), command
    until(lambda: [b for b in json.loads(headgate("builds", "--json").stdout) if b["outcome"]])
    assert "had already ended" in headgate("cancel", "greet#1").stdout
