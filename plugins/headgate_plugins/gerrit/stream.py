"""Gerrit's events over SSH, line after line: one connection that is opened, read and lost; not what the lines mean.

https://gerrit-review.googlesource.com/Documentation/cmd-stream-events.html. The host key must be one of the
credential's known_hosts, always. asyncssh is imported when a stream is configured, and not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headgate import api
from headgate.api.client import AddressRefused, guarded_socket

if TYPE_CHECKING:
    import asyncssh

PORT: Final = 29418
"""https://gerrit-review.googlesource.com/Documentation/config-gerrit.html#sshd.listenAddress"""

CONNECTS_WITHIN: Final = 30.0
"""Seconds for the connection, the handshake and the sign-in together."""

LEAVES_WITHIN: Final = 1.0

ALIVE_EVERY: Final = 30.0
"""Seconds of silence after which the other side is asked whether it is there; after three it is not."""

LONGEST_LINE: Final = 33_554_432
"""Bytes of one event; what is longer is no line of Gerrit's."""

_COMMAND: Final = "gerrit stream-events"
_READ: Final = 65_536


class Ssh(msgspec.Struct, frozen=True, kw_only=True):
    """Where Gerrit's SSH service is, and who we are there."""

    user: str
    reference: str
    host: str
    port: int = PORT

    @classmethod
    def read(cls, block: Mapping[str, Any], host: str) -> Ssh:
        """From the block `ssh` of a connection at `host`."""
        return cls(
            user=block["user"],
            reference=block["credential"],
            host=block.get("host", host),
            port=block.get("port", PORT),
        )

    async def credential(self, host: api.Host) -> api.Credential:
        """The key with its known_hosts. Raises `CredentialError`, also when nothing says which host key is right."""
        credential = await host.secret(self.reference, for_host=self.host)
        if credential.type != "ssh_key":
            raise api.CredentialError(f"{self.reference} is of type {credential.type}; SSH takes ssh_key")
        if not credential.fields["known_hosts"].reveal().strip():
            raise api.CredentialError(f"{self.reference} has no known_hosts: nothing says which host key is right")
        return credential


def load_asyncssh() -> ModuleType:
    """The library, or `ConfigError` naming the extra it comes with."""
    try:
        import asyncssh
    except ImportError:
        message = "reading Gerrit's stream needs asyncssh; install it with: pip install 'headgate[gerrit]'"
        raise api.ConfigError(api.Problem(file="connection", path="stream", message=message)) from None
    return asyncssh


@asynccontextmanager
async def listening(ssh: Ssh, host: api.Host) -> AsyncIterator[AsyncIterator[bytes]]:
    """The lines of an open stream, without their ends, each as soon as it is whole. Raises as they do.

    A line that was cut when the connection was lost is not given. `ProviderError` and `CredentialError` say why.
    """
    library = load_asyncssh()
    credential = await ssh.credential(host)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(CONNECTS_WITHIN):
                connection = await _connected(library, ssh, credential)
                stack.push_async_callback(_leave, connection)
                process = await connection.create_process(_COMMAND, encoding=None)
        except TimeoutError:
            raise api.Unavailable(f"{ssh.host}:{ssh.port} did not let us in within {CONNECTS_WITHIN:g} s") from None
        except (OSError, ValueError, library.Error) as error:
            raise _meaning(library, ssh, error) from None
        yield _lines(library, ssh, process)


async def _leave(connection: asyncssh.SSHClientConnection) -> None:
    """At once: there is nothing to say to the other side, which may be gone."""
    connection.abort()
    with suppress(Exception):
        async with asyncio.timeout(LEAVES_WITHIN):
            await connection.wait_closed()


async def _connected(library: ModuleType, ssh: Ssh, credential: api.Credential) -> asyncssh.SSHClientConnection:
    """Nothing of this machine's own SSH configuration, agent or keys takes part."""
    sock = await _socket(ssh)
    try:
        connection: asyncssh.SSHClientConnection = await library.connect(
            ssh.host,
            ssh.port,
            sock=sock,
            username=ssh.user,
            client_keys=[library.import_private_key(credential.fields["private_key"].reveal())],
            known_hosts=library.import_known_hosts(credential.fields["known_hosts"].reveal()),
            config=None,
            agent_path=None,
            agent_forwarding=False,
            preferred_auth="publickey",
            gss_host=None,
            disable_trivial_auth=True,
            keepalive_interval=ALIVE_EVERY,
            keepalive_count_max=3,
        )
    except BaseException:
        sock.close()
        raise
    return connection


async def _socket(ssh: Ssh) -> Any:
    """A socket to the first address that answers; never to one that no connection may have."""
    loop, make = asyncio.get_running_loop(), guarded_socket(allow_private=True)
    failure: OSError = OSError("its name leads to no address")
    for info in await loop.getaddrinfo(ssh.host, ssh.port, type=1):  # SOCK_STREAM
        sock = make(info)
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        try:
            await loop.sock_connect(sock, info[4])
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _lines(library: ModuleType, ssh: Ssh, process: asyncssh.SSHClientProcess[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    try:
        while piece := await process.stdout.read(_READ):
            start = len(rest)
            rest += piece
            if b"\n" not in piece:
                if len(rest) > LONGEST_LINE:
                    raise api.ProviderError(f"{ssh.host} sent a line longer than {LONGEST_LINE} bytes")
                continue
            cut = rest.rfind(b"\n", start)
            whole, rest = bytes(rest[:cut]), rest[cut + 1 :]
            for line in whole.split(b"\n"):
                if line.strip():
                    yield line.rstrip(b"\r")
        said = (await process.stderr.read(_READ)).decode(errors="replace").strip()
        status = process.exit_status
    except library.Error as error:
        raise _meaning(library, ssh, error) from None
    if status and said:
        # https://gerrit-review.googlesource.com/Documentation/access-control.html#capability_streamEvents
        raise api.Refused(f"{ssh.host} ended the stream: {' '.join(said.split())[:200]}", missing=("Stream Events",))
    raise api.Unavailable(f"{ssh.host} ended the stream")


def _meaning(library: ModuleType, ssh: Ssh, error: Exception) -> api.HeadgateError:
    """What went wrong, by who must act."""
    where, key = f"{ssh.host}:{ssh.port}", ssh.reference
    meanings: list[tuple[Any, type[api.HeadgateError], str]] = [
        (
            library.HostKeyNotVerifiable,
            api.Refused,
            f"the host key of {where} is none of those in known_hosts of {key}",
        ),
        (library.PermissionDenied, api.Refused, f"{where} does not accept the key of {ssh.user}"),
        (AddressRefused, api.Refused, f"{where} is not connected to: {error}"),
        (library.KeyImportError, api.CredentialError, f"{key} cannot be read as a private key without a passphrase"),
        (
            library.KeyEncryptionError,
            api.CredentialError,
            f"{key} cannot be read as a private key without a passphrase",
        ),
        ((library.Error, OSError), api.Unavailable, f"{where} cannot be reached over SSH, or broke off: {error}"),
    ]
    otherwise = (Exception, api.CredentialError, f"the known_hosts of {key} cannot be read")
    _, meaning, message = next((one for one in meanings if isinstance(error, one[0])), otherwise)
    return meaning(message)
