"""The test server is a real one: git itself clones from it, pushes to it and is turned away by it."""

from __future__ import annotations

import pytest
from git_server import GitServer, checkout, commit, commit_to, git, push, run_git


@pytest.fixture
async def server(tmp_path):
    async with GitServer(tmp_path / "hosted") as server:
        yield server


async def test_git_clones_what_was_committed(server, tmp_path):
    sha = commit_to(server.create("team/app"), {"README": "hi\n", "src/a.py": "a = 1\n"}, "First")
    await run_git(tmp_path, "clone", "--quiet", server.url("team/app"), "clone")
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == sha
    assert (tmp_path / "clone/src/a.py").read_text() == "a = 1\n"
    assert server.count("advertise") == 1


async def test_a_push_runs_the_hook_of_the_repository(server, tmp_path):
    bare = server.create("app")
    hook = bare / "hooks/post-receive"
    hook.write_text(f"#!/bin/sh\ncat > {tmp_path}/told\n")
    hook.chmod(0o755)
    worktree = checkout(tmp_path / "work")
    sha = commit(worktree, {"a": "1\n"}, "First")
    await push(worktree, server.url("app"))
    assert (tmp_path / "told").read_text() == f"{'0' * 40} {sha} refs/heads/main\n"


async def test_a_server_with_users_turns_strangers_away(tmp_path):
    async with GitServer(tmp_path / "hosted", users={"bot": "right"}) as server:
        worktree = checkout(tmp_path / "work")
        commit(worktree, {"a": "1\n"}, "First")
        server.create("app")
        with pytest.raises(AssertionError, match="Authentication failed"):
            await push(worktree, server.url("app"), user="bot", password="wrong")
        await push(worktree, server.url("app"), user="bot", password="right")
        assert server.count("receive-pack") == 1
