"""A host that is known is asked in one request, and what was remembered of it never hides what is true now."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from git_server import commit_to
from git_server import git as run

from headgate import api
from headgate.git.advertisements import MOST, Advertisements
from headgate.git.names import check_url
from headgate.git.packets import Advertisement
from headgate.git.refs import list_refs


@pytest.fixture
def known():
    return Advertisements()


@pytest.fixture
async def ask(git, source, known):
    async with aiohttp.ClientSession() as session:

        async def ask(server, name="app", credential=None, prefixes=("refs/heads/",)):
            place = source(server, name, credential)
            return (await list_refs(git, place, prefixes, http=session, advertisements=known)).heads

        yield ask


def asked(server):
    services = [request.service for request in server.requests]
    server.requests.clear()
    return services


FULL, SHORT = ["advertise", "upload-pack"], ["upload-pack"]


async def test_the_second_question_to_a_host_is_one_request_whatever_the_repository(server, ask):
    first, second = (commit_to(server.create(name), {name: "1\n"}, "One") for name in ("app", "lib"))
    assert await ask(server) == {"refs/heads/main": first}
    assert asked(server) == FULL
    for name, sha in (("lib", second), ("app", first)):
        assert await ask(server, name) == {"refs/heads/main": sha}
        assert asked(server) == SHORT


async def test_without_memory_every_question_is_two_requests(server, git, source):
    """The control."""
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    for _ in range(2):
        await list_refs(git, source(server, "app"), ["refs/heads/"])
        assert asked(server) == FULL


async def test_a_question_for_a_branch_that_is_not_there_stays_one_request(server, ask):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    for services in (FULL, SHORT):
        assert await ask(server, prefixes=("refs/heads/none/",)) == {}
        assert asked(server) == services


async def test_a_repository_with_another_object_format_is_asked_in_full_once(server, ask):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    longer = commit_to(server.create("long", object_format="sha256"), {"a": "1\n"}, "One")
    await ask(server)
    asked(server)
    assert await ask(server, "long") == {"refs/heads/main": longer}
    assert "advertise" in asked(server)
    assert await ask(server, "long") == {"refs/heads/main": longer}
    assert asked(server) == SHORT
    await ask(server)
    assert asked(server) == SHORT


async def test_a_server_that_no_longer_speaks_version_2_is_understood_and_then_asked_its_way(server, ask):
    sha = commit_to(server.create("app"), {"a": "1\n"}, "One")
    await ask(server)
    server.version_2 = False
    asked(server)
    assert await ask(server) == {"refs/heads/main": sha}
    assert asked(server)[-1] == "advertise"
    assert await ask(server) == {"refs/heads/main": sha}
    assert asked(server) == ["advertise"]
    server.version_2 = True
    assert await ask(server) == {"refs/heads/main": sha}
    assert asked(server) == FULL
    await ask(server)
    assert asked(server) == SHORT


async def test_an_empty_list_is_believed_only_when_it_was_asked_for_in_full(server, ask):
    """An empty list means that every branch was deleted: what was remembered must not be its reason."""
    bare = server.create("app")
    sha = commit_to(bare, {"a": "1\n"}, "One")
    assert await ask(server) == {"refs/heads/main": sha}
    run(bare, "update-ref", "-d", "refs/heads/main")
    asked(server)
    assert await ask(server) == {}
    assert asked(server) == ["upload-pack", *FULL]


async def test_a_refusal_is_raised_and_makes_the_next_question_a_full_one(private_server, ask, credential):
    sha = commit_to(private_server.create("app"), {"a": "1\n"}, "One")
    assert await ask(private_server, credential=credential) == {"refs/heads/main": sha}
    asked(private_server)
    with pytest.raises(api.Refused, match="401"):
        await ask(private_server)
    assert len(asked(private_server)) == 1, "a host that refuses is not asked twice"
    assert await ask(private_server, credential=credential) == {"refs/heads/main": sha}
    assert asked(private_server) == FULL
    await ask(private_server, credential=credential)
    assert asked(private_server) == SHORT


async def test_a_missing_repository_is_not_found_at_a_known_host(server, ask):
    commit_to(server.create("app"), {"a": "1\n"}, "One")
    await ask(server)
    for _ in range(2):
        with pytest.raises(api.NotFound):
            await ask(server, "none")


@pytest.mark.parametrize(
    "body", [b"", b"0000", b"zzzz", b"0010ERR go away\n", b"003d" + b"a" * 40 + b" refs/heads/main"]
)
async def test_nonsense_from_a_known_host_is_never_a_list(git, known, body):
    """Only the full question's own answer counts, and that one fails here."""
    seen = []

    async def answer(request):
        seen.append(request.method)
        if request.method == "GET":
            return web.Response(status=500)
        return web.Response(body=body, content_type="application/x-git-upload-pack-result")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/app.git"
    known.keep(check_url(url), Advertisement(version=2, capabilities={b"ls-refs": b""}))
    with pytest.raises(api.Unavailable):
        await list_refs(git, api.CloneSource(url=url), ["refs/heads/"], advertisements=known)
    assert seen == ["POST", "GET"]
    await runner.cleanup()


def test_what_is_remembered_of_odd_repositories_is_bounded(known):
    known.keep(check_url("https://example.org/app"), Advertisement(version=2, capabilities={}))
    for number in range(2 * MOST):
        known.doubt(check_url(f"https://example.org/{number}"))
    assert len(known._apart) <= MOST
