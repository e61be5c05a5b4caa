"""Where a client may go: below its base URL, on its origin, and to no metadata service."""

from __future__ import annotations

import posixpath
import socket
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from headgate import api
from headgate.api.client import AddressRefused, BaseUrl, Bounds, Client, Dialect, StoredCredential, segment
from headgate.api.client import guard as guard_module

BASE = BaseUrl.read("https://git.acme.example/api/v4/", configured=True)


@pytest.mark.parametrize(
    ("text", "configured", "words"),
    [
        ("git.acme.example", True, "https://"),
        ("ftp://git.acme.example", True, "https://"),
        ("https://ada:pw@git.acme.example", True, "user"),
        ("https://git.acme.example?x=1", True, "query"),
        ("https://git.acme.example#x", True, "fragment"),
        ("https://git.acme.example\\@evil.example", True, "URL"),
        ("https://git.acme.example:port", True, "URL"),
        ("http://git.acme.example", False, "plain http"),
        ("https://169.254.169.254/", True, "link-local"),
        ("http://[fd00:ec2::254]/", True, "metadata"),
        ("https://10.0.0.1/", False, "private"),
        ("https://0.0.0.0/", True, "single machine"),
    ],
)
def test_what_is_no_base_url(text, configured, words):
    with pytest.raises(api.ConfigError, match=words):
        BaseUrl.read(text, configured=configured)


@pytest.mark.parametrize(
    ("text", "configured"),
    [
        ("https://api.github.com", False),
        ("http://git.acme.example", True),
        ("https://10.0.0.1:8443/git", True),
        ("http://127.0.0.1:3000", True),
    ],
)
def test_what_is_one(text, configured):
    assert BaseUrl.read(text, configured=configured).url == text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/user", "/user"),
        ("/projects/acme%2Fweb/x", "/projects/acme%2Fweb/x"),
        ("/repos/a b/ü", "/repos/a%20b/%C3%BC"),
        ("/x?admin=1", "/x%3Fadmin=1"),
        ("/x#y", "/x%23y"),
        ("/x\r\nHost: evil", "/x%0D%0AHost:%20evil"),
        ("/@evil.example/x", "/@evil.example/x"),
    ],
)
def test_a_path_stays_a_path(path, expected):
    assert str(BASE.at(path)) == "https://git.acme.example/api/v4" + expected


@pytest.mark.parametrize(
    "path", ["user", "//evil.example/x", "/../../admin", "/a/%2e%2E/b", "/a%2F..%2Fb", "/a\\..\\b", "/a//b", "/\ud800"]
)
def test_a_path_that_climbs_out_is_refused(path):
    with pytest.raises(api.NotFound, match="no path below"):
        BASE.at(path)


def test_a_segment_has_no_slash():
    assert segment("acme/web ü") == "acme%2Fweb%20%C3%BC"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://git.acme.example/api/v4/x?page=2", "https://git.acme.example/api/v4/x?page=2"),
        ("https://GIT.acme.example:443/y?a=%2F&b=c%3D", "https://git.acme.example/y?a=%2F&b=c%3D"),
        ("/api/graphql", "https://git.acme.example/api/graphql"),
    ],
)
def test_a_link_on_our_origin_is_followed(link, expected):
    assert str(BASE.own(link)) == expected


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/v4/x",
        "http://git.acme.example/api/v4/x",
        "https://git.acme.example:444/x",
        "https://ada:pw@git.acme.example/x",
        "https://git.acme.example@evil.example/x",
        "https://git.acme.example\\@evil.example/x",
        "//evil.example/x",
        "https://git.acme.example.evil.example/",
        "javascript:alert(1)",
        "https://git.acme.example/ x",
        "https://[::1",
    ],
)
def test_a_link_to_anywhere_else_is_refused(link):
    with pytest.raises(api.ProviderError, match="leads away"):
        BASE.own(link)


def resolving_to(*addresses):
    class Resolver:
        async def resolve(self, host, port=0, family=socket.AF_INET):
            return [
                {
                    "hostname": host,
                    "host": address,
                    "port": port,
                    "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                    "proto": 6,
                    "flags": 0,
                }
                for address in addresses
            ]

        async def close(self):
            pass

    return Resolver()


async def asks(played, *, configured, addresses=("127.0.0.1",)):
    """One GET of a name that resolves to `addresses`; over http, which only an admin may write, to reach the server."""
    played.host.http.connector._resolver = resolving_to(*addresses)
    base = BaseUrl(url=f"http://public.example:{played.server.port}", configured=configured)
    client = Client(
        played.host, base, dialect=Dialect(name="Played"), authorize=StoredCredential(played.host, None, base),
        bounds=Bounds(attempts=3, connect=1, whole=2), sleep=played.clock.sleep,
    )  # fmt: skip
    return await client.get("/x", type=list)


async def test_a_private_address_is_asked_only_where_an_admin_wrote_the_host(play):
    """A provider's own public host that resolves to an inner address is not asked; a self-hosted one is."""
    played = await play(lambda _: web.json_response([]))
    with pytest.raises(api.Refused, match="private address"):
        await asks(played, configured=False)
    assert played.requests == []
    assert await asks(played, configured=True) == []


async def test_a_metadata_service_is_asked_for_nobody(play):
    played = await play(lambda _: web.json_response([]))
    with pytest.raises(api.Refused, match="metadata"):
        await asks(played, configured=True, addresses=["169.254.169.254"])
    assert played.host.metrics.statuses == ["none"]  # and not tried again


async def test_a_name_with_several_private_addresses_is_refused_as_one_with_one(play):
    """Connecting tries them side by side, in tasks of their own: the judgement goes along."""
    played = await play(lambda _: web.json_response([]))
    with pytest.raises(api.Refused, match="private address"):
        await asks(played, configured=False, addresses=["::1", "127.0.0.1", "10.0.0.1"])
    assert played.requests == []


async def test_control_without_the_guard_the_private_address_is_asked(play, monkeypatch):
    """Negative control."""
    monkeypatch.setattr(guard_module, "address_refusal", lambda *_, **__: None)
    played = await play(lambda _: web.json_response([]))
    assert await asks(played, configured=False) == []
    assert len(played.requests) == 1


async def test_the_servers_own_client_is_guarded():
    """The session that plugins are given."""
    from headgate.app.server import _http_client

    async with _http_client() as http:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await http.get("http://169.254.169.254/latest/meta-data/")
    assert isinstance(caught.value.os_error, AddressRefused)


HOSTILE = st.text(alphabet=st.sampled_from("/\\.:@?#%;[]2eEfF git.acme.exampleevil\t\n\0é"), max_size=40)


@given(st.sampled_from(["", "https://", "//", "https://git.acme.example", "https:", "/"]), HOSTILE)
def test_no_link_whatsoever_leads_off_our_origin(start, rest):
    try:
        url = BASE.own(start + rest)
    except api.ProviderError:
        return
    assert str(url).startswith("https://git.acme.example/")
    assert urlsplit(str(url)).netloc == "git.acme.example"


@given(HOSTILE)
def test_no_path_whatsoever_leads_out_of_the_base(rest):
    try:
        url = BASE.at("/" + rest, {"q": rest})
    except api.NotFound:
        return
    assert str(url).startswith("https://git.acme.example/api/v4/")
    path = unquote(urlsplit(str(url)).path)
    assert posixpath.normpath(path).startswith("/api/v4")
    assert url.query["q"] == rest
