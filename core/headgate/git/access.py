"""How a credential reaches git; not who may have it, and never by argv, URL, configuration or environment.

For https it is a file that only memory holds, read by a credential helper for one origin; for ssh a key file in a
private folder, gone when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from headgate import api
from headgate.git.names import Location


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What one git process needs to get in: `-c` settings, variables, and file descriptors to inherit."""

    settings: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    descriptors: tuple[int, ...] = ()


def check_access(location: Location, credential: api.Credential | None) -> None:
    """Whether this credential may travel there; `CredentialError` says what to change. Starts nothing."""
    if credential is None:
        if location.scheme == "ssh":
            raise api.CredentialError(f"ssh to {location.host} needs an ssh_key credential with its known_hosts")
        return
    if location.scheme == "local":
        raise api.CredentialError("a path of this machine takes no credential")
    wanted = ("ssh_key",) if location.scheme == "ssh" else ("token", "user_password")
    if credential.type not in wanted:
        raise api.CredentialError(
            f"{location.scheme} to {location.host} takes a {' or '.join(wanted)} credential, not {credential.type}"
        )
    credential.check()
    if not any(_fits(bound, location.host) for bound in credential.hosts):
        bound = ", ".join(credential.hosts) or "no host"
        raise api.CredentialError(f"the credential is bound to {bound}, and may not travel to {location.host}")
    if location.scheme == "http" and not location.is_loopback:
        raise api.CredentialError(f"http to {location.host} would send the credential in clear text; use https")


def _fits(bound: str, host: str) -> bool:
    """`*` is anywhere, `*.example.org` any host below, all others exactly."""
    bound = bound.lower()
    return bound in {"*", host} or (bound.startswith("*.") and host.endswith(bound[1:]))


def sign_in(source: api.CloneSource) -> tuple[str, str] | None:
    """User name and password for http and https, or `None`; `CredentialError` for what no such line can hold."""
    credential = source.credential
    if credential is None:
        return None
    password = credential.text().reveal()
    user = credential.fields["username"].reveal() if credential.type == "user_password" else source.username
    if any(character in text for text in (user, password) for character in "\0\r\n"):
        raise api.CredentialError("a user name or password holds a line break; it was probably stored with one")
    if ":" in user:
        raise api.CredentialError("a user name holds a colon, which HTTP cannot carry")
    return user, password


@contextlib.contextmanager
def open_access(location: Location, source: api.CloneSource, *, folder: Path) -> Iterator[Access]:
    """The way in for one process; everything it made is gone when it ends. `folder`: private, ours, mode 0700."""
    check_access(location, source.credential)
    if source.credential is None:
        yield Access()
    elif location.scheme == "ssh":
        with _ssh(source.credential, folder) as access:
            yield access
    else:
        with _web(location, source) as access:
            yield access


@contextlib.contextmanager
def _web(location: Location, source: api.CloneSource) -> Iterator[Access]:
    """A credential helper that prints an inherited memory file, asked by git for this origin only."""
    pair = sign_in(source)
    assert pair is not None  # noqa: S101 - open_access asks only with a credential
    descriptor = os.memfd_create("access", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(descriptor, f"username={pair[0]}\npassword={pair[1]}\n".encode())
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        # /dev/fd opens the file anew, at its start, however often git asks.
        script = f'!f() {{ test "$1" = get && cat /dev/fd/{descriptor}; }}; f'
        yield Access(
            settings=(f"credential.{location.origin}.helper={script}",),
            descriptors=(descriptor,),
        )
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _ssh(credential: api.Credential, folder: Path) -> Iterator[Access]:
    """Key and known hosts as files of mode 0600: ssh closes inherited descriptors, so they must have names."""
    place = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))
    try:
        key, hosts = place / "key", place / "known_hosts"
        for path, field in ((key, "private_key"), (hosts, "known_hosts")):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(credential.fields[field].reveal().rstrip("\n") + "\n")
        yield Access(environment={"GIT_SSH_COMMAND": shlex.join(_ssh_command(key, hosts)), "GIT_SSH_VARIANT": "ssh"})
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _ssh_command(key: Path, hosts: Path) -> Sequence[str]:
    """Ssh that reads no configuration, trusts no new host, asks nobody and forwards nothing."""
    options = {
        "IdentityFile": f'"{key}"',
        "UserKnownHostsFile": f'"{hosts}"',
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ProxyCommand": "none",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
    }
    return [
        "ssh",
        "-F",
        "none",
        "-a",
        "-x",
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
    ]


def forget_leftovers(folder: Path) -> None:
    """Remove key folders of processes that died before they could."""
    for place in folder.iterdir():
        owner = place.name.partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(place, ignore_errors=True)
