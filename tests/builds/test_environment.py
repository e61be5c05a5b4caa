"""The environment of a build: every promised name, from values alone, and nothing of the server's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import api
from headgate.builds import environment as module
from headgate.builds.environment import environment
from headgate.config.reserved import OURS, is_ours

REPOSITORY = api.Repository(host="git.example.org", path="acme/web")
NAMES = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=20)


def make(**more):
    build = api.Build(
        **{
            "id": "b_1", "job": "web", "number": 12, "state": api.State.RUNNING, "outcome": None, "reason": "a push",
            "trigger": "push", "connection": "acme", "repository": REPOSITORY, "ref": "refs/heads/feature/x",
            "sha": "a" * 40, "before": None, "change": None, "definition": "d" * 64, "parameters": {}, "priority": 50,
            "event_id": "e_1", "decision_id": "x_1", "delivery_id": None, "queued_at": datetime.now(UTC), "attempt": 1,
            **more.pop("build", {}),
        }
    )  # fmt: skip
    job = api.Job(
        name="web",
        source=api.Source(connection="acme", repository="acme/web"),
        run=api.Run(steps=(), environment=more.pop("job_environment", {})),
    )
    values = {
        "event": None, "workspace": Path("/ws/b_1/work"), "clone_url": "https://git.example.org/acme/web.git",
        "commit": api.Commit(id="a" * 40, message="Fix it\n\nAll.", author=api.Person(name="Ada", email="ada@example.org")),
        "previous": "b" * 40, "previous_successful": "c" * 40, "parameters": {}, "secrets": {},
        "base": {"PATH": "/usr/bin", "HOME": "/ws/b_1/home"}, "public_url": "https://ci.example.org",
    }  # fmt: skip
    return environment(build, job, **(values | more))


def change(*, from_fork):
    return api.ChangeRequest(
        repository=REPOSITORY, number=7, action="opened", title="t", author="eve", from_fork=from_fork,
        source=api.ChangeSource(repository=api.Repository(host="git.example.org", path="eve/web"), branch="main", sha="a" * 40),
        target=api.ChangeTarget(branch="main"),
    )  # fmt: skip


def test_all_of_a_branch():
    assert make() == {
        "CI": "true",
        "HEADGATE": "true",
        "JOB_NAME": "web",
        "BUILD_NUMBER": "12",
        "BUILD_ID": "b_1",
        "BUILD_URL": "https://ci.example.org/api/v1/builds/b_1",
        "BUILD_TRIGGER": "push",
        "WORKSPACE": "/ws/b_1/work",
        "HEADGATE_URL": "https://ci.example.org",
        "HEADGATE_ATTEMPT": "1",
        "HEADGATE_DEFINITION": "d" * 64,
        "HEADGATE_CONNECTION": "acme",
        "HEADGATE_REPOSITORY": "acme/web",
        "HEADGATE_REF": "refs/heads/feature/x",
        "BRANCH_NAME": "feature/x",
        "GIT_LOCAL_BRANCH": "feature/x",
        "GIT_BRANCH": "origin/feature/x",
        "GIT_URL": "https://git.example.org/acme/web.git",
        "GIT_REPOSITORY_URL": "https://git.example.org/acme/web.git",
        "GIT_COMMIT": "a" * 40,
        "GIT_COMMIT_MESSAGE": "Fix it\n\nAll.",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_PREVIOUS_COMMIT": "b" * 40,
        "GIT_PREVIOUS_SUCCESSFUL_COMMIT": "c" * 40,
        "PATH": "/usr/bin",
        "HOME": "/ws/b_1/home",
    }


def test_the_documented_names_are_the_names_there_are():
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", module.__doc__))
    made = {*make(), *make(build={"change": 7}, event=change(from_fork=True)), *make(build={"ref": "refs/tags/v1"})}
    assert documented == made - {"PATH", "HOME"}


def test_a_job_is_told_of_every_name_it_would_set_in_vain():
    """The check knows the list only; `TMPDIR` is the build's own folder, which the sandbox sets last."""
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", module.__doc__))
    assert {name for name in documented if not name.startswith("HEADGATE_")} | {"TMPDIR"} == OURS
    assert all(map(is_ours, documented))


def test_a_tag():
    made = make(build={"ref": "refs/tags/v1.0"})
    assert made["TAG_NAME"] == "v1.0"
    assert not {"BRANCH_NAME", "GIT_BRANCH", "GIT_LOCAL_BRANCH"} & set(made)


def test_a_change_request_from_a_fork_never_passes_for_a_branch_of_ours():
    """The fork's branch is called main; what asks for BRANCH_NAME before it deploys must not see that."""
    made = make(build={"change": 7, "ref": "refs/pull/7/head"}, event=change(from_fork=True))
    assert (made["CHANGE_ID"], made["CHANGE_TARGET"], made["CHANGE_AUTHOR"], made["CHANGE_FORK"]) == (
        "7",
        "main",
        "eve",
        "eve/web",
    )
    assert made["BRANCH_NAME"] == "PR-7"
    assert "CHANGE_FORK" not in make(build={"change": 7}, event=change(from_fork=False))


def test_without_checkout_and_without_ref_nothing_is_invented():
    made = make(build={"ref": None, "sha": None}, clone_url=None, commit=None, previous=None, previous_successful=None)
    assert not [name for name in made if name.startswith("GIT_")]
    assert "BRANCH_NAME" not in made


def test_nothing_of_the_server_gets_through_but_what_is_harmless():
    base = {
        "PATH": "/usr/bin", "LANG": "de_DE.UTF-8", "LC_ALL": "C", "TZ": "UTC", "HOME": "/h", "TMPDIR": "/t",
        "HEADGATE_SECRET_X": "s", "AWS_SECRET_ACCESS_KEY": "s", "SSH_AUTH_SOCK": "s", "LD_PRELOAD": "s", "PYTHONPATH": "s",
    }  # fmt: skip
    assert set(make(base=base)) - set(make(base={})) == {"PATH", "LANG", "LC_ALL", "TZ", "HOME", "TMPDIR"}


@given(
    st.dictionaries(NAMES, st.text(max_size=5), max_size=5),
    st.sampled_from(["PATH", "HOME", "CI", "GIT_COMMIT", "BUILD_ID"]),
)
def test_no_parameter_overrides_anything(parameters, name):
    given_names = {**parameters, name: "mine"}
    made = make(parameters=given_names)
    assert {**given_names, **make()} == made


def test_the_job_and_its_credentials_win_over_parameters_and_lose_to_ours():
    made = make(
        parameters={"A": "parameter", "B": "parameter", "C": "parameter"},
        job_environment={"B": "job", "C": "job", "CI": "no", "PATH": "/opt/tool:/usr/bin"},
        secrets={"C": "secret", "JOB_NAME": "x"},
    )
    assert [made[name] for name in ("A", "B", "C", "CI", "PATH", "JOB_NAME")] == [
        "parameter", "job", "secret", "true", "/opt/tool:/usr/bin", "web",
    ]  # fmt: skip


@pytest.mark.parametrize("message", ["nul \0 inside", "x" * 200_000, "$(reboot) `id` \n'\""])
def test_a_strangers_text_cannot_keep_a_process_from_starting(message):
    made = make(commit=api.Commit(id="a" * 40, message=message))
    assert "\0" not in made["GIT_COMMIT_MESSAGE"]
    assert len(made["GIT_COMMIT_MESSAGE"].encode()) < 128 * 1024
