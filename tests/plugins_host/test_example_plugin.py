"""The plugin of docs/first-plugin.md, built by pip as a stranger would, found through its entry point and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.api.testing import ProviderContract

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-plugin"
PROVIDER = Path(__file__).parents[2] / "docs" / "example-provider"

USE = """
import json
from datetime import UTC, datetime
from headgate import api
from headgate.plugins import load_plugins

kind = load_plugins().kinds.conditions["trailer"]
push = api.Push(
    repository=api.Repository(host="h", path="a/b"), ref="refs/heads/main", before=None, after="a" * 40
)
condition = kind.compile({"name": "CI", "value": "full"})
verdicts = [
    condition.judge(api.Subject(event=push, observer="webhook", now=datetime.now(UTC), message=message)).passed
    for message in ("Subject\\n\\nCI: full", "Subject")
]
print(json.dumps({"verdicts": verdicts, "is_condition": isinstance(condition, api.Condition)}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the example plugin installed into it."""
    source = tmp_path_factory.mktemp("source") / "example"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", target, source], check=True)
    return target


def run(site, *command):
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=site, capture_output=True, text=True, check=False
    )


def test_it_is_listed_with_its_distribution_and_version(site):
    done = run(site, "-c", "from headgate.cli import main; main(['plugins', '--json'])")
    (report,) = [one for one in json.loads(done.stdout) if one["name"] == "trailer"]
    assert report == {
        "name": "trailer",
        "distribution": "headgate-trailer",
        "version": "1.0.0",
        "status": "loaded",
        "reason": "",
        "kinds": ["condition trailer"],
    }


def test_the_control_without_the_installation_it_is_not_there(tmp_path):
    done = run(tmp_path, "-c", "from headgate.cli import main; main(['plugins', '--json'])")
    assert "trailer" not in done.stdout


def test_it_judges(site):
    done = run(site, "-c", USE)
    assert json.loads(done.stdout) == {"verdicts": [True, False], "is_condition": True}, done.stderr


def test_what_the_configuration_denies_is_not_even_imported(site, tmp_path):
    (tmp_path / "config.yaml").write_text("plugins: {deny: [headgate-trailer]}\n")
    program = (
        "import sys\nfrom headgate.cli import main\n"
        "try:\n    main(['plugins', '--json', '--config', sys.argv[1]])\n"
        "except SystemExit:\n    pass\nassert 'headgate_trailer' not in sys.modules"
    )
    done = run(site, "-c", program, tmp_path / "config.yaml")
    assert done.returncode == 0, done.stderr
    (report,) = [one for one in json.loads(done.stdout) if one["name"] == "trailer"]
    assert report["status"] == "denied"


def test_its_own_tests_pass(site):
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", EXAMPLE, EXAMPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_strangers_provider_keeps_the_contract_with_a_folder_of_deliveries():
    """Copied out: it needs nothing of this checkout but the installed package."""
    done = run(PROVIDER, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", PROVIDER, PROVIDER)
    assert done.returncode == 0, done.stdout + done.stderr
    contract = [name for name in dir(ProviderContract) if name.startswith("test_")]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) >= len(contract) - 1  # its proof is a header, so none of it stands in the body


@pytest.mark.parametrize("spoilt", ["from_fork.json", "created.json", "unknown.json", "another.headers.json"])
def test_the_control_a_strangers_provider_without_one_of_them_does_not(tmp_path, spoilt):
    copy = tmp_path / "provider"
    shutil.copytree(PROVIDER, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for path in (copy / "deliveries").glob(f"{spoilt.removesuffix('.json')}.*"):
        path.unlink()
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", copy, copy)
    assert "1 failed" in done.stdout
