from __future__ import annotations

import dataclasses

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.api import (
    EMPTY_SCHEMA,
    Block,
    Checkout,
    Job,
    ParameterDefinition,
    PollPlan,
    QueueRules,
    ReportsStatus,
    Step,
    TriggerKind,
)
from headgate.config.jobs import load_jobs
from headgate.config.reserved import OURS

FULL = """
jobs:
  web:
    description: All there is
    source:
      connection: acme
      repository: acme/web
      checkout: {depth: 5, clean: false, submodules: true, lfs: true, sparse: [docs]}
    triggers:
      push: {branches: [main, 1.10]}
      poll: {every: 5m}
    conditions:
      - branch: {branches: ["*", "!x"]}
      - tree: {all: [{wait: 2s}]}
    parameters:
      VERSION: {default: 1.10, description: Which}
      STAGE: {type: choice, choices: [1, two, true], default: 1}
      DRY: {type: boolean, default: True}
      COUNT: {type: number, default: 007, minimum: 1, maximum: 9}
    queue: {priority: 7, max_running: 2}
    run:
      executor: process
      timeout: 1h
      retries: 2
      credentials: {DEPLOY: secret://env/DEPLOY}
      environment: {VERSION_2: 2.10, ON: on, YES: true}
      steps:
        - run: |

            make all
            make more
        - run: make all
        - {name: last, run: "echo ${HOME}", always: true}
    notify:
      - status: {}
      - chat: {room: 5}
"""
CONFIG = """
connections: {acme: {provider: forge, root: x}}
credential_stores: {env: {}}
notifiers: {chat: {room: x}}
"""


def test_a_job_arrives_whole_in_its_units(folder):
    loaded = folder.jobs(FULL, config=CONFIG)
    assert loaded.problems == ()
    (job,) = loaded.jobs
    assert job.source.checkout == Checkout(depth=5, clean=False, submodules=True, lfs=True, sparse=("docs",))
    assert job.triggers == (
        Block(kind="push", options={"branches": ["main", "1.10"]}),
        Block(kind="poll", options={"every": 300.0}),
    )
    assert job.conditions == (
        Block(kind="branch", options={"branches": ["*", "!x"]}),
        Block(kind="tree", options={"all": [{"wait": 2.0}]}),
    )
    assert job.parameters == (
        ParameterDefinition(name="VERSION", default="1.10", description="Which"),
        ParameterDefinition(name="STAGE", type="choice", default="1", choices=("1", "two", "true")),
        ParameterDefinition(name="DRY", type="boolean", default="True"),
        ParameterDefinition(name="COUNT", type="number", default="007", minimum=1, maximum=9),
    )
    assert job.queue == QueueRules(priority=7, max_running=2)
    assert (job.run.timeout, job.run.retries) == (3600.0, 2)
    assert job.run.environment == {"VERSION_2": "2.10", "ON": "on", "YES": "true"}
    assert job.run.credentials == {"DEPLOY": "secret://env/DEPLOY"}
    assert job.run.steps == (
        Step(name="make all", run="\nmake all\nmake more\n"),
        Step(name="make all (2)", run="make all"),
        Step(name="last", run="echo ${HOME}", always=True),
    )
    assert job.notify == (Block(kind="status"), Block(kind="chat", options={"room": "5"}))
    assert (job.file, job.line) == (str(folder.path / "jobs.d/0.yaml"), 3)
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


MINIMAL = """
jobs:
  web:
    source: {connection: acme, repository: acme/web}
    run: {steps: [{run: make}]}
"""


def test_defaults_are_those_of_the_api(job):
    assert job(MINIMAL) == Job(
        name="web",
        source=job(MINIMAL).source,
        run=job(MINIMAL).run,
        file=job(MINIMAL).file,
        line=3,
        definition=job(MINIMAL).definition,
    )
    assert job(MINIMAL).source.checkout == Checkout()


def test_checkout_none_asks_for_an_empty_workspace(job):
    assert job(MINIMAL.replace("acme/web}", "acme/web, checkout: none}")).source.checkout == Checkout(enabled=False)


