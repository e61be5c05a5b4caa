"""How long 10,000 jobs over 200 files and 2,000 repositories take to load, and what memory they keep.

python benchmarks/load_jobs.py [--jobs 10000] [--files 200]
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from headgate.config.host import load_settings
from headgate.config.jobs import load_jobs
from headgate.config.yaml import read_yaml
from headgate.plugins import load_plugins
from results import Beside, Figure, program

REPOSITORIES = 2_000

CONFIG = """
connections:
  git: {provider: git, base_url: "https://git.example.org"}
credential_stores:
  env: {}
"""

JOB = """
  job-{number:05}:
    description: Unit tests number {number}
    source:
      connection: git
      repository: team-{team}/app-{repository}
      checkout: {{depth: 50, clean: true, submodules: false}}
    triggers:
      push: {{branches: [main, "release/**"], paths: [src/**], ignore_paths: ["docs/**"]}}
      change_request: {{targets: [main], actions: [opened, updated, reopened], drafts: false}}
      poll: {{every: 5m}}
    conditions:
      - message: {{not_matching: "\\\\[skip ci\\\\]"}}
      - author: {{not: [renovate-bot]}}
    parameters:
      TARGET: {{type: choice, choices: [staging, production], default: staging}}
    queue: {{priority: 50, max_running: 2}}
    run:
      timeout: 30m
      credentials: {{DEPLOY_KEY: secret://env/DEPLOY_KEY}}
      environment: {{VERSION: 1.10}}
      steps:
        - name: unit tests
          run: make test
        - name: clean up
          run: make clean
          always: true
    notify:
      - commit_status: {{}}
"""


def measure(jobs: int = 10_000, files: int = 200) -> list[Figure]:
    """Seconds of processor time, and what is kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG)
        (folder / "jobs.d").mkdir()
        for file in range(files):
            text = "".join(
                JOB.format(number=number, team=number % 50, repository=number % REPOSITORIES)
                for number in range(file, jobs, files)
            )
            (folder / "jobs.d" / f"{file:04}.yaml").write_text(f"jobs:{text}")
        kinds = load_plugins().kinds
        settings = load_settings(folder / "config.yaml", kinds)

        paths = sorted((folder / "jobs.d").iterdir())
        start = time.process_time()
        for path in paths:
            read_yaml(path.read_text(), file=path.name)
        yaml = time.process_time() - start

        start = time.process_time()
        loaded = load_jobs(settings.jobs, kinds, settings)
        seconds = time.process_time() - start
        for problem in loaded.problems[:3]:
            print(problem)

        del loaded
        gc.collect()
        tracemalloc.start()
        loaded = load_jobs(settings.jobs, kinds, settings)  # noqa: F841 - it must be there while memory is looked at
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    beside = (Beside(name="reading the YAML alone", value=yaml),)
    return [
        Figure(name=f"{jobs:,} jobs loaded", value=seconds, unit="s", better="lower", beside=beside),
        Figure(name="memory kept by a job", value=kept / jobs, unit="bytes", better="lower"),
        Figure(name="memory at most while loading", value=peak / 1e6, unit="MB", better="lower"),
    ]


if __name__ == "__main__":
    sys.exit(program(measure))
