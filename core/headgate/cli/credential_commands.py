"""`headgate credentials`: the commands and what they print; what they do is in `headgate.cli.credentials`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headgate.cli.endings import Ending, ExitCode
from headgate.cli.installed import installed_plugins, installed_settings
from headgate.cli.invocation import Invocation
from headgate.cli.output import note, plain, say, table, write_json

if TYPE_CHECKING:
    from headgate.api import CredentialStore
    from headgate.api.client import CodeRequest

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)

ReferenceArgument = Annotated[str, typer.Argument(metavar="STORE/NAME", help="As encrypted/deploy-key.")]


@app.callback()
def credentials() -> None:
    """Set, authorize, list and remove credentials."""


@app.command("set")
def set_(
    context: typer.Context,
    reference: ReferenceArgument,
    kind: Annotated[
        str,
        typer.Option("-t", "--type", metavar="TYPE", help="text, token, user_password, ssh_key, github_app, aws_key …"),
    ] = "text",
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A host it may travel to, or *.example.org; none: it stays here."),
    ] = None,
    file: Annotated[list[str] | None, typer.Option(metavar="FIELD=PATH", help="Read this field from a file.")] = None,
) -> None:
    """Keep a credential, or replace it.

    Its values come from a prompt, from standard input or from files, never from arguments.
    """
    from headgate.cli.credentials import read_fields, set_credential, split_reference, writable

    call = Invocation.of(context)
    store_name, name = split_reference(reference)
    fields = read_fields(kind, files=_files(file or ()))  # type: ignore[arg-type]  # it checks the word itself
    kept = _with_stores(
        call,
        lambda stores: set_credential(
            writable(stores, store_name),
            name=name,
            type=kind,  # type: ignore[arg-type]  # as above
            hosts=host or (),
            fields=fields,
        ),
    )
    if call.json:
        import msgspec

        write_json(msgspec.to_builtins(kept))
        return
    where = f"may travel to {', '.join(kept.hosts)}" if kept.hosts else "stays here"
    say(f"secret://{store_name}/{name} is kept, version {kept.version}; it {where}")


@app.command()
def authorize(
    context: typer.Context,
    reference: ReferenceArgument,
    *,
    connection: Annotated[
        str, typer.Option(metavar="CONNECTION", help="Of the configuration: whose Git host is asked.")
    ],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="In the host's words, instead of what is usual.")
    ] = None,
    host: Annotated[list[str] | None, typer.Option(metavar="HOST", help="Another host it may travel to.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of http://127.0.0.1:PORT/callback; 0: any that is free.")
    ] = 0,
    timeout: Annotated[int, typer.Option(min=1, max=3600, metavar="SECONDS", help="How long to wait for you.")] = 300,
    file: Annotated[list[str] | None, typer.Option(metavar="FIELD=PATH", help="Read this field from a file.")] = None,
) -> None:
    """Let an OAuth application use a Git host in your name, in the browser, and keep what it is given.

    Register an application at the host first, with the redirect http://127.0.0.1/callback. Its client_id and
    client_secret come from a prompt, from standard input, from files, or from the credential of that name.
    """
    from headgate.cli.authorize import CLIENT_FIELDS, Application, Kept, endpoints_of, known_application
    from headgate.cli.authorize import authorize as ask
    from headgate.cli.credentials import read_fields, split_reference, writable

    call = Invocation.of(context)
    store_name, name = split_reference(reference)
    settings = installed_settings(call)
    one = next((one for one in settings.connections if one.name == connection), None)
    if one is None:
        raise Ending(f"there is no connection {connection} in the configuration", code=ExitCode.INPUT)
    kind = installed_plugins(call).kinds.providers[one.provider]
    endpoints_of(kind)

    async def work(stores: Mapping[str, CredentialStore]) -> Kept:
        store = writable(stores, store_name)
        known, hosts = await known_application(store, name)
        fields = (
            dict(known) if known and not file else read_fields("oauth", names=CLIENT_FIELDS, files=_files(file or ()))
        )
        application = Application(
            client_id=fields["client_id"].reveal().strip(),
            client_secret=fields["client_secret"],
            port=port,
            scopes=tuple(scope) if scope else None,
        )
        further = (*hosts, *(host or ()))
        return await ask(
            kind, one.options, application, store=store, name=name, hosts=further, within=timeout, tell=_send_to
        )

    kept = _with_stores(call, work)
    if call.json:
        import msgspec

        write_json(msgspec.to_builtins(kept.summary))
        return
    scopes = f", with the scopes {', '.join(map(plain, kept.scopes))}" if kept.scopes else ""
    say(
        f"secret://{store_name}/{name} is kept as {kept.summary.type}, version {kept.summary.version}{scopes}; "
        f"it may travel to {', '.join(kept.summary.hosts)}"
    )


def _send_to(request: CodeRequest) -> None:
    """On standard error: standard output is for the result."""
    note("Open this in a browser on this machine, and allow what it asks:")
    note("")
    note(f"  {plain(request.url)}")
    note("")
    note(
        f"It comes back to {request.redirect_uri}. From another machine: ssh -L PORT:127.0.0.1:PORT, with --port PORT."
    )


@app.command("list")
def list_(context: typer.Context) -> None:
    """List what the stores hold; never a secret."""
    from headgate.cli.credentials import list_credentials

    call = Invocation.of(context)
    found = _with_stores(call, list_credentials)
    if call.json:
        import msgspec

        write_json(msgspec.to_builtins(found))
    elif found:
        rows = [(plain(one.reference), one.type, ", ".join(one.hosts) or "nowhere", str(one.version)) for one in found]
        table(("credential", "type", "may travel to", "version"), rows)
    else:
        say("no credentials yet; keep one with `headgate credentials set STORE/NAME`")


@app.command()
def remove(context: typer.Context, reference: ReferenceArgument) -> None:
    """Forget a credential."""
    from headgate.cli.credentials import remove_credential, split_reference, writable

    call = Invocation.of(context)
    store_name, name = split_reference(reference)
    _with_stores(call, lambda stores: remove_credential(writable(stores, store_name), name=name))
    write_json({"removed": f"secret://{store_name}/{name}"}) if call.json else say(f"{reference} is forgotten")


@app.command()
def rewrap(
    context: typer.Context,
    store: Annotated[str, typer.Argument(metavar="STORE", help="As encrypted.")],
) -> None:
    """Put all secrets of a store under a fresh key."""
    from headgate.cli.credentials import rewrap_credentials

    call = Invocation.of(context)

    async def work(stores: Mapping[str, CredentialStore]) -> int:
        if store not in stores:
            raise Ending(f"there is no credential store {store}", code=ExitCode.INPUT)
        return await rewrap_credentials(stores[store])

    count = _with_stores(call, work)
    write_json({"rewrapped": count}) if call.json else say(
        f"{count} secret{'' if count == 1 else 's'} under a fresh key"
    )


def _files(given: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for text in given:
        field, sign, path = text.partition("=")
        if not sign:
            raise Ending(f"{text} names no file", code=ExitCode.INPUT, hint="write --file FIELD=PATH")
        files[field] = Path(path)
    return files


def _with_stores(call: Invocation, work: Callable[[Mapping[str, CredentialStore]], Awaitable[T]]) -> T:
    """Open the configured stores, do `work` on them, and close them."""
    from headgate.cli.offline import OfflineHost

    settings = installed_settings(call)
    kinds = installed_plugins(call).kinds.credential_stores

    async def opened() -> T:
        async with AsyncExitStack() as stack:
            stores = {
                name: await stack.enter_async_context(kinds[name].open(options, OfflineHost(name)))
                for name, options in settings.credential_stores.items()
            }
            return await work(stores)

    return asyncio.run(opened())