def test_the_definition_depends_on_what_is_said_and_not_on_how_or_where(job):
    first = job(MINIMAL)
    moved = job(
        "# a comment\n\n"
        + MINIMAL.replace("{connection: acme, repository: acme/web}", "{repository: 'acme/web', connection: acme}")
    )
    assert first.definition == moved.definition
    assert first.line != moved.line
    assert len(first.definition) == 64
    assert job(MINIMAL.replace("run: make", "run: make all")).definition != first.definition
    assert job(MINIMAL.replace("web:", "wob:")).definition != first.definition


def test_bad_jobs_and_files_hide_no_good_ones(folder):
    loaded = folder.jobs(
        MINIMAL.replace("web:", "one:"),
        "jobs: {bad: 1, two: {source: {connection: acme, repository: a}, run: {steps: [{run: make}]}}}\nfoo: 1",
        "jobs: [",
        "",
        MINIMAL.replace("web:", "three:"),
    )
    assert [job.name for job in loaded.jobs] == ["one", "two", "three"]
    assert [problem.file[-6:] for problem in loaded.problems] == ["1.yaml", "1.yaml", "2.yaml", "3.yaml"]
    assert len(loaded.files) == 5


def test_names_are_unique_across_files(folder):
    loaded = folder.jobs(MINIMAL, MINIMAL)
    assert len(loaded.jobs) == 1
    (problem,) = loaded.problems
    assert "there is another job `web`" in str(problem)
    assert problem.hint == f"{folder.path}/jobs.d/0.yaml:3"


def test_only_yaml_files_that_are_not_hidden_are_read(folder):
    for name in [
        "jobs.d/a.yml",
        "jobs.d/sub/b.yaml",
        "jobs.d/.c.yaml",
        "jobs.d/.git/d.yaml",
        "jobs.d/e.yaml~",
        "jobs.d/f.txt",
    ]:
        folder.write(name, MINIMAL.replace("web:", f"{name[-6]}:"))
    loaded = folder.jobs()
    assert [file.name for file in loaded.files] == ["a.yml", "b.yaml"]


def test_a_path_that_is_not_there_is_a_problem(folder):
    (problem,) = folder.jobs(config="data: x\njobs: [config.yaml, none.d]\n").problems[:1]
    at = f"{folder.path}/config.yaml:2:21: jobs[1]"
    assert str(problem) == f"{at}: there is no such file or folder: {folder.path}/none.d"


def test_a_path_that_the_configuration_does_not_name_is_told_as_it_is(folder, kinds):
    settings = folder.settings("")
    for path in (*settings.jobs, folder.path / "other.d"):
        (problem,) = load_jobs([path], kinds, settings).problems
        assert str(problem) == f"{path}: there is no such file or folder"
    named = folder.settings("jobs: [none.d]")
    folder.write("config.yaml", "jobs: [")
    (problem,) = load_jobs(named.jobs, kinds, named).problems
    assert str(problem) == f"{folder.path}/none.d: there is no such file or folder"


def with_run(text: str) -> str:
    return MINIMAL.replace("steps: [{run: make}]", text)


