"""`headgate connections`: what is configured, and what its Git host says when it is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

import typer

from headgate.cli.client import Client, Missing, client_of, segment
from headgate.cli.endings import Ending, ExitCode
from headgate.cli.invocation import Invocation
from headgate.cli.output import note, paint, plain, say, table, write_json

app = typer.Typer(invoke_without_command=True)

_ALL: Final = 10_000
_PAGE: Final = 100

ConnectionArgument = Annotated[str, typer.Argument(metavar="CONNECTION", help="A connection's name.")]
RepositoryArgument = Annotated[str, typer.Argument(metavar="REPOSITORY", help="As a job names it: acme/web.")]


@app.callback()
def connections(context: typer.Context) -> None:
    """List the configured connections, test them, and see what their hosts have."""
    if context.invoked_subcommand is not None:
        return
    call = Invocation.of(context)
    found = client_of(call).items("connections", limit=_ALL)
    if call.json:
        write_json(found)
    elif found:
        table(("connection", "state", "provider", "can", "webhooks go to"), [_row(one) for one in found])
        for one in found:
            if one["problem"]:
                say(f"{plain(one['name'])}: {plain(one['problem'])}")
    else:
        say("no connections yet; add one under `connections:` in the configuration")


@app.command("test")
def try_credentials(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="CONNECTION...", help="Which; none: all that can be tested.")
    ] = None,
) -> None:
    """Ask the host who the credential is and what it lacks.

    Exits with 1 when a connection is not open, is refused, or lacks a permission.
    """
    call = Invocation.of(context)
    client = client_of(call)
    known = _known(client)
    for name in names or ():
        _expect(name, known)
    reports = [{"connection": name, **_tested(client, known[name])} for name in names or known]
    if call.json:
        write_json(reports)
    else:
        for report in reports:
            _say_report(report)
    if any("problem" in report or report.get("missing") for report in reports):
        raise typer.Exit(ExitCode.NO)


@app.command()
def repos(
    context: typer.Context,
    connection: ConnectionArgument,
    *,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Of this user, organisation or group.")] = None,
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Of this project within the owner.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="With this in the name.")] = None,
    visibility: Annotated[Literal["public", "internal", "private"] | None, typer.Option(help="Only these.")] = None,
    archived: Annotated[
        bool | None, typer.Option("--archived/--active", help="Only archived ones, or only those in use.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = _ALL,
) -> None:
    """List the repositories that the connection's credential sees."""
    call = Invocation.of(context)
    query = {
        "owner": owner,
        "project": project,
        "search": search,
        "visibility": visibility,
        "archived": None if archived is None else str(archived).lower(),
    }
    with _of(client_of(call), connection) as (client, path):
        found = list(_listed(client, f"{path}/repositories", query, limit=limit))
    if call.json:
        write_json(found)
    elif found:
        table(("repository", "default branch", "visibility", "archived"), [_repository_row(one) for one in found])
    else:
        say("no repository fits, or the credential sees none")


@app.command()
def hooks(
    context: typer.Context,
    connection: ConnectionArgument,
    repository: RepositoryArgument,
    *,
    put: Annotated[bool, typer.Option("--set", help="Make ours, or put it right with the newest secret.")] = False,
    remove: Annotated[str | None, typer.Option(metavar="ID", help="Remove the one with this id.")] = None,
) -> None:
    """List a repository's webhooks and what is wrong with ours; make it, put it right or remove it.

    Exits with 1 when ours is missing or wrong.
    """
    call = Invocation.of(context)
    if put and remove is not None:
        raise Ending("--set and --remove do not go together", code=ExitCode.INPUT)
    with _of(client_of(call), connection) as (client, path):
        if remove is not None:
            client.post(f"{path}/hooks/remove", {"repository": repository, "hook": remove})
        if put:
            done = client.post(f"{path}/hooks", {"repository": repository})
            note(f"{done['did']} webhook {plain(done['hook']['id'])}")
        page = client.get(f"{path}/hooks", {"repository": repository, "limit": _PAGE})
    right = any(one["ours"] and not one["faults"] for one in page["items"])
    if call.json:
        write_json(page["items"])
    else:
        _say_hooks(page, right=right)
    if not right and remove is None:
        raise typer.Exit(ExitCode.NO)


@app.command()
def missed(
    context: typer.Context,
    connection: ConnectionArgument,
    repository: RepositoryArgument,
    *,
    days: Annotated[int, typer.Option(min=1, max=35, metavar="N", help="How many days to look back.")] = 1,
    recover: Annotated[bool, typer.Option("--recover", help="Have the host send them again, now.")] = False,
) -> None:
    """List what the host could not deliver and is not recorded here; have it sent again.

    Exits with 1 when something is missing, with --recover when something was not asked for.
    """
    call = Invocation.of(context)
    asked: dict[str, str | int] = {"repository": repository, "days": days}
    with _of(client_of(call), connection) as (client, path):
        found = client.post(f"{path}/missed", asked) if recover else client.get(f"{path}/missed", asked)
    if call.json:
        write_json(found)
    else:
        _say_missed(found, recovered=recover)
    if found["refused"] or found["left"] if recover else found["items"]:
        raise typer.Exit(ExitCode.NO)


