"""All commands and the order they are shown in; not what they do. A command's file is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from headgate.cli.endings import ExitCode, ending_of, report
from headgate.cli.invocation import Invocation, local_options, server_options


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. `summary` is its help's first line, kept here so that `headgate --help` imports nothing."""

    module: str
    summary: str
    section: str
    asks_server: bool = True


_RUN, _WATCH, _WHY, _SET_UP = "The server", "Jobs and builds", "Why did this (not) build?", "Setting up"

COMMANDS: dict[str, Entry] = {
    "serve": Entry("serve", "Run the server: webhooks, polls, builds, API.", _RUN, asks_server=False),
    "migrate": Entry("migrate", "Bring the database to this version's schema.", _RUN, asks_server=False),
    "jobs": Entry("jobs", "List the jobs and how their last build ended.", _WATCH),
    "run": Entry("run", "Queue a build of a job.", _WATCH),
    "builds": Entry("builds", "List builds, newest first, or show one.", _WATCH),
    "log": Entry("log", "Print a build's log, with -f as it is written.", _WATCH),
    "cancel": Entry("cancel", "Cancel a build that waits or runs.", _WATCH),
    "notifications": Entry("notifications", "List what was told to whom, or tell it again.", _WATCH),
    "explain": Entry("explain", "Say why a delivery, a build or a commit did (not) build.", _WHY),
    "deliveries": Entry("deliveries", "List the webhooks that arrived, newest first.", _WHY),
    "replay": Entry("replay", "Judge a kept delivery again with today's jobs.", _WHY),
    "parse": Entry("parse", "Show what a provider's code reads in a webhook's body, offline.", _WHY, asks_server=False),
    "check": Entry("check", "Check the configuration and job files; show every problem.", _SET_UP, asks_server=False),
    "schema": Entry("schema", "Print the JSON Schema of job files or of the configuration.", _SET_UP, asks_server=False),
    "plugins": Entry("plugins", "List the installed plugins, what each brings and how it behaves in the running server.", _SET_UP, asks_server=False),
    "connections": Entry("connections", "List the configured connections, test them, and see what their hosts have.", _SET_UP),
    "credentials": Entry("credential_commands", "Set, authorize, list and remove credentials.", _SET_UP, asks_server=False),
    "hook-script": Entry("hook_script", "Print the post-receive hook for a plain Git server.", _SET_UP, asks_server=False),
}  # fmt: skip


class LazyGroup(typer.core.TyperGroup):
    """The `headgate` command: knows every command's name and summary, and imports the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parent's signature
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the parent's signature
        """The command, imported now; `None` when there is none of this name."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load(cmd_name, entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the parent, which looks for near misses in `commands`, so that it finds names not yet imported."""
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # only the keys are read
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parent's signature
        """The summaries by section, from the table above."""
        width = max(map(len, COMMANDS))
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                rows = [(n.ljust(width), e.summary) for n, e in COMMANDS.items() if e.section == section]
                formatter.write_dl(rows)


def load(name: str, entry: Entry) -> Any:
    """Import a command and give it the options that all have."""
    module = importlib.import_module(f"headgate.cli.{entry.module}")
    module.app.rich_markup_mode = None  # rich's help costs more than most commands
    module.app._add_completion = False  # noqa: SLF001 - the root's affair, and only settable in its constructor
    command: Any = typer.main.get_command(module.app)
    command.name = name
    for leaf in [command, *getattr(command, "commands", {}).values()]:
        taken = {option for parameter in leaf.params for option in parameter.opts}
        leaf.params += [p for p in _parameters(entry) if not taken.intersection(p.opts)]
    return command


def _parameters(entry: Entry) -> list[Any]:
    return _parameters_of(server_options if entry.asks_server else local_options)


def _parameters_of(function: Callable[..., None]) -> list[Any]:
    """What typer makes of a function's options."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(function)
    return list(typer.main.get_command(app).params)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer calls it with what was given
    if value:
        from importlib.metadata import version

        print(f"headgate {version('headgate')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
]


def root() -> Any:
    """The whole command line."""
    app = typer.Typer(
        cls=LazyGroup,
        name="headgate",
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog="Exit codes: 0 yes, 1 no, 2 your input is wrong, 70 our fault, 78 the configuration is wrong.",
    )

    @app.callback()
    def headgate(context: typer.Context, *, version: VersionOption = False) -> None:  # noqa: ARG001 - its callback has printed it
        """Turns each change on a Git host into exactly one explained, queued, executed, reported build."""
        Invocation.of(context).token = os.environ.get("HEADGATE_TOKEN")

    group: Any = typer.main.get_command(app)
    group.params += _parameters_of(server_options)
    return group


def run(arguments: list[str]) -> int:
    """Run the command line; gives the exit code."""
    invocation = Invocation()
    try:
        root().main(args=arguments, prog_name="headgate", obj=invocation)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else ExitCode.NO
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the last line of defence: a traceback is no message
        ending = ending_of(error)
        report(ending, as_json=invocation.json)
        return ending.code
    return ExitCode.OK