def with_job(text: str) -> str:
    return MINIMAL + f"    {text}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL.replace("connection: acme", "connection: acne"), "4:26: jobs.web.source.connection: there is no connection `acne` (did you mean `acme`?)"),
        (MINIMAL.replace("acme/web", "acme web"), "4:44: jobs.web.source.repository: a repository's path has no spaces: 'acme web'"),
        (MINIMAL.replace("acme/web", "'acme/[x'"), "4:44: jobs.web.source.repository: the pattern 'acme/[x' opens a set with [ and does not close it"),
        (MINIMAL.replace("acme/web", "acme/web, checkout: {sparse: [../x]}"), "4:74: jobs.web.source.checkout.sparse[0]: expected a folder within the repository, found `../x`"),
        (MINIMAL.replace("acme/web", "acme/web, checkout: {merge_target: true}"), "4:65: jobs.web.source.checkout.merge_target: `merge_target` is not supported by this version of Headgate (remove it)"),
        (with_job("triggers: {pushh: {}}"), "6:16: jobs.web.triggers.pushh: there is no trigger `pushh` (did you mean `push`?)"),
        (with_job("triggers: {push: {branches: ['a[']}}"), "6:22: jobs.web.triggers.push: the pattern 'a[' opens a set with [ and does not close it"),
        (with_job("triggers: {push: {branches: ['!wip']}}"), '6:22: jobs.web.triggers.push: patterns with ! alone match nothing, as they only take back what others let in; write ["**", "!wip"]'),
        (with_job("triggers: {push: {explode: true}}"), "6:22: jobs.web.triggers.push: the plugin of `push` failed on this: RuntimeError: a plugin's bug"),
        (with_job("triggers: {poll: {every: 5 min}}"), "6:30: jobs.web.triggers.poll.every: expected a duration such as 30s, 5m, 2h or 1d, found `5 min`"),
        (with_job("triggers: {poll: {every: 5m, cron: '* * * * *'}}"), "6:22: jobs.web.triggers.poll: `every` and `cron` exclude each other"),
        (with_job("triggers: {push: }"), "6:22: jobs.web.triggers.push: expected a mapping, found nothing (write `{}` for a block without options)"),
        (with_job("conditions: [{branch: {branches: ['{']}}]"), "6:27: jobs.web.conditions[0].branch: the pattern '{' opens a brace and does not close it"),
        (with_job("conditions: {branch: {}}"), "6:17: jobs.web.conditions: expected a list, found a mapping (What must also be true, after a trigger asked: one `- name: {…}` each, all must pass)"),
        (with_job("conditions: [{branch: {}, tree: {}}]"), "6:18: jobs.web.conditions[0]: expected one key, found `branch`, `tree`; start each with a `- ` of its own"),
        (with_job("notify: [{stat: {}}]"), "6:15: jobs.web.notify[0].stat: there is no notifier `stat` (did you mean `status`?)"),
        (with_job("notify: [{chat: {room: a}}]"), "6:15: jobs.web.notify[0].chat: `chat` is installed and not set up (set it up under `notifiers:` in config.yaml)"),
        (with_job("queue: {priority: 101}"), "6:23: jobs.web.queue.priority: expected at most 100, found 101 (Which builds go first: those with the higher number)"),
        (with_job("queue: {lock: x}"), "6:13: jobs.web.queue.lock: `lock` is not supported by this version of Headgate (remove it)"),
        (with_job("matrix: {}"), "6:5: jobs.web.matrix: `matrix` is not supported by this version of Headgate (remove it)"),
        (with_job("steps: []"), "6:5: jobs.web.steps: unknown key `steps` (it belongs to `jobs.web.run`)"),
        (with_run("executor: klusters, steps: [{run: x}]"), "5:21: jobs.web.run.executor: there is no executor `klusters` (did you mean `cluster`?)"),
        (with_run("executor: cluster, steps: [{run: x}]"), "5:21: jobs.web.run.executor: `cluster` is installed and not set up (set it up under `executors:` in config.yaml)"),
        (with_run("timeout: 0s, steps: [{run: x}]"), "5:20: jobs.web.run.timeout: expected more than no time at all"),
        (with_run("artifacts: [], steps: [{run: x}]"), "5:11: jobs.web.run.artifacts: `artifacts` is not supported by this version of Headgate (remove it)"),
        (with_run("steps: []"), "5:18: jobs.web.run.steps: must not be empty (The steps, in order)"),
        (with_run("steps: [{name: a, run: x}, {name: b, run: x}, {name: a, run: x}]"), "5:64: jobs.web.run.steps[2].name: another step is called `a`"),
        (with_run("credentials: {A: hunter2}, steps: [{run: x}]"), "5:28: jobs.web.run.credentials.A: expected a secret by reference: secret://store/name (a secret itself must not stand here; store it with `headgate credentials set`)"),
        (with_run("credentials: {A: secret://evn/x}, steps: [{run: x}]"), "5:28: jobs.web.run.credentials.A: there is no credential store `evn` (did you mean `env`?)"),
        (with_run("credentials: {LD_PRELOAD: secret://env/x}, steps: [{run: x}]"), "5:25: jobs.web.run.credentials.LD_PRELOAD: `LD_PRELOAD` cannot be set: programs, or Headgate itself, obey it"),
        (with_run("environment: {HEADGATE_X: y}, steps: [{run: x}]"), "5:25: jobs.web.run.environment.HEADGATE_X: `HEADGATE_X` cannot be set here: Headgate sets it itself, and its value would win (choose another name, or set it within a step: export HEADGATE_X=…)"),
        (with_run("environment: {GIT_COMMIT: y}, steps: [{run: x}]"), "5:25: jobs.web.run.environment.GIT_COMMIT: `GIT_COMMIT` cannot be set here: Headgate sets it itself, and its value would win (choose another name, or set it within a step: export GIT_COMMIT=…)"),
        (with_run("environment: {A: '${B}'}, steps: [{run: x}]"), "5:28: jobs.web.run.environment.A: nothing is filled in here, so `${…}` would stay as it is (name a secret as secret://store/name; in a step's `run` the shell fills in variables)"),
        (with_run("environment: {a-b: y}, steps: [{run: x}]"), "5:25: jobs.web.run.environment.a-b: expected a variable's name of letters, digits and `_`, found `a-b`"),
        (with_job("parameters: {PATH: {default: x}}"), "6:18: jobs.web.parameters.PATH: `PATH` cannot be a parameter: programs, or Headgate itself, obey it"),
        (with_job("parameters: {lower: {default: x}}"), "6:18: jobs.web.parameters.lower: expected a name of capitals, digits and `_`, found `lower`"),
        (with_job("parameters: {A: {type: choice}}"), "6:18: jobs.web.parameters.A: a parameter of type choice needs `choices`"),
        (with_job("parameters: {A: {type: choice, choices: [a], default: b}}"), "6:59: jobs.web.parameters.A.default: expected one of a, found `b`"),
        (with_job("parameters: {A: {pattern: '('}}"), "6:31: jobs.web.parameters.A.pattern: the expression '(' is not RE2: missing ): ("),
        (with_job("parameters: {A: {choices: [a]}}"), "6:31: jobs.web.parameters.A.choices: `choices` is for type choice, and this is of type string"),
        (with_job("parameters: {A: {type: number, minimum: 3, maximum: 2}}"), "6:57: jobs.web.parameters.A.maximum: `maximum` is less than `minimum`"),
        (with_job("parameters: {A: {type: password, default: x}}"), "6:47: jobs.web.parameters.A.default: a password has no default: it would stand in the file for all to read"),
        ("templates: {}\n" + MINIMAL, "1:1: templates: `templates` is not supported by this version of Headgate (remove it)"),
        ("job: {}", "1:1: job: unknown key `job` (did you mean `jobs`?)"),
        ("", " expected a mapping, found nothing (it needs `jobs`)"),
        (with_run("steps: make test"), "5:18: jobs.web.run.steps: expected a list, found `make test` (write [{run: make test}])"),
        (with_run("steps: [make test]"), "5:19: jobs.web.run.steps[0]: expected a mapping, found `make test` (write {run: make test})"),
        (with_run("steps: {run: make}"), "5:18: jobs.web.run.steps: expected a list, found a mapping (start each of its items with `- `)"),
        (MINIMAL.replace("{steps: [{run: make}]}", "make test"), "5:10: jobs.web.run: expected a mapping, found `make test` (write {steps: [{run: make test}]})"),
        (with_job("triggers: push"), "6:15: jobs.web.triggers: expected a mapping, found `push` (write {push: {}})"),
        (with_job("triggers: [push, pol]"), "6:15: jobs.web.triggers: expected a mapping, found a list (write {push: {}, poll: {…}})"),
        (with_job("triggers: [push: {branches: [a]}]"), "6:15: jobs.web.triggers: expected a mapping, found a list (write {push: {…}})"),
        (with_job("triggers: {poll: }"), "6:22: jobs.web.triggers.poll: expected a mapping, found nothing (it needs `every` or `cron`)"),
        (with_job("triggers: {poll: 5m}"), "6:22: jobs.web.triggers.poll: expected a mapping, found `5m` (it needs `every` or `cron`)"),
        (with_job("notify: status"), "6:13: jobs.web.notify: expected a list, found `status` (write [{status: {}}])"),
        (with_job("notify: [chat]"), "6:14: jobs.web.notify[0]: expected a mapping, found `chat` (write {chat: {…}})"),
        (with_job("queue: {priority: '7'}"), "6:23: jobs.web.queue.priority: expected a whole number, found the text `7` (write it without quotes)"),
    ],
)  # fmt: skip
def test_problems_are_placed_and_worded(said, text, expected):
    assert said(text) == [expected]


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_variable_of_ours_is_refused_at_its_key(said, name):
    """The server's value would win, and nobody would hear of it."""
    (problem,) = said(with_run(f"environment: {{A: x, {name}: y}}, steps: [{{run: x}}]"))
    assert problem.startswith(f"5:31: jobs.web.run.environment.{name}: `{name}` cannot be set here")


