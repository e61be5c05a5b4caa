"""A real sshd on loopback: a key signs in, a changed host is not trusted, and the key is gone afterwards."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from git_server import commit_to
from git_server import git as run
from needs import need

from headgate import api
from headgate.git import access
from headgate.git.command import Git
from headgate.git.refs import list_refs
from headgate.git.workspaces import make_workspace


@pytest.fixture
def keys(tmp_path):
    """Two key pairs: the host's and the user's."""
    generate = need("ssh-keygen")
    for name in ("host", "user", "stranger"):
        subprocess.run([generate, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    return tmp_path


@pytest.fixture
async def sshd(keys):
    """Its port. It knows one key, runs whatever that key's owner asks, and is ended by id."""
    program = need("sshd")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (keys / "authorized").write_text((keys / "user.pub").read_text())
    config = keys / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "AcceptEnv GIT_PROTOCOL\nKbdInteractiveAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it wants to drop its privileges
    process = await asyncio.create_subprocess_exec(
        program, "-D", "-e", "-f", config, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline, "sshd did not start"
            await asyncio.sleep(0.02)
    yield port
    process.terminate()
    await process.wait()


@pytest.fixture
def bare(tmp_path):
    bare = tmp_path / "app.git"
    bare.mkdir()
    run(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    commit_to(bare, {"a": "1\n"}, "One")
    return bare


def ssh_source(keys, port, bare, *, user_key="user", host_key="host", hosts=("127.0.0.1",)):
    known = f"[127.0.0.1]:{port} {(keys / f'{host_key}.pub').read_text()}"
    credential = api.Credential(
        type="ssh_key",
        fields={"private_key": api.Secret((keys / user_key).read_text()), "known_hosts": api.Secret(known)},
        hosts=hosts,
    )
    return api.CloneSource(url=f"ssh://{getpass.getuser()}@127.0.0.1:{port}{bare}", credential=credential)


async def test_a_key_lists_fetches_and_checks_out(sshd, keys, bare, mirrors, tmp_path):
    source = ssh_source(keys, sshd, bare)
    refs = await list_refs(mirrors.git, source, ["refs/heads/"])
    sha = refs.heads["refs/heads/main"]
    assert refs.default_branch == "main"
    mirror = await mirrors.fetch(source, sha=sha)
    await make_workspace(
        mirrors, mirror, tmp_path / "ws", sha=sha, ref="refs/heads/main", checkout=api.Checkout(), source=source
    )
    assert (tmp_path / "ws/a").read_text() == "1\n"
    assert list((tmp_path / "home/keys").iterdir()) == []


async def test_a_host_with_another_key_is_not_trusted(sshd, keys, bare, git, monkeypatch):
    """Then the negative control: without strictness the impostor is asked."""
    source = ssh_source(keys, sshd, bare, host_key="stranger")
    with pytest.raises(api.Refused, match="known_hosts"):
        await list_refs(git, source, ["refs/heads/"])
    strict = access._ssh_command
    monkeypatch.setattr(
        access,
        "_ssh_command",
        lambda key, hosts: [
            word.replace("StrictHostKeyChecking=yes", "StrictHostKeyChecking=no").replace(str(hosts), "/dev/null")
            for word in strict(key, hosts)
        ],
    )
    assert (await list_refs(git, source, ["refs/heads/"])).heads


async def test_a_key_the_host_does_not_know_is_refused(sshd, keys, bare, git):
    with pytest.raises(api.Refused, match="credential"):
        await list_refs(git, ssh_source(keys, sshd, bare, user_key="stranger"), ["refs/heads/"])


async def test_the_users_own_ssh_configuration_is_not_read(sshd, keys, bare, tmp_path, monkeypatch):
    """A ProxyCommand in ~/.ssh/config would run; neither it nor an agent is used."""
    mark = tmp_path / "mark"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(f"Host *\n  ProxyCommand touch {mark}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    git = Git(timeout=30, max_repository_size=10**9, home=tmp_path / "home")
    assert (await list_refs(git, ssh_source(keys, sshd, bare), ["refs/heads/"])).heads
    assert not mark.exists()


async def test_the_key_is_a_private_file_only_while_git_runs(keys, bare, tmp_path):
    source = ssh_source(keys, 22, bare)
    git = Git(timeout=30, max_repository_size=10**9, home=tmp_path / "home")
    with access.open_access(git.locate(source), source, folder=tmp_path / "home/keys") as way:
        files = [file for file in (tmp_path / "home/keys").rglob("*") if file.is_file()]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert {file.parent.stat().st_mode & 0o777 for file in files} == {0o700}
        secret = source.credential.text().reveal().splitlines()[1]
        assert secret not in str(way.settings) + str(way.environment)
    assert list((tmp_path / "home/keys").iterdir()) == []
