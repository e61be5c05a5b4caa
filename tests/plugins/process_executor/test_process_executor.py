"""The process executor on a bench that runs real processes, and its place among the plugins."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.metadata import entry_points

import jsonschema
import pytest

import headgate_plugins.process_executor as plugin
from headgate import api
from headgate.api.testing import ExecutorContract

BUILD = api.Build(
    id="b_1", job="web", number=1, state=api.State.RUNNING, outcome=None, reason="", trigger="push", connection="acme",
    repository=api.Repository(host="h", path="p"), ref=None, sha=None, before=None, change=None, definition="d",
    parameters={}, priority=50, event_id="e_1", decision_id="x_1", delivery_id=None, queued_at=datetime.now(UTC),
)  # fmt: skip


class TestContract(ExecutorContract):
    """What every executor keeps."""

    (kind,) = plugin.headgate_executors()


class Host:
    name = "process"

    def now(self):
        return datetime.now(UTC)


class PlainBench:
    """Runs processes plainly: enough to see what the executor asks for."""

    def __init__(self):
        self.said, self.reports, self.asked, self.output = [], [], [], {}

    def say(self, text):
        self.said.append(text)

    async def report(self, steps):
        self.reports.append([(step.name, step.status) for step in steps])

    async def run(self, argv, *, step, environment, directory, isolation, readable=()):
        self.asked.append((tuple(argv), isolation, tuple(readable)))
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            cwd=directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        self.output[step] = output.decode()
        return api.Exit(code=process.returncode, isolation="none")


async def run(tmp_path, *steps, config=None, environment=None):
    bench = PlainBench()
    work = api.Work(
        build=BUILD,
        steps=steps,
        environment={"PATH": "/usr/bin:/bin", **(environment or {})},
        workspace=tmp_path,
        deadline=60,
    )
    async with plugin.open_executor(config or {}, Host()) as executor:
        assert isinstance(executor, api.Executor)
        return await executor.run(work, bench), bench


def step(name, script, *, always=False):
    return api.Step(name=name, run=script, always=always)


async def test_steps_run_in_order_and_say_so(tmp_path):
    result, bench = await run(tmp_path, step("a", "echo 1 > f"), step("b", "cat f"))
    assert (result.outcome, result.reason, result.isolation) == ("succeeded", "all 2 steps succeeded", "none")
    assert bench.output == {"a": "", "b": "1\n"}
    assert bench.said == ["step 1/2: a", "step 2/2: b"]
    assert bench.reports == [[("a", "succeeded")]], "the last step is told with the result"


async def test_a_failure_stops_all_but_always(tmp_path):
    result, bench = await run(
        tmp_path, step("a", "exit 4"), step("b", "echo no"), step("c", "exit 5", always=True), step("d", "echo no")
    )
    assert (result.outcome, result.reason) == ("failed", "step “a” failed with exit code 4")
    assert [(one.name, one.status, one.exit_code) for one in result.steps] == [
        ("a", "failed", 4),
        ("b", "skipped", None),
        ("c", "failed", 5),
        ("d", "skipped", None),
    ]
    assert "step “c” failed with exit code 5" in bench.said


async def test_an_always_step_that_fails_makes_the_build_fail(tmp_path):
    result, _ = await run(tmp_path, step("a", "true"), step("b", "false", always=True))
    assert (result.outcome, result.reason) == ("failed", "step “b” failed with exit code 1")


@pytest.mark.parametrize("script", ["false; true", 'echo "$UNSET_VARIABLE"; true', "false | true"])
async def test_the_default_shell_is_strict(tmp_path, script):
    assert (await run(tmp_path, step("a", script)))[0].outcome == "failed"
    loose = await run(tmp_path, step("a", script), config={"shell": ["/bin/bash"]})
    assert loose[0].outcome == "succeeded", "the negative control: another shell lets it pass"


async def test_values_reach_the_script_as_environment_only(tmp_path):
    _, bench = await run(tmp_path, step("a", 'echo "$EVIL"'), environment={"EVIL": "$(touch pwned); `touch pwned`"})
    assert bench.output["a"] == "$(touch pwned); `touch pwned`\n"
    assert not (tmp_path / "pwned").exists()
    assert "touch" not in " ".join(bench.asked[0][0])


async def test_settings_reach_the_bench(tmp_path):
    config = {"isolation": "required", "readable": [str(tmp_path)], "shell": ["/bin/sh", "-e"]}
    _, bench = await run(tmp_path, step("a", "true"), config=config)
    assert bench.asked == [(("/bin/sh", "-e", "-c", "true"), "required", (tmp_path,))]


def test_where_there_is_no_bash_it_is_sh(monkeypatch, tmp_path):
    assert plugin.default_shell() == plugin.BASH
    monkeypatch.setattr(plugin, "BASH", (str(tmp_path / "none"), "-eu"))
    assert plugin.default_shell() == plugin.SH


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "failed with exit code 1"),
        (137, "failed with exit code 137 (SIGKILL)"),
        (-9, "was ended by SIGKILL"),
        (-50, "was ended by signal 50"),
        (255, "failed with exit code 255"),
    ],
)
def test_how_it_ended_in_words(code, text):
    assert plugin.ended(code) == text


@pytest.mark.parametrize("config", [{}, {"isolation": "none"}, {"shell": ["sh"], "readable": ["/x"]}])
def test_the_schema_takes_what_is_right(config):
    jsonschema.validate(config, dict(plugin.SCHEMA))


@pytest.mark.parametrize("config", [{"isolation": "maybe"}, {"shell": "sh"}, {"shell": []}, {"more": 1}])
def test_the_schema_refuses_what_is_wrong(config):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, dict(plugin.SCHEMA))


def test_it_is_registered_like_a_strangers_plugin():
    (found,) = [point for point in entry_points(group=api.ENTRY_POINT_GROUP) if point.name == "process_executor"]
    module = found.load()
    (kind,) = module.headgate_executors()
    assert (module.HEADGATE_API, kind.name) == (api.HEADGATE_API, "process")