def test_variables_that_take_effect_may_be_set(said):
    assert (
        said(with_run("environment: {PATH: /opt, HOME: /h, LANG: C, GIT_COMMITTER_NAME: ci}, steps: [{run: x}]")) == []
    )


def test_names_are_used_once_among_parameters_credentials_and_variables(said):
    text = with_run("credentials: {A: secret://env/x, B: secret://env/x}, environment: {A: x, C: x}, steps: [{run: x}]")
    found = said(text + "    parameters: {B: {default: x}, C: {default: x}}\n")
    assert [line.split(": ", 1)[1] for line in found] == [
        "jobs.web.run.credentials.B: `B` is also a parameter",
        "jobs.web.run.environment.A: `A` is also one of `credentials`",
        "jobs.web.run.environment.C: `C` is also a parameter",
    ]


def test_a_parameter_nobody_can_give_needs_a_default(said):
    text = with_job("parameters: {A: {}}")
    assert said(text + "    triggers: {manual: {}}\n") == []
    assert said(text + "    triggers: {push: {}}\n") == [
        (
            "6:18: jobs.web.parameters.A: needs a `default`: the trigger `push` can give no value "
            "(or move the job's manual builds into a job of their own)"
        )
    ]


def test_errors_behind_errors_are_told_too(said):
    """A job that does not fit its schema is still checked for names and rules."""
    text = """
    jobs:
      web:
        source: {connection: acne, repository: acme/web, checkoot: none}
        triggers: {push: {branches: ["a["]}, pushh: {}}
        conditions: [{branch: {branchez: []}}, {branch: {branches: ["a["]}}]
        parameters: {PATH: {default: x}, lower: {}}
        run: {timeout: 5, credentials: {IFS: secret://env/x}, steps: [{run: x}]}
        notify: [{chat: {room: x}}, {chat: 5}]
    """
    assert [line.split(": ")[1] for line in said(text)] == [
        "jobs.web.source.connection",
        "jobs.web.source.checkoot",
        "jobs.web.triggers.push",
        "jobs.web.triggers.pushh",
        "jobs.web.conditions[0].branch.branchez",
        "jobs.web.conditions[1].branch",
        "jobs.web.parameters.PATH",
        "jobs.web.parameters.lower",
        "jobs.web.run.timeout",
        "jobs.web.run.credentials.IFS",
        "jobs.web.notify[0].chat",
        "jobs.web.notify[1].chat",
    ]


