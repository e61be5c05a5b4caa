"""Job files as frozen jobs; not when they are read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.api import Job, Problem
from headgate.config.kinds import KnownKinds
from headgate.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedJobs:
    """What the files say: the good jobs, every problem of the others, and the files that were read, sorted."""

    jobs: tuple[Job, ...] = ()
    problems: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = ()


def load_jobs(paths: Sequence[Path], kinds: KnownKinds, settings: Settings) -> LoadedJobs:
    """Every job of the files and folders in `paths`; never raises for what stands in a file."""
    raise NotImplementedError
