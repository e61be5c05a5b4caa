"""The variables a build sees, pure; not where their values come from.

| variable | value | when |
|---|---|---|
| `CI`, `HEADGATE` | `true` | always |
| `JOB_NAME`, `BUILD_NUMBER`, `BUILD_ID`, `BUILD_URL`, `BUILD_TRIGGER` | which build, and why | always |
| `WORKSPACE` | the folder the steps start in | always |
| `HEADGATE_URL`, `HEADGATE_ATTEMPT`, `HEADGATE_DEFINITION` | the server, the attempt from 1, the job's content hash | always |
| `HEADGATE_CONNECTION`, `HEADGATE_REPOSITORY`, `HEADGATE_REF` | where the change is from | always; the ref when known |
| `GIT_URL`, `GIT_REPOSITORY_URL` | from where it was cloned, without credentials | with a checkout |
| `GIT_COMMIT` | the full sha | when known |
| `BRANCH_NAME`, `GIT_LOCAL_BRANCH`; `GIT_BRANCH` | `main`; `origin/main` | for a branch |
| `TAG_NAME` | the short name | for a tag |
| `CHANGE_ID`, `CHANGE_TARGET`, `CHANGE_AUTHOR`, `BRANCH_NAME` | number, target branch, author, `PR-<number>` | for a change request |
| `CHANGE_FORK` | the fork's path | for a change request from a fork |
| `GIT_COMMIT_MESSAGE`, `GIT_AUTHOR_NAME`, `GIT_AUTHOR_EMAIL` | of the commit | with a checkout |
| `GIT_PREVIOUS_COMMIT`, `GIT_PREVIOUS_SUCCESSFUL_COMMIT` | of earlier builds of the same ref | when there were any |

Then the job's parameters, its `run.environment` and its credentials. `BRANCH_NAME` of a change request is not the
source branch: a fork's `main` must not pass for ours where a script asks for the branch before it deploys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from headgate import api
from headgate.routing.news import build_url

PASSED_ON = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_[A-Z]+|TZ")
"""What is taken from the base; the rest of the server's environment stays with the server."""

_LONGEST = 30_000
"""Characters of one value of ours: the kernel takes 128 KiB a variable, and a commit message may hold anything."""


def environment(
    build: api.Build,
    job: api.Job,
    *,
    event: api.Event | None,
    workspace: Path,
    clone_url: str | None,
    commit: api.Commit | None,
    previous: str | None,
    previous_successful: str | None,
    parameters: Mapping[str, str],
    secrets: Mapping[str, str],
    base: Mapping[str, str],
    public_url: str,
) -> dict[str, str]:
    """All variables of a build. `build.ref` and `build.sha` are resolved as far as they can be.

    `parameters` hold passwords in the clear, `secrets` the job's credentials by variable. Later ones win:
    parameters, what `base` passes on, `run.environment`, credentials, ours. So no parameter can become `PATH`.
    """
    ours = {
        "CI": "true",
        "HEADGATE": "true",
        "JOB_NAME": build.job,
        "BUILD_NUMBER": str(build.number),
        "BUILD_ID": build.id,
        "BUILD_URL": build_url(public_url, build.id),
        "BUILD_TRIGGER": build.trigger,
        "WORKSPACE": str(workspace),
        "HEADGATE_URL": public_url,
        "HEADGATE_ATTEMPT": str(build.attempt),
        "HEADGATE_DEFINITION": build.definition,
        "HEADGATE_CONNECTION": build.connection,
        "HEADGATE_REPOSITORY": build.repository.path,
        "HEADGATE_REF": build.ref,
        "GIT_URL": clone_url,
        "GIT_REPOSITORY_URL": clone_url,
        "GIT_COMMIT": build.sha,
        "GIT_PREVIOUS_COMMIT": previous,
        "GIT_PREVIOUS_SUCCESSFUL_COMMIT": previous_successful,
        **_ref(build, event),
        **_commit(commit),
    }
    return {
        **parameters,
        **{name: value for name, value in base.items() if PASSED_ON.fullmatch(name)},
        **job.run.environment,
        **secrets,
        **{name: _fitting(value) for name, value in ours.items() if value is not None},
    }


def _ref(build: api.Build, event: api.Event | None) -> dict[str, str | None]:
    if build.change is not None:
        change = event if isinstance(event, api.ChangeRequest) else None
        fork = change.source.repository if change and change.from_fork else None
        return {
            "CHANGE_ID": str(build.change),
            "BRANCH_NAME": f"PR-{build.change}",
            "CHANGE_TARGET": change.target.branch if change else None,
            "CHANGE_AUTHOR": change.author if change else None,
            "CHANGE_FORK": (fork.path if fork else "unknown") if change and change.from_fork else None,
        }
    ref = build.ref or ""
    if ref.startswith("refs/heads/"):
        branch = ref.removeprefix("refs/heads/")
        return {"BRANCH_NAME": branch, "GIT_LOCAL_BRANCH": branch, "GIT_BRANCH": f"origin/{branch}"}
    if ref.startswith("refs/tags/"):
        return {"TAG_NAME": ref.removeprefix("refs/tags/")}
    return {}


def _commit(commit: api.Commit | None) -> dict[str, str | None]:
    if commit is None:
        return {}
    return {
        "GIT_COMMIT_MESSAGE": commit.message,
        "GIT_AUTHOR_NAME": commit.author.name,
        "GIT_AUTHOR_EMAIL": commit.author.email,
    }


def _fitting(value: str) -> str:
    """No process can be started with a NUL in its environment; what strangers write may hold one."""
    return value.replace("\0", "")[:_LONGEST]
