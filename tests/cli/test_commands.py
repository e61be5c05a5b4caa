"""The frame: help without imports, options everywhere, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from headgate.cli.commands import COMMANDS, load


def imported(program):
    """The modules a program has imported when it ends."""
    code = f"import sys\ntry:\n    {program}\nexcept SystemExit:\n    pass\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_names_every_command_and_imports_none():
    modules = imported("from headgate.cli import main; main(['--help'])")
    assert not modules.intersection(f"headgate.cli.{entry.module}" for entry in COMMANDS.values())
    assert not modules.intersection({"rich", "aiohttp", "asyncio", "sqlalchemy", "msgspec", "yaml", "headgate.api"})


def test_the_control_of_the_test_above_a_command_that_runs_is_imported():
    assert "headgate.cli.plugins" in imported("from headgate.cli import main; main(['plugins', '--help'])")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_in_the_table_is_the_first_line_of_the_command_s_own_help(name):
    assert load(name, COMMANDS[name]).help.splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_one_below_it_takes_the_options_of_all(name):
    command = load(name, COMMANDS[name])
    for leaf in [command, *getattr(command, "commands", {}).values()]:
        options = [option for parameter in leaf.params for option in parameter.opts]
        wanted = {"--config", "--json"} | ({"--url"} if COMMANDS[name].asks_server else set())
        assert wanted <= set(options)
        assert len(options) == len(set(options)), "an option is there twice"


@pytest.mark.parametrize("name", ["worker", "plan", "backup"])
def test_what_is_not_built_yet_is_not_offered(headgate, name):
    assert name not in COMMANDS
    assert headgate(name).returncode == 2


def test_a_misspelt_command_is_answered_with_the_nearest(headgate):
    done = headgate("delivries")
    assert done.returncode == 2
    assert "Did you mean 'deliveries'" in done.stderr


def test_version(headgate):
    done = headgate("--version")
    assert (done.returncode, done.stdout) == (0, "headgate 0.1.0\n")


def test_without_a_configuration_the_sentence_says_what_to_do(headgate):
    done = headgate("jobs")
    assert done.returncode == 78
    assert done.stdout == ""
    assert "there is no configuration config.yaml" in done.stderr
    assert "--config" in done.stderr


def test_without_a_server_the_sentence_says_how_to_start_one(headgate, tmp_path):
    (tmp_path / "config.yaml").write_text("data: elsewhere\n")
    done = headgate("jobs")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"headgate: no server answers on {tmp_path}/elsewhere/headgate.sock; start one with `headgate serve`"
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (f"running, pid {os.getpid()}", "it is starting or stopping"),
        (f"running, pid {2**22 + 1}", "start one with"),  # after a crash; the kernel gives no such number
        ("stopped", "start one with"),
    ],
)
def test_a_server_that_stops_is_not_called_absent(headgate, tmp_path, written, told):
    (tmp_path / "config.yaml").write_text("data: data\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/headgate.db.lock").write_text(written.ljust(63) + "\n")
    done = headgate("jobs")
    assert done.returncode == 1
    assert told in done.stderr


@pytest.mark.parametrize("arguments", [("--config", "a.yaml", "jobs"), ("jobs", "--config", "a.yaml")])
def test_config_may_stand_before_and_behind_the_command(headgate, tmp_path, arguments):
    (tmp_path / "a.yaml").write_text("data: of-a\n")
    assert "of-a/headgate.sock" in headgate(*arguments).stderr


def test_the_environment_names_the_configuration_and_an_option_wins(headgate, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"data: of-{name}\n")
    assert "of-a/" in headgate("jobs", HEADGATE_CONFIG="a.yaml").stderr
    assert "of-b/" in headgate("jobs", "--config", "b.yaml", HEADGATE_CONFIG="a.yaml").stderr


def test_the_example_is_used_when_there_is_no_other_configuration(headgate, tmp_path):
    (tmp_path / "config.example.yaml").write_text("data: of-example\n")
    assert "of-example/" in headgate("jobs").stderr
    (tmp_path / "config.yaml").write_text("data: mine\n")
    assert "mine/" in headgate("jobs").stderr


def test_an_error_is_json_too(headgate, tmp_path):
    (tmp_path / "config.yaml").write_text("data: elsewhere\n")
    done = headgate("jobs", "--json")
    error = json.loads(done.stderr)
    assert error["error"].startswith("no server answers on")
    assert error["exit_code"] == done.returncode == 1


def test_a_fault_of_ours_is_two_lines_and_the_traceback_is_for_those_who_ask(headgate, tmp_path):
    (tmp_path / "headgate_fault.py").write_text("import headgate.cli.client as c\nc.client_of = lambda call: 1 / 0\n")
    program = "import headgate_fault; from headgate.cli import main; main(['jobs'])"

    def run(**environment):
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    quiet, loud = run(), run(HEADGATE_TRACEBACK="1")
    assert quiet.returncode == loud.returncode == 70
    assert "ZeroDivisionError" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert len(quiet.stderr.splitlines()) == 2
    assert "Traceback" in loud.stderr


def test_a_reader_who_has_seen_enough_is_no_error():
    """`headgate … | head -1` must not end in a complaint about a broken pipe."""
    command = (
        f"{sys.executable} -c 'from headgate.cli import main; main([\"plugins\"])' | true; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1"}  # 1: a plugin is broken


def on_a_terminal(*arguments, **environment):
    """What a command prints when standard output is a terminal."""
    primary, secondary = pty.openpty()
    surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from headgate.cli import main; main()", *arguments],
        stdout=secondary,
        stderr=secondary,
        env={**surroundings, "TERM": "xterm-256color", "COLUMNS": "200", **environment},
    )
    os.close(secondary)
    printed = b""
    while True:
        try:
            piece = os.read(primary, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        printed += piece
    process.wait(timeout=60)
    os.close(primary)
    return printed.decode()


def test_colour_is_for_terminals_whose_owner_wants_it(headgate):
    assert "\x1b[32m" in on_a_terminal("plugins")
    assert "\x1b[3" not in on_a_terminal("plugins", NO_COLOR="1")
    assert "\x1b" not in headgate("plugins", NO_COLOR="").stdout


def test_json_is_json_on_a_terminal_too():
    assert {report["name"] for report in json.loads(on_a_terminal("plugins", "--json"))} >= {"git", "github"}