@contextmanager
def _of(client: Client, name: str) -> Iterator[tuple[Client, str]]:
    """The client, and the path of what belongs to the connection; who mistypes its name is told which there are."""
    try:
        yield client, f"connections/{segment(name)}"
    except Missing:  # a repository, perhaps
        _expect(name, _known(client))
        raise


def _known(client: Client) -> Mapping[str, Any]:
    return {one["name"]: one for one in client.items("connections", limit=_ALL)}


def _expect(name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "there are none; add one under `connections:`"
        raise Ending(f"there is no connection {name}", code=ExitCode.INPUT, hint=there)


def _row(connection: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        plain(connection["name"]),
        paint("open", "green") if connection["open"] else paint("not open", "red"),
        plain(connection["provider"]),
        plain(", ".join(connection["capabilities"])),
        plain(connection["webhook_url"]),
    )


def _tested(client: Client, connection: Mapping[str, Any]) -> dict[str, Any]:
    """The host's report, or the `problem`."""
    if not connection["open"]:
        return {"problem": connection["problem"]}
    if "test" not in connection["capabilities"]:
        return {"message": "its provider has nothing to test"}
    try:
        report: dict[str, Any] = client.get(f"connections/{segment(connection['name'])}/test")
    except Ending as error:
        return {"problem": str(error)}
    return report


def _say_report(report: Mapping[str, Any]) -> None:
    name = plain(report["connection"])
    if "problem" in report:
        say(f"{paint('✗', 'red')} {name}: {plain(report['problem'])}")
        return
    missing = report.get("missing") or ()
    sign = paint("!", "yellow") if missing else paint("✓", "green") if "user" in report else "–"
    user, message = report.get("user"), report.get("message")
    say(f"{sign} {name}: {plain(user or message or 'its host tells no user')}")
    for word in ("scopes", "permissions", "missing"):
        if report.get(word):
            say(f"  {word}: {plain(', '.join(report[word]))}")
    if report.get("expires_at"):
        say(f"  expires: {plain(report['expires_at'])}")
    if user and message:
        say(f"  {plain(message)}")


def _listed(client: Client, path: str, query: Mapping[str, str | None], *, limit: int) -> Iterator[Mapping[str, Any]]:
    """Page after page. On a terminal a counter shows that a long listing goes on."""
    shown, cursor = 0, None
    while shown < limit:
        page = client.get(path, {**query, "limit": min(_PAGE, limit - shown), "cursor": cursor})
        yield from page["items"]
        shown, cursor = shown + len(page["items"]), page["next"]
        if cursor is None:
            break
        if sys.stderr.isatty():
            print(f"\r{shown} …", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and shown > _PAGE:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _repository_row(one: Mapping[str, Any]) -> Sequence[str]:
    archived = {None: "", True: "archived", False: ""}[one["archived"]]
    path, branch = one["repository"]["path"], one["default_branch"]
    return plain(path), plain(branch or ""), plain(one["visibility"] or ""), archived


def _say_hooks(page: Mapping[str, Any], *, right: bool) -> None:
    if page["items"]:
        table(("id", "state", "url", "events"), [_hook_row(one) for one in page["items"]])
    for one in page["items"]:
        for fault in one["faults"]:
            say(f"{plain(one['hook']['id'])}: {plain(fault)}")
    if not any(one["ours"] for one in page["items"]):
        say(f"none leads to {plain(page['wanted'])}; --set makes one")
    elif not right:
        say("--set puts it right")


def _say_missed(found: Mapping[str, Any], *, recovered: bool) -> None:
    items = found["asked"] if recovered else found["items"]
    if items:
        table(("failed at", "event", "answer", "key"), [_missed_row(one) for one in items])
    if recovered:
        for one in found["refused"]:
            say(f"{plain(one['delivery']['id'])} is not sent again: {plain(one['reason'])}")
        if found["left"]:
            say(f"{found['left']} more were not asked for: {plain(found['stopped'])}")
        say(f"the host sends {len(items)} again; `headgate deliveries` shows what arrives")
    elif items:
        say("--recover has the host send them again")
    else:
        say("nothing is missing, as far as the host remembers")
    if found["unknown"]:
        say(f"not all is known: {plain(found['unknown'])}")


def _missed_row(one: Mapping[str, Any]) -> Sequence[str]:
    answer = "none" if one["status"] is None else str(one["status"])
    return plain(one["at"]), plain(one["event"]), answer, plain(one["key"] or f"none (id {one['id']})")


def _hook_row(one: Mapping[str, Any]) -> Sequence[str]:
    hook = one["hook"]
    words = ("ours" if not one["faults"] else "ours, wrong") if one["ours"] else "another's"
    tone: Literal["green", "red", "dim"] = "dim" if not one["ours"] else "red" if one["faults"] else "green"
    return plain(hook["id"]), paint(words, tone), plain(hook["url"]), plain(", ".join(hook["events"]))