def test_what_a_broken_plugin_would_have_given_names_it_and_why(said, kinds):
    broken = dataclasses.replace(
        kinds,
        executors={},
        broken={
            "process_executor": "headgate 1 is broken: SyntaxError",
            "moon": "headgate-moon 3 is denied: denied by plugins.deny",
        },
    )
    text = MINIMAL + "    triggers: {eclipse: {}, moon: {}}\n"
    assert said(text, kinds=broken) == [
        (
            "5:10: jobs.web.run.executor: there is no executor `process`: it comes with the plugin process_executor: "
            "headgate 1 is broken: SyntaxError"
        ),
        (
            "6:16: jobs.web.triggers.eclipse: there is no trigger `eclipse`: it may come with the plugin "
            "process_executor: headgate 1 is broken: SyntaxError; it may come with the plugin moon: "
            "headgate-moon 3 is denied: denied by plugins.deny"
        ),
        (
            "6:29: jobs.web.triggers.moon: there is no trigger `moon`: it comes with the plugin moon: "
            "headgate-moon 3 is denied: denied by plugins.deny"
        ),
    ]


def test_a_connection_of_a_broken_plugin_names_it_and_why(said, kinds):
    broken = dataclasses.replace(kinds, broken={"gitlab": "headgate 1 is broken: SyntaxError"})
    (problem,) = said(MINIMAL, config="connections: {acme: {provider: gitlab}}", kinds=broken)
    assert problem == (
        "4:26: jobs.web.source.connection: the connection `acme` cannot be used: there is no provider `gitlab`: "
        "it comes with the plugin gitlab: headgate 1 is broken: SyntaxError"
    )


