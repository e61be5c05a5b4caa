"""One mirror for a repository and credential, one fetch for all who ask."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from git_server import commit_to
from git_server import git as run
from silent_server import SilentServer

from headgate import api
from headgate.git import mirrors as module
from headgate.git.command import Git
from headgate.git.mirrors import Mirrors


def fetches(server) -> int:
    """How many fetches began: each asks once who is there."""
    return server.count("advertise")


async def test_a_mirror_holds_branches_and_tags(server, mirrors, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    other = commit_to(bare, {"b": "1\n"}, "Two", branch="other")
    run(bare, "tag", "-a", "v1", "-m", "v1", sha)
    mirror = await mirrors.fetch(source(server, "app"))
    assert await mirrors.resolve(mirror, "refs/heads/main") == sha
    assert await mirrors.resolve(mirror, "refs/heads/other") == other
    assert await mirrors.resolve(mirror, "refs/tags/v1") == sha
    with pytest.raises(api.NotFound, match="refs/heads/none"):
        await mirrors.resolve(mirror, "refs/heads/none")


async def test_fifty_jobs_share_one_fetch(server, mirrors, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    found = await asyncio.gather(*(mirrors.fetch(source(server, "app"), sha=sha) for _ in range(50)))
    assert len({mirror.path for mirror in found}) == 1
    assert fetches(server) == 1


async def test_without_sharing_there_would_be_fifty(server, git, source, tmp_path):
    """The negative control of the test above: fifty rooms that do not know each other."""
    sha = commit_to(server.create("app"), {"a": "1\n"}, "One")
    rooms = [Mirrors(git, tmp_path / f"mirrors-{number}") for number in range(50)]
    await asyncio.gather(*(room.fetch(source(server, "app"), sha=sha) for room in rooms))
    assert fetches(server) == 50


async def test_a_commit_that_is_there_is_not_fetched_again(server, mirrors, source):
    sha = commit_to(server.create("app"), {"a": "1\n"}, "One")
    await mirrors.fetch(source(server, "app"), sha=sha)
    await mirrors.fetch(source(server, "app"), sha=sha)
    assert fetches(server) == 1
    await mirrors.fetch(source(server, "app"))
    assert fetches(server) == 2


async def test_who_asks_during_a_fetch_for_a_commit_it_brings_waits_for_it(server, mirrors, source):
    sha = commit_to(server.create("app"), {"a": "1\n"}, "One")
    server.waits = lambda request: request.path.endswith("git-upload-pack")
    server.gate.clear()
    first = asyncio.create_task(mirrors.fetch(source(server, "app"), sha=sha))
    await asyncio.wait_for(server.arrived.wait(), 20)
    second = asyncio.create_task(mirrors.fetch(source(server, "app"), sha=sha))
    await asyncio.sleep(0)
    server.gate.set()
    assert await first == await second
    assert fetches(server) == 1


async def test_who_asks_during_a_fetch_for_something_newer_gets_the_next_one(server, mirrors, source):
    """A fetch that began before a push cannot bring it; two who ask meanwhile share the second."""
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    first = asyncio.create_task(mirrors.fetch(source(server, "app")))
    server.waits = lambda request: request.path.endswith("git-upload-pack")
    server.gate.clear()
    await asyncio.wait_for(server.arrived.wait(), 20)
    others = [asyncio.create_task(mirrors.fetch(source(server, "app"))) for _ in range(2)]
    await asyncio.sleep(0)
    newer = commit_to(bare, {"a": "2\n"}, "Two")
    server.gate.set()
    await first
    mirror, _ = await asyncio.gather(*others)
    assert await mirrors.resolve(mirror, "refs/heads/main") == newer
    assert fetches(server) == 2


async def test_one_who_gives_up_does_not_end_the_fetch_of_others(server, mirrors, source):
    sha = commit_to(server.create("app"), {"a": "1\n"}, "One")
    server.gate.clear()
    first, second = (asyncio.create_task(mirrors.fetch(source(server, "app"), sha=sha)) for _ in range(2))
    await asyncio.wait_for(server.arrived.wait(), 20)
    first.cancel()
    server.gate.set()
    assert await mirrors.has(await second, sha)
    assert fetches(server) == 1


async def test_a_moved_and_a_deleted_branch_follow(server, mirrors, source):
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    gone = commit_to(bare, {"a": "2\n"}, "Two", branch="gone/x")
    mirror = await mirrors.fetch(source(server, "app"))
    forced = commit_to(bare, {"a": "3\n"}, "Three", parents=[])
    run(bare, "update-ref", "-d", "refs/heads/gone/x")
    run(bare, "update-ref", "refs/heads/gone", forced)
    await mirrors.fetch(source(server, "app"))
    assert await mirrors.resolve(mirror, "refs/heads/main") == forced
    assert await mirrors.resolve(mirror, "refs/heads/gone") == forced
    with pytest.raises(api.NotFound):
        await mirrors.resolve(mirror, "refs/heads/gone/x")
    assert await mirrors.has(mirror, gone), "a build of it may still be waiting"


async def test_a_change_request_is_fetched_on_demand(server, mirrors, source):
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    change = commit_to(bare, {"a": "2\n"}, "Two", branch="tmp")
    run(bare, "update-ref", "refs/pull/7/head", change)
    run(bare, "update-ref", "-d", "refs/heads/tmp")
    mirror = await mirrors.fetch(source(server, "app"))
    assert not await mirrors.has(mirror, change)
    await mirrors.fetch(source(server, "app"), sha=change, change_ref="refs/pull/7/head")
    assert await mirrors.resolve(mirror, "refs/pull/7/head") == change


async def test_a_missing_ref_is_the_fault_of_who_asked_for_it_alone(server, mirrors, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    run(bare, "update-ref", "refs/pull/7/head", sha)
    good, bad, also_good = await asyncio.gather(
        mirrors.fetch(source(server, "app")),
        mirrors.fetch(source(server, "app"), change_ref="refs/pull/8/head"),
        mirrors.fetch(source(server, "app"), change_ref="refs/pull/7/head"),
        return_exceptions=True,
    )
    assert isinstance(bad, api.NotFound)
    assert "refs/pull/8/head" in str(bad)
    assert await mirrors.resolve(good, "refs/heads/main") == sha
    assert await mirrors.resolve(also_good, "refs/pull/7/head") == sha


async def test_a_commit_nobody_has_is_not_found(server, mirrors, source):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    with pytest.raises(api.NotFound, match="b" * 40):
        await mirrors.fetch(source(server, "app"), sha="b" * 40)


async def test_a_commit_no_branch_leads_to_any_more_is_still_asked_for(server, mirrors, source):
    """A build of a push that was forced over: servers usually still give it by its id."""
    bare = server.create("app")
    old = commit_to(bare, {"a": "1\n"}, "One")
    commit_to(bare, {"a": "2\n"}, "Two", parents=[])
    mirror = await mirrors.fetch(source(server, "app"), sha=old)
    assert await mirrors.has(mirror, old)


async def test_only_the_asked_refs_are_fetched(server, mirrors, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    other = commit_to(bare, {"b": "1\n"}, "Two", branch="other")
    mirror = await mirrors.fetch(source(server, "app"), refs=["refs/heads/main"], sha=sha)
    assert not await mirrors.has(mirror, other)


@pytest.mark.parametrize("damage", ["no objects", "no HEAD", "junk ref"])
async def test_a_damaged_mirror_is_made_anew(server, mirrors, source, damage):
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    mirror = await mirrors.fetch(source(server, "app"))
    if damage == "no objects":
        for file in (mirror.path / "objects/pack").iterdir():
            file.unlink()
    elif damage == "no HEAD":
        (mirror.path / "HEAD").write_text("")
    else:
        (mirror.path / "packed-refs").write_text("nonsense\n")
    sha = commit_to(bare, {"a": "2\n"}, "Two")
    again = await mirrors.fetch(source(server, "app"), sha=sha)
    assert again == mirror
    run(again.path, "fsck", "--full")
    assert run(again.path, "rev-list", "--count", sha) == "2"


async def test_what_a_killed_fetch_left_does_not_stop_the_next(server, git, tmp_path, source):
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    mirror = await Mirrors(git, tmp_path / "mirrors").fetch(source(server, "app"))
    for name in ("packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"):
        (mirror.path / name).write_text("")
    sha = commit_to(bare, {"a": "2\n"}, "Two")
    started_again = Mirrors(git, tmp_path / "mirrors")
    await started_again.fetch(source(server, "app"), sha=sha)
    assert not list(mirror.path.rglob("*.lock"))
    assert not list(mirror.path.rglob("tmp_pack*"))


async def test_a_repository_over_the_budget_is_refused(server, source, tmp_path):
    git = Git(timeout=30, max_repository_size=200_000, home=tmp_path / "home")
    mirrors = Mirrors(git, tmp_path / "mirrors")
    commit_to(server.create("app"), {"big": os.urandom(20_000_000)}, "Big")
    with pytest.raises(api.ProviderError, match="max_repository_size"):
        await mirrors.fetch(source(server, "app"))
    left = sum(file.stat().st_size for file in (tmp_path / "mirrors").rglob("*") if file.is_file())
    assert left < 200_000


async def test_each_credential_has_a_mirror_of_its_own(private_server, mirrors, source, credential):
    """What one connection fetched, another that may not fetch it never sees."""
    sha = commit_to(private_server.create("app"), {"a": "1\n"}, "One")
    mine = await mirrors.fetch(source(private_server, "app", credential), sha=sha)
    other = msgspec.structs.replace(credential, fields={**credential.fields, "password": api.Secret("wrong")})
    for stranger in (other, None):
        with pytest.raises(api.Refused):
            await mirrors.fetch(source(private_server, "app", stranger), sha=sha)
    assert await mirrors.fetch(source(private_server, "app", credential), sha=sha) == mine


async def test_an_owner_keeps_its_mirror_when_the_token_rotates(private_server, mirrors, source, credential):
    sha = commit_to(private_server.create("app"), {"a": "1\n"}, "One")
    mine = await mirrors.fetch(source(private_server, "app", credential), sha=sha, owner="acme")
    private_server.users = {"bot": "new"}
    new = msgspec.structs.replace(credential, fields={**credential.fields, "password": api.Secret("new")}, version=2)
    newer = commit_to(private_server.root / "app.git", {"a": "2\n"}, "Two")
    assert await mirrors.fetch(source(private_server, "app", new), sha=newer, owner="acme") == mine
    assert await mirrors.fetch(source(private_server, "app", new), sha=newer, owner="other") != mine


async def test_many_fetches_leave_few_packs_and_no_loose_refs(server, mirrors, source, monkeypatch):
    monkeypatch.setattr(module, "_MAX_PACKS", 3)
    bare = server.create("app")
    for number in range(8):
        sha = commit_to(bare, {"a": f"{number}\n"}, f"{number}", when=1_700_000_000 + number)
        mirror = await mirrors.fetch(source(server, "app"), sha=sha)
    assert len(list((mirror.path / "objects/pack").glob("*.pack"))) <= 4
    assert not [file for file in (mirror.path / "refs").rglob("*") if file.is_file()]
    run(mirror.path, "fsck", "--full")


async def test_mirrors_nobody_asks_for_are_swept(server, mirrors, source):
    for name in ("old", "new"):
        commit_to(server.create(name), {"a": "1\n"}, "One")
    old = await mirrors.fetch(source(server, "old"))
    new = await mirrors.fetch(source(server, "new"))
    os.utime(old.path / "headgate-used", (1, 1))
    assert await mirrors.sweep(unused_for=timedelta(days=30)) == 1
    assert not old.path.exists()
    assert new.path.exists()


async def test_a_sha256_repository_is_mirrored_in_its_own_format(server, mirrors, source):
    sha = commit_to(server.create("app", object_format="sha256"), {"a": "1\n"}, "One")
    mirror = await mirrors.fetch(source(server, "app"), sha=sha)
    assert run(mirror.path, "rev-parse", "--show-object-format") == "sha256"


async def test_a_mirror_is_private(server, mirrors, source, tmp_path):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    await mirrors.fetch(source(server, "app"))
    assert (tmp_path / "mirrors").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "mirrors/key").stat().st_mode & 0o777 == 0o600


async def test_closing_ends_what_still_fetches(server, git, tmp_path, source):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    server.gate.clear()
    mirrors = Mirrors(git, tmp_path / "mirrors")
    task = asyncio.create_task(mirrors.fetch(source(server, "app")))
    await asyncio.wait_for(server.arrived.wait(), 20)
    await mirrors.close()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("per_host", "patience", "fetched"), [(2, 3600, True), (4, 0.5, True), (4, 3600, False)])
async def test_hosts_that_do_not_answer_leave_others_their_turn(  # noqa: PLR0917 - fixtures
    server, git, tmp_path, source, per_host, patience, fetched
):
    """And without a bound for each host, and an end to patience (the control), they have every fetch there may be."""
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    async with SilentServer() as silent:
        mirrors = Mirrors(git, tmp_path / "mirrors", concurrency=4, per_host=per_host, patience=patience)
        tasks = [
            asyncio.create_task(mirrors.fetch(api.CloneSource(url=f"http://localhost:{silent.port}/{number}.git")))
            for number in range(8)
        ]
        for _ in range(per_host):
            await asyncio.wait_for(silent.arrived.acquire(), 20)
        if fetched:
            await asyncio.wait_for(mirrors.fetch(source(server, "app")), 20)
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(mirrors.fetch(source(server, "app")), 1)
        await mirrors.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_folder_below_a_local_root_is_mirrored(tmp_path):
    """This is how the sample job builds the very checkout it lies in; ownership is the admin's word."""
    bare = tmp_path / "repos/app.git"
    bare.mkdir(parents=True)
    run(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    if os.geteuid() == 0:
        for path in (bare, *bare.rglob("*")):
            os.chown(path, 12345, 12345)
    git = Git(local_roots=[tmp_path / "repos"], timeout=30, max_repository_size=10**9, home=tmp_path / "home")
    mirrors = Mirrors(git, tmp_path / "mirrors")
    mirror = await mirrors.fetch(api.CloneSource(url=str(bare)), sha=sha)
    assert await mirrors.has(mirror, sha)


async def test_the_first_digits_of_a_commit_lead_to_it(server, mirrors, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    mirror = await mirrors.fetch(source(server, "app"))
    assert await mirrors.expand(mirror, sha[:12]) == sha
    with pytest.raises(api.NotFound, match="no commit starting with"):
        await mirrors.expand(mirror, "0123456789ab")


async def test_a_branch_that_is_called_like_a_commit_is_not_meant(server, mirrors, source):
    """`git rev-parse` alone would take the branch."""
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    other = commit_to(bare, {"a": "2\n"}, "Two")
    run(bare, "branch", sha[:12], other)
    mirror = await mirrors.fetch(source(server, "app"))
    assert await mirrors.expand(mirror, sha[:12]) == sha
    assert run(mirror.path, "rev-parse", sha[:12]).strip() == other


@pytest.mark.parametrize("short", ["", "abc", "ABCDEF012345", "--all", "HEAD", "main", "a1" * 32])
async def test_what_is_no_abbreviation_reaches_no_git(server, mirrors, source, short):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    mirror = await mirrors.fetch(source(server, "app"))
    with pytest.raises(api.Refused):
        await mirrors.expand(mirror, short)


async def test_digits_that_fit_several_objects_are_a_conflict(server, mirrors, source, monkeypatch):
    """Seven digits shared by two objects take 20,000 objects, four take 300: the rule about length is lowered."""
    commit_to(server.create("app"), {f"{number}": f"{number}\n" for number in range(1500)}, "Many")
    mirror = await mirrors.fetch(source(server, "app"))
    ids = run(mirror.path, "rev-list", "--all", "--objects", "--no-object-names").split()
    shared = next(start for start, count in Counter(one[:4] for one in ids).items() if count > 1)
    monkeypatch.setattr(module, "check_short_sha", lambda short: short)
    with pytest.raises(api.Conflict, match="objects whose ids start with"):
        await mirrors.expand(mirror, shared)
