"""`headgate plugins`: what is installed here, without asking a server."""

from __future__ import annotations

import typer

from headgate.cli.endings import ExitCode
from headgate.cli.installed import installed_plugins
from headgate.cli.invocation import Invocation
from headgate.cli.output import paint, plain, say, table, write_json

app = typer.Typer()


@app.command()
def plugins(context: typer.Context) -> None:
    """List the installed plugins and what each brings.

    Exits with 1 when one of them is broken.
    """
    call = Invocation.of(context)
    loaded = installed_plugins(call)
    broken = [report for report in loaded.reports if report.status == "broken"]
    if call.json:
        import msgspec

        write_json(msgspec.to_builtins(loaded.reports))
    else:
        tones = {"loaded": "green", "broken": "red", "denied": "yellow"}
        rows = [
            (
                plain(report.name),
                paint(report.status, tones[report.status]),  # type: ignore[arg-type]  # the values above are tones
                plain(f"{report.distribution} {report.version}"),
                plain(", ".join(report.kinds)),
            )
            for report in loaded.reports
        ]
        table(("plugin", "status", "from", "brings"), rows)
        for report in loaded.reports:
            if report.reason:
                say(
                    f"{plain(report.name)} ({plain(report.distribution)} {plain(report.version)}): {plain(report.reason)}"
                )
    if broken:
        raise typer.Exit(ExitCode.NO)
