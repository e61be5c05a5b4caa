"""An SSH server on loopback that plays what a test tells it, cut where the test cuts it; not Gerrit's own."""

from __future__ import annotations

import asyncio
import contextlib

import asyncssh

CUT, END, WAIT = object(), object(), object()
"""Break the connection off; end the command in good order; stay silent until the client goes."""


class SshHost:
    """Each connection plays the next of `plays`: bytes to send and what to do; `commands` and `users` are what came."""

    def __init__(self):
        self.plays = []
        self.commands, self.users = [], []
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self.connections = []

    def known_hosts(self, key=None):
        """A line that names this server, with its key or another one."""
        public = (key or self.key).export_public_key().decode().strip()
        return f"[127.0.0.1]:{self.port} {public}\n"

    @property
    def private_key(self):
        return self.client_key.export_private_key().decode()

    async def cut(self):
        """Break all connections off."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()

    async def process(self, process):
        self.connections.append(process.channel.get_connection())
        self.commands.append(process.command)
        self.users.append(process.get_extra_info("username"))
        play = self.plays.pop(0) if self.plays else [WAIT]
        with contextlib.suppress(asyncssh.Error, OSError):
            for step in play:
                if step is CUT:
                    await process.stdout.drain()
                    process.channel.get_connection().abort()
                    return
                if step is END:
                    process.exit(0)
                    return
                if step is WAIT:
                    await process.stdin.read()
                    return
                if isinstance(step, int):
                    process.exit(step)
                    return
                if isinstance(step, str):
                    process.stderr.write(step.encode())
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    process.stdout.write(step)
                    await process.stdout.drain()


@contextlib.asynccontextmanager
async def ssh_server(host):
    """The server runs inside this context; its port is another one each time."""
    authorized = asyncssh.import_authorized_keys(host.client_key.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1",
        host.port,
        server_host_keys=[host.key],
        authorized_client_keys=authorized,
        process_factory=host.process,
        encoding=None,
        reuse_address=True,
    )
    host.port = server.get_port()
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()


class _Half(asyncio.Protocol):
    """One side of a relayed connection."""

    def __init__(self, relay, other=None):
        self.relay, self.other, self.early = relay, other, []

    def connection_made(self, transport):
        self.transport = transport
        self.relay.transports.append(transport)
        if self.other is None:
            self.relay.tasks.append(asyncio.create_task(self.connect()))

    async def connect(self):
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: _Half(self.relay, self), "127.0.0.1", self.relay.port)
        for data in self.early:
            self.other.transport.write(data)

    def data_received(self, data):
        if self.relay.silent:
            return
        if self.other is None:
            self.early.append(data)
        else:
            self.other.transport.write(data)


class Relay:
    """Passes on what both sides say, until it is `silent`: then the connection stands, and nobody hears anything."""

    def __init__(self, port):
        self.port, self.silent = port, False
        self.transports, self.tasks = [], []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: _Half(self), "127.0.0.1", 0)
        self.listens_on = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for transport in self.transports:
            transport.abort()
        await self.server.wait_closed()
