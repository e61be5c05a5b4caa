"""The hooks: each is called once per plugin, at start, without arguments, and returns kinds. Nothing else happens here.

A plugin is a module (or object) named by an entry point of the group `headgate.plugins`:

```toml
[project.entry-points."headgate.plugins"]
sourcehut = "headgate_sourcehut"
```

It says `HEADGATE_API = 1` and implements one or more hooks with `@hookimpl`. A function whose name starts with
`headgate_` and is no hook is refused as a misspelling.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from headgate.api.kinds import (
    ConditionKind,
    CredentialStoreKind,
    ExecutorKind,
    NotifierKind,
    ProviderKind,
    RouteKind,
    TriggerKind,
)

ENTRY_POINT_GROUP = "headgate.plugins"

hookspec = pluggy.HookspecMarker("headgate")
hookimpl = pluggy.HookimplMarker("headgate")


@hookspec
def headgate_providers() -> Iterable[ProviderKind]:
    """Kinds of Git hosting.

    ```python
    @hookimpl
    def headgate_providers():
        yield ProviderKind(
            name="sourcehut",
            summary="sr.ht repositories",
            schema=SCHEMA,
            open=open_connection,
            provides=Sourcehut,
            normalise=normalise,
            read=read,
        )
    ```
    """
    return ()


@hookspec
def headgate_triggers() -> Iterable[TriggerKind]:
    """What a job may write under `triggers:`.

    ```python
    @hookimpl
    def headgate_triggers():
        yield TriggerKind(name="full_moon", summary="Builds on full moons", schema=EMPTY_SCHEMA, compile=FullMoon)
    ```
    """
    return ()


@hookspec
def headgate_conditions() -> Iterable[ConditionKind]:
    """What a job may write under `conditions:`.

    ```python
    @hookimpl
    def headgate_conditions():
        yield ConditionKind(name="weekday", summary="Only on given days", schema=SCHEMA, compile=Weekday)
    ```
    """
    return ()


@hookspec
def headgate_credential_stores() -> Iterable[CredentialStoreKind]:
    """Places that `secret://name/…` may point into.

    ```python
    @hookimpl
    def headgate_credential_stores():
        yield CredentialStoreKind(name="keyring", summary="The desktop's keyring", open=open_keyring)
    ```
    """
    return ()


@hookspec
def headgate_notifiers() -> Iterable[NotifierKind]:
    """What a job may write under `notify:`.

    ```python
    @hookimpl
    def headgate_notifiers():
        yield NotifierKind(name="bell", summary="Rings", schema=EMPTY_SCHEMA, open=open_bell)
    ```
    """
    return ()


@hookspec
def headgate_executors() -> Iterable[ExecutorKind]:
    """What a job may name as `run.executor:`.

    ```python
    @hookimpl
    def headgate_executors():
        yield ExecutorKind(name="podman", summary="One container per build", schema=SCHEMA, open=open_podman)
    ```
    """
    return ()


@hookspec
def headgate_routes() -> Iterable[RouteKind]:
    """Extra HTTP routes under `/plugins/{plugin}/`, each with the permission it needs.

    ```python
    @hookimpl
    def headgate_routes():
        yield RouteKind(name="moon.svg", summary="Tonight's moon", permission="jobs:read", answer=draw_moon)
    ```
    """
    return ()