def test_a_notifier_that_needs_what_the_provider_cannot_do_is_refused_at_its_place(said, folder, kinds):
    """Every build would leave news that nobody can be told."""

    class Hub(ReportsStatus): ...

    hub = dataclasses.replace(kinds.providers["forge"], name="hub", provides=Hub)
    status = dataclasses.replace(kinds.notifiers["status"], needs=("status",))
    alone = dataclasses.replace(kinds, notifiers={**kinds.notifiers, "status": status})
    both = dataclasses.replace(alone, providers={**kinds.providers, "hub": hub})
    text = with_job("notify: [{status: {}}]")
    at = "6:15: jobs.web.notify[0].status: the provider `forge` cannot do this"
    assert said(text, kinds=both) == [f"{at} (these can: hub)"]
    assert said(text, kinds=alone) == [f"{at} (none that is installed can)"]
    assert said(text, kinds=both, config="connections: {acme: {provider: hub, root: x}}") == []
    (unknown,) = said(text.replace("connection: acme", "connection: none"), kinds=both)
    assert "there is no connection `none`" in unknown


def test_a_pattern_of_repositories_is_kept_as_it_was_written(job):
    assert job(MINIMAL.replace("acme/web", "'acme/*'")).source.repository == "acme/*"


def test_ten_thousand_texts_in_one_file_are_taken_as_written_in_linear_time(folder):
    """Each job needs a second look, which must not read the other jobs' texts again."""
    body = "{source: {connection: acme, repository: a}, triggers: {push: {branches: [1.10]}}, run: {steps: [{run: x}]}}"
    loaded = folder.jobs("jobs:\n" + "".join(f"  j{number}: {body}\n" for number in range(1000)))
    assert len(loaded.jobs) == 1000
    assert {job.triggers[0].options["branches"][0] for job in loaded.jobs} == {"1.10"}


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from places(member, (*path, key))
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from places(member, (*path, at))


def replaced(value, path, new):
    if not path:
        return new
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


TEXT_OF_ALL = yaml.safe_load(FULL)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x", "5m", "${X}", "*", "[", "none", "secret://env/x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["push", "name", "run", "x", "A", ""]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(list(places(TEXT_OF_ALL))), JUNK), min_size=1, max_size=3), st.booleans())
def test_whatever_stands_in_a_file_is_a_job_or_a_problem(folder, changes, add):
    value = TEXT_OF_ALL
    for path, junk in changes:
        if path in set(places(value)):
            value = replaced(value, path, junk)
    if add and isinstance(value, dict):
        value = {**value, "more": 1}
    loaded = folder.jobs(yaml.dump(value), config=CONFIG)
    assert loaded.jobs or loaded.problems or value == {"jobs": {}}
    assert all(problem.line for problem in loaded.problems) or value is None
    for job in loaded.jobs:
        assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


def test_a_pattern_of_repositories_cannot_be_polled(folder):
    """Nothing would ever ask: a pattern names no repository that could be asked."""

    class Asks:
        needs_paths = False

        def match(self, subject):
            return None

        def poll_plan(self):
            return PollPlan(every=60.0)

    kind = TriggerKind(name="asks", summary="asks", schema=EMPTY_SCHEMA, compile=lambda _: Asks())
    kinds = dataclasses.replace(folder.kinds, triggers={**folder.kinds.triggers, "asks": kind})
    polled = with_job("triggers: {asks: {}}")
    (problem,) = folder.jobs(polled.replace("acme/web", "'acme/*'"), kinds=kinds).problems
    assert "expected one repository to ask, found the pattern `acme/*`" in problem.message
    assert folder.jobs(polled, kinds=kinds).problems == ()


def test_a_text_with_a_placeholder_where_a_job_should_stand_is_a_problem(folder):
    assert folder.jobs("jobs:\n  web: ${WEB}\n").problems
