"""What happened between two commits, from our mirrors alone."""

from __future__ import annotations

import pytest
from git_server import commit_to
from git_server import git as run

from headgate import api
from headgate.git.history import changed_paths, changelog, commit


@pytest.fixture
async def mirrored(server, mirrors, source):
    """A mirror and its commits: five on main, and one of them renames."""
    bare = server.create("app")
    shas = [
        commit_to(bare, {f"src/{n}.py": f"{n}\n" * 30}, f"c{n}\n\nbody {n}\n", when=1_700_000_000 + n) for n in range(4)
    ]
    shas.append(commit_to(bare, {"src/0.py": None, "src/naïve name.py": "0\n" * 30}, "rename", when=1_700_000_010))
    return await mirrors.fetch(source(server, "app")), shas, bare


async def test_one_commit_is_read_with_its_author_and_message(mirrored):
    mirror, shas, _ = mirrored
    found = await commit(mirror, shas[1])
    assert found == api.Commit(
        id=shas[1], message="c1\n\nbody 1", author=api.Person(name="Ada", email="ada@example.org")
    )


async def test_the_changelog_is_oldest_first_and_limited_to_the_newest(mirrored):
    mirror, shas, _ = mirrored
    assert [found.id for found in await changelog(mirror, shas[0], shas[4])] == shas[1:]
    assert [found.id for found in await changelog(mirror, shas[0], shas[4], limit=2)] == shas[3:]
    assert [found.id for found in await changelog(mirror, None, shas[4])] == [shas[4]]
    assert await changelog(mirror, shas[4], shas[4]) == ()
    assert await changelog(mirror, shas[4], shas[0]) == (), "a push back brings nothing new"


async def test_changed_paths_hold_both_names_of_a_rename(mirrored):
    mirror, shas, _ = mirrored
    assert await changed_paths(mirror, shas[1], shas[3]) == ("src/2.py", "src/3.py")
    assert await changed_paths(mirror, shas[3], shas[4]) == ("src/0.py", "src/naïve name.py")
    assert await changed_paths(mirror, shas[4], shas[3]) == ("src/0.py", "src/naïve name.py")


async def test_of_a_new_branch_the_head_alone_is_compared(mirrored):
    mirror, shas, _ = mirrored
    assert await changed_paths(mirror, None, shas[2]) == ("src/2.py",)
    assert await changed_paths(mirror, None, shas[0]) == ("src/0.py",)


async def test_a_tag_object_stands_for_its_commit(server, mirrors, source, mirrored):
    mirror, shas, bare = mirrored
    run(bare, "tag", "-a", "v1", "-m", "v1", shas[2])
    tag = run(bare, "rev-parse", "refs/tags/v1")
    await mirrors.fetch(source(server, "app"))
    assert (await commit(mirror, tag)).id == shas[2]
    assert await changed_paths(mirror, shas[1], tag) == ("src/2.py",)
    assert [found.id for found in await changelog(mirror, shas[0], tag)] == shas[1:3]


@pytest.mark.parametrize("what", ["main:src/1.py", "main^{tree}"])
async def test_a_tag_of_a_file_or_a_folder_leads_to_no_commit(server, mirrors, source, mirrored, what):
    _, _, bare = mirrored
    run(bare, "tag", "-a", "odd", "-m", "odd", what)
    tag = run(bare, "rev-parse", "odd")
    mirror = await mirrors.fetch(source(server, "app"))
    with pytest.raises(api.NotFound, match="leads to no commit"):
        await commit(mirror, tag)


async def test_what_the_mirror_lacks_is_not_found(mirrored):
    mirror, shas, _ = mirrored
    for ask in (
        lambda: commit(mirror, "b" * 40),
        lambda: changelog(mirror, "b" * 40, shas[0]),
        lambda: changed_paths(mirror, shas[0], "b" * 40),
        lambda: changed_paths(mirror, None, "b" * 40),
    ):
        with pytest.raises(api.NotFound):
            await ask()


@pytest.mark.parametrize("name", ["HEAD", "main", "--output=/tmp/x", "a" * 39, "", "refs/heads/main"])
async def test_only_full_shas_reach_gitpython(mirrored, name):
    mirror, shas, _ = mirrored
    for ask in (
        lambda: commit(mirror, name),
        lambda: changelog(mirror, name or "x", shas[0]),
        lambda: changed_paths(mirror, shas[0], name),
    ):
        with pytest.raises(api.Refused):
            await ask()


async def test_the_servers_environment_turns_it_nowhere_else(mirrored, monkeypatch, tmp_path):
    """The last block is the negative control: without our variables the question goes to another repository."""
    mirror, shas, _ = mirrored
    mark = tmp_path / "mark"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    other = tmp_path / "other.git"
    other.mkdir()
    run(other, "init", "--quiet", "--bare")
    monkeypatch.setenv("GIT_DIR", str(other))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / "objects"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(program))
    assert await changed_paths(mirror, shas[1], shas[2]) == ("src/2.py",)
    assert [found.id for found in await changelog(mirror, shas[1], shas[2])] == [shas[2]]
    assert not mark.exists()
    monkeypatch.setattr("git.cmd.Git.update_environment", lambda *_, **__: {})
    with pytest.raises(api.NotFound):
        await changed_paths(mirror, shas[1], shas[2])


async def test_paths_that_are_no_text_are_escaped(server, mirrors, source):
    bare = server.create("app")
    blob = run(bare, "hash-object", "-w", "--stdin", stdin=b"x")
    tree = run(bare, "mktree", "-z", stdin=b"100644 blob " + blob.encode() + b"\tcaf\xe9\0")
    sha = run(bare, "commit-tree", tree, "-m", "odd")
    run(bare, "update-ref", "refs/heads/main", sha)
    mirror = await mirrors.fetch(source(server, "app"), sha=sha)
    assert await changed_paths(mirror, None, sha) == ("caf\\xe9",)


async def test_sha256_history_is_read(server, mirrors, source):
    bare = server.create("app", object_format="sha256")
    first = commit_to(bare, {"a": "1\n"}, "One")
    second = commit_to(bare, {"b": "1\n"}, "Two")
    mirror = await mirrors.fetch(source(server, "app"), sha=second)
    assert await changed_paths(mirror, first, second) == ("b",)
    assert [found.id for found in await changelog(mirror, first, second)] == [second]
