"""Jobs are found by repository, in time that does not grow with their number."""

from __future__ import annotations

import sys

from headgate.api import Problem
from headgate.routing.index import why_absent


def names(found):
    return [one.job.name for one in found]


def test_a_job_is_found_under_its_repositorys_identity(snapshot_of, job):
    snapshot = snapshot_of(job("b", "Acme/Web"), job("a", "acme/web"), job("other", "acme/api"))
    assert names(snapshot.of_repository("acme", "acme/web")) == ["a", "b"]
    assert names(snapshot.of_repository("acme", "acme/none")) == []
    assert names(snapshot.of_repository("elsewhere", "acme/web")) == []


def test_a_pattern_is_found_for_every_repository_it_matches(snapshot_of, job):
    snapshot = snapshot_of(job("all", "acme/*"), job("web", "acme/web"), job("big", "Acme/B*"))
    assert names(snapshot.of_repository("acme", "acme/web")) == ["web", "all"]
    assert names(snapshot.of_repository("acme", "acme/big", "Acme/Big")) == ["all", "big"]
    assert names(snapshot.of_repository("acme", "acme/deep/er")) == []
    assert snapshot.repositories() == (("acme", "acme/web"),)


def test_the_version_changes_with_the_jobs_and_only_then(snapshot_of, job):
    assert snapshot_of(job("a"), job("b")).version == snapshot_of(job("b"), job("a")).version
    assert snapshot_of(job("a")).version != snapshot_of(job("a"), job("b")).version


def test_finding_takes_the_same_steps_for_ten_jobs_and_for_ten_thousand(snapshot_of, job):
    def steps(count):
        snapshot = snapshot_of(*(job(f"j{number}", f"acme/r{number}") for number in range(count)))
        counted = 0

        def count_line(*_):
            nonlocal counted
            counted += 1
            return count_line

        sys.settrace(count_line)
        try:
            snapshot.of_repository("acme", "acme/r5")
        finally:
            sys.settrace(None)
        return counted

    assert steps(10) == steps(10_000)


def test_an_absent_job_is_explained_by_what_is_wrong_with_it_and_nothing_else():
    wrong = [
        Problem(file="j.yaml", line=3, column=1, path=path, message=path) for path in ("jobs.web.run", "jobs.web2")
    ]
    assert why_absent("web", wrong) == "the job web is not in force: j.yaml:3:1: jobs.web.run: jobs.web.run"
    assert "j.yaml:3:1" in why_absent("web2", wrong)
    assert why_absent("we", wrong) == "there is no job we; `headgate jobs` lists them"
