"""Real parts for the git room: a server on loopback, a runner with a home of its own, mirrors on disk."""

from __future__ import annotations

import pytest
from git_server import GitServer

from headgate import api
from headgate.git.command import Git
from headgate.git.mirrors import Mirrors


@pytest.fixture
async def server(tmp_path):
    async with GitServer(tmp_path / "hosted") as server:
        yield server


@pytest.fixture
async def private_server(tmp_path):
    """Takes only `bot` with `t0ken-of-bot/+&`, which needs escaping in every form it can take."""
    async with GitServer(tmp_path / "private", users={"bot": "t0ken-of-bot/+&"}) as server:
        yield server


@pytest.fixture
def local_roots():
    """Folders that tests may read repositories from; a test module overrides it."""
    return ()


@pytest.fixture
def git(tmp_path, local_roots):
    return Git(local_roots=local_roots, timeout=30, max_repository_size=1_000_000_000, home=tmp_path / "home")


@pytest.fixture
async def mirrors(git, tmp_path):
    mirrors = Mirrors(git, tmp_path / "mirrors")
    yield mirrors
    await mirrors.close()


@pytest.fixture
def credential():
    """What `private_server` takes."""
    return api.Credential(
        type="user_password",
        fields={"username": api.Secret("bot"), "password": api.Secret("t0ken-of-bot/+&")},
        hosts=("127.0.0.1",),
    )


def source_of(server: GitServer, name: str, credential: api.Credential | None = None) -> api.CloneSource:
    return api.CloneSource(url=server.url(name), credential=credential)


@pytest.fixture
def source():
    return source_of
