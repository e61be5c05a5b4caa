"""One narrow question, over every way a repository can be reached."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from git_server import commit_to
from git_server import git as run

from headgate import api
from headgate.git.refs import list_refs


async def test_it_lists_the_asked_prefixes_and_the_default_branch(server, git, source):
    bare = server.create("app")
    main = commit_to(bare, {"a": "1\n"}, "One")
    release = commit_to(bare, {"a": "2\n"}, "Two", branch="release/1")
    run(bare, "tag", "v1", main)
    refs = await list_refs(git, source(server, "app"), ["refs/heads/"])
    assert refs.heads == {"refs/heads/main": main, "refs/heads/release/1": release}
    assert refs.default_branch == "main"
    narrow = await list_refs(git, source(server, "app"), ["refs/heads/release/", "refs/tags/"])
    assert narrow.heads == {"refs/heads/release/1": release, "refs/tags/v1": main}


async def test_the_question_stays_small_where_the_listing_is_large(server, git, source):
    """The prefix goes to the server: 2,001 heads cost no more than one. Without prefixes the bytes appear."""
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    run(
        bare,
        "update-ref",
        "--stdin",
        stdin=b"".join(b"create refs/heads/b%d %s\n" % (n, sha.encode()) for n in range(2000)),
    )
    narrow = await list_refs(git, source(server, "app"), ["refs/heads/main"])
    wide = await list_refs(git, source(server, "app"), ["refs/"])
    assert narrow.heads == {"refs/heads/main": sha}
    assert len(wide.heads) == 2001
    assert narrow.bytes < 400
    assert wide.bytes > 100_000
    assert sum(request.sent for request in server.requests[:2]) == narrow.bytes


async def test_a_server_without_protocol_2_is_understood(server, git, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    commit_to(bare, {"a": "1\n"}, "One", branch="other")
    run(bare, "tag", "-a", "v1", "-m", "v1")
    server.version_2 = False
    refs = await list_refs(git, source(server, "app"), ["refs/heads/main"])
    assert refs.heads == {"refs/heads/main": sha}
    assert refs.default_branch == "main"
    assert server.count("upload-pack") == 0


async def test_tags_tell_what_they_lead_to_whatever_is_spoken(server, git, source, tmp_path, monkeypatch):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    run(bare, "tag", "light", sha)
    run(bare, "tag", "-a", "v1", "-m", "v1", sha)
    tag = run(bare, "rev-parse", "v1")
    assert tag != sha
    monkeypatch.setattr(git, "local_roots", (bare.parent,))
    for version_2, asked in (
        (True, source(server, "app")),
        (False, source(server, "app")),
        (True, api.CloneSource(url=str(bare))),
    ):
        server.version_2 = version_2
        refs = await list_refs(git, asked, ["refs/heads/", "refs/tags/"])
        assert refs.heads == {"refs/heads/main": sha, "refs/tags/light": sha, "refs/tags/v1": tag}
        assert refs.peeled == {"refs/tags/v1": sha}
    server.version_2 = True
    assert (await list_refs(git, source(server, "app"), ["refs/t"])).peeled == {"refs/tags/v1": sha}
    assert (await list_refs(git, source(server, "app"), ["refs/heads/"])).peeled == {}


@pytest.mark.parametrize("version_2", [True, False])
async def test_an_empty_repository_has_no_refs(server, git, source, version_2):
    server.create("app")
    server.version_2 = version_2
    refs = await list_refs(git, source(server, "app"), ["refs/heads/"])
    assert refs.heads == {}
    assert refs.default_branch is None


async def test_sha256_repositories_are_asked_in_their_own_format(server, git, source):
    sha = commit_to(server.create("app", object_format="sha256"), {"a": "1\n"}, "One")
    refs = await list_refs(git, source(server, "app"), ["refs/heads/"])
    assert refs.heads == {"refs/heads/main": sha}
    assert len(sha) == 64


async def test_a_local_folder_is_asked_by_git(tmp_path, git, monkeypatch):
    bare = tmp_path / "hosted/app.git"
    bare.mkdir(parents=True)
    run(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    commit_to(bare, {"a": "1\n"}, "One", branch="other")
    monkeypatch.setattr(git, "local_roots", (tmp_path / "hosted",))
    refs = await list_refs(git, api.CloneSource(url=str(bare)), ["refs/heads/m"])
    assert refs.heads == {"refs/heads/main": sha}
    assert refs.default_branch == "main"


async def test_a_shared_session_is_used_and_left_open(server, git, source):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    async with aiohttp.ClientSession() as session:
        await list_refs(git, source(server, "app"), ["refs/heads/"], http=session)
        assert not session.closed


async def test_names_that_we_refuse_everywhere_are_left_out_and_counted(server, git, source):
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    run(bare, "update-ref", "refs/heads/-x", sha)
    (bare / "refs/heads").joinpath("caf\udce9").write_text(f"{sha}\n")
    refs = await list_refs(git, source(server, "app"), ["refs/heads/"])
    assert refs.heads == {"refs/heads/main": sha}
    assert refs.unusable == 2


async def test_a_credential_signs_in_and_a_wrong_one_is_refused_without_being_repeated(
    private_server, git, source, credential
):
    sha = commit_to(private_server.create("app"), {"a": "1\n"}, "One")
    refs = await list_refs(git, source(private_server, "app", credential), ["refs/heads/"])
    assert refs.heads == {"refs/heads/main": sha}
    with pytest.raises(api.Refused, match="401"):
        await list_refs(git, source(private_server, "app"), ["refs/heads/"])


async def test_a_missing_repository_is_not_found(server, git, source):
    with pytest.raises(api.NotFound, match="404"):
        await list_refs(git, source(server, "none"), ["refs/heads/"])


async def test_a_redirect_is_refused_and_named(server, git, source, private_server):
    server.create("app")
    server.redirect = private_server.url("app")
    with pytest.raises(api.Refused, match=r"redirects to .*app\.git"):
        await list_refs(git, source(server, "app"), ["refs/heads/"])
    assert private_server.requests == []


async def test_a_closed_port_is_unavailable(server, git, source):
    gone = api.CloneSource(url="http://127.0.0.1:1/app.git")
    with pytest.raises(api.Unavailable):
        await list_refs(git, gone, ["refs/heads/"])


@pytest.fixture
async def odd_server():
    """Answers whatever a test puts into `answer`."""
    state = {"answer": lambda: web.Response(text="?")}

    async def handle(request):
        return state["answer"]()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    state["source"] = api.CloneSource(url=f"http://127.0.0.1:{runner.addresses[0][1]}/app.git")
    yield state
    await runner.cleanup()


async def test_too_many_requests_say_when_to_retry(odd_server, git):
    odd_server["answer"] = lambda: web.Response(status=429, headers={"Retry-After": "120"})
    with pytest.raises(api.RateLimited) as caught:
        await list_refs(git, odd_server["source"], ["refs/heads/"])
    wait = caught.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=110) < wait <= timedelta(seconds=120)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0000",
        b"zzzz",
        b"0009version 9",
        b"000eversion 2\n",
        b"0010ERR go away\n",
        b"\xff\xff\xff\xff",
        b"0004" * 3,
    ],
)
async def test_nonsense_is_an_error_and_never_an_empty_list(odd_server, git, body):
    """Error is not change: an empty list would look as if every branch had been deleted."""
    kind = "application/x-git-upload-pack-advertisement"
    odd_server["answer"] = lambda: web.Response(body=body, content_type=kind)
    with pytest.raises(api.Unavailable):
        await list_refs(git, odd_server["source"], ["refs/heads/"])


async def test_an_answer_that_is_cut_off_is_an_error_and_never_a_shorter_list(server, odd_server, git, source):
    bare = server.create("app")
    commit_to(bare, {"a": "1\n"}, "One")
    server.version_2 = False
    address = f"{server.url('app')}/info/refs?service=git-upload-pack"
    async with aiohttp.ClientSession() as session, session.get(address) as response:
        whole, kind = await response.read(), response.content_type
    odd_server["answer"] = lambda: web.Response(body=whole, content_type=kind)
    assert len((await list_refs(git, odd_server["source"], ["refs/heads/"])).heads) == 1
    for end in range(len(whole)):
        odd_server["answer"] = lambda end=end: web.Response(body=whole[:end], content_type=kind)
        with pytest.raises(api.Unavailable):
            await list_refs(git, odd_server["source"], ["refs/heads/"])


async def test_a_listing_without_end_is_cut_off(odd_server, git, monkeypatch):
    monkeypatch.setattr("headgate.git.refs._MAX_BYTES", 1000)
    kind = "application/x-git-upload-pack-advertisement"
    odd_server["answer"] = lambda: web.Response(body=b"x" * 5000, content_type=kind)
    with pytest.raises(api.ProviderError, match="larger than 1000 bytes"):
        await list_refs(git, odd_server["source"], ["refs/heads/"])


async def test_a_silent_server_does_not_hold_us(server, git, source, monkeypatch):
    server.create("app")
    server.gate.clear()
    monkeypatch.setattr("headgate.git.refs._TIME_LIMIT", 0.2)
    async with asyncio.timeout(10):
        with pytest.raises(api.Unavailable, match="did not answer"):
            await list_refs(git, source(server, "app"), ["refs/heads/"])


async def test_a_page_that_is_no_git_answer_is_an_error(odd_server, git):
    with pytest.raises(api.Unavailable, match="no Git answer"):
        await list_refs(git, odd_server["source"], ["refs/heads/"])
