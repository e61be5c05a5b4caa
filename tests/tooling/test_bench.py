"""`make bench`'s regression guard and documents, with made-up figures: what moved is said, what stayed is not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

PLACE = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmarks, which are programs and no package."""
    monkeypatch.syspath_prepend(PLACE)
    names = ("results", "guard", "report", "machine", "run")
    modules = {name: importlib.import_module(name) for name in names}
    yield type("Bench", (), modules)
    for name in names:
        sys.modules.pop(name, None)


def table(bench, ours, limit=100.0, *, better="higher", name="builds"):
    beside = () if limit is None else (bench.results.Beside(name="bare", value=limit, target=0.5),)
    return {"builds": [bench.results.Figure(name=name, value=ours, unit="/s", better=better, beside=beside)]}


def test_an_equal_ratio_says_nothing_also_when_the_machine_was_half_as_fast(bench):
    assert bench.guard.compare(table(bench, 80.0), table(bench, 80.0)) == []
    assert bench.guard.compare(table(bench, 80.0), table(bench, 40.0, 50.0)) == []


def test_a_ratio_that_got_worse_is_reported_although_the_value_grew(bench):
    (moved,) = bench.guard.compare(table(bench, 80.0), table(bench, 90.0, 200.0))
    assert moved.worse
    assert str(moved) == "builds: builds beside bare: 0.80× → 0.45× (-44%)"


def test_for_what_should_be_small_more_is_worse(bench):
    before, slower, faster = (table(bench, ours, better="lower") for ours in (10.0, 20.0, 5.0))
    assert [moved.worse for moved in bench.guard.compare(before, slower)] == [True]
    assert [moved.worse for moved in bench.guard.compare(before, faster)] == [False]


def test_within_the_tolerance_nothing_moved(bench):
    assert bench.guard.compare(table(bench, 100.0), table(bench, 81.0)) == []
    assert len(bench.guard.compare(table(bench, 100.0), table(bench, 79.0))) == 1


def test_a_figure_that_is_gone_is_a_loss_and_a_program_that_was_not_run_is_none(bench):
    (moved,) = bench.guard.compare(table(bench, 80.0), table(bench, 80.0, name="another"))
    assert moved.worse
    assert "not measured now" in str(moved)
    assert bench.guard.compare(table(bench, 80.0), {"peers": []}) == []


def test_the_command_fails_on_a_worsened_ratio_only_when_asked_and_passes_an_equal_one(bench, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(bench.run, "known", lambda: ["builds"])

    def bench_finds(ours, *arguments):
        monkeypatch.setattr(bench.run, "run", lambda name: table(bench, ours)[name])
        monkeypatch.setattr(sys, "argv", ["run.py", "--into", str(tmp_path), *arguments])
        return bench.run.main()

    assert bench_finds(80.0) == 0
    assert bench_finds(80.0, "--compare") == 0
    assert bench_finds(40.0, "--compare") == 1
    assert "80.0" in (tmp_path / "README.md").read_text()  # comparing writes nothing
    assert bench_finds(40.0) == 0
    assert "**missed**" in (tmp_path / "README.md").read_text()


def test_plots_do_not_change_when_the_figures_do_not(bench, tmp_path):
    pytest.importorskip("matplotlib")
    found = bench.guard.Table(date="2026-01-01", machine={}, versions={}, programs=table(bench, 80.0))
    for folder in ("one", "two"):
        bench.report.write(found, tmp_path / folder)
    for name in ("builds.svg", "README.md", "results.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_was_not_measured_is_a_dash_and_a_word_never_a_number(bench):
    beside = bench.results.Beside(name="Buildbot", value=None, kind="peer", note="not installed")
    figure = bench.results.Figure(name="webhooks", value=5.0, unit="/s", better="higher", beside=(beside,))
    found = bench.guard.Table(date="2026-01-01", machine={}, versions={}, programs={"peers": [figure]})
    assert "| webhooks | 5.00 /s | Buildbot | – |  |  | not installed |" in bench.report.markdown(found, {})


def test_every_program_here_speaks_the_common_form_or_is_part_of_the_machinery(bench):
    assert {"builds", "peers"} <= set(bench.run.known())
