"""A running server with broken plugins on its path: everything else works, and what needs them says so."""

from __future__ import annotations

import json
import textwrap

import pytest
from live import Headgate

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  plain: {provider: git, base_url: "https://git.example.org", webhook_secrets: [secret://env/HOOK]}
  lunar: {provider: moon}
credential_stores: {env: {}}
executors: {process: {}}
"""

JOBS = """
jobs:
  good:
    source: {connection: plain, repository: acme/web, checkout: none}
    triggers: {manual: {}}
    run: {steps: [{name: one, run: "true"}]}
  of-the-moon:
    source: {connection: lunar, repository: acme/web}
    triggers: {manual: {}}
    run: {steps: [{name: one, run: "true"}]}
  in-a-pod:
    source: {connection: plain, repository: acme/web}
    triggers: {manual: {}}
    run: {executor: pod, steps: [{name: one, run: "true"}]}
"""

NOT_IMPORTABLE = "import nothing_of_this_name"
NO_POD = """
from headgate import api

HEADGATE_API = 1


@api.hookimpl
def headgate_executors():
    raise RuntimeError("no pod here")
"""


@pytest.fixture
async def headgate(tmp_path, distribution):
    distribution("headgate-moon", {"moon": NOT_IMPORTABLE}, version="2.5")
    distribution("headgate-pod", {"pod": textwrap.dedent(NO_POD)})
    path = f"{tmp_path}/headgate-moon:{tmp_path}/headgate-pod"
    server = Headgate(tmp_path / "served", CONFIG, JOBS, {"PYTHONPATH": path})
    await server.start()
    yield server
    server.close()


async def test_each_broken_plugin_is_reported_with_distribution_version_and_reason(headgate):
    shown = json.loads(await headgate.command("plugins", "--json", code=1))
    found = {one["name"]: one for one in shown if one["status"] == "broken"}
    assert {name: (one["distribution"], one["version"]) for name, one in found.items()} == {
        "moon": ("headgate-moon", "2.5"),
        "pod": ("headgate-pod", "1.0"),
    }
    assert "ModuleNotFoundError" in found["moon"]["reason"]
    assert "no pod here" in found["pod"]["reason"]


async def test_whoever_asks_for_a_job_that_needs_one_is_told(headgate):
    for job, reason in (("of-the-moon", "headgate-moon 2.5 is broken"), ("in-a-pod", "headgate-pod 1.0 is broken")):
        assert reason in await headgate.command("run", job, code=1)
        assert f"jobs.{job}" in await headgate.command("check", code=2)
    assert "headgate-pod 1.0 is broken" in await headgate.command("jobs")
    assert "headgate-moon 2.5 is broken" in await headgate.command("connections")


async def test_every_other_job_builds(headgate):
    await headgate.command("run", "good")
    (build,) = await headgate.finished(1)
    assert build["outcome"] == "succeeded"
